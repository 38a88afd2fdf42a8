"""The small HTML pages that the layers of this package answer with; all of them look alike."""

from __future__ import annotations


def write_page(title: str, content: str) -> str:
    """A whole page. `content` is HTML, in which the caller has escaped what came from a request."""
    return _PAGE.format(title=title, content=content)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Okawari</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26em; margin: 12vh auto; padding: 0 1em; color: #1b1b1f }}
h1 {{ font-size: 1.4em }} label {{ display: block; margin-bottom: .3em }}
input {{ width: 100%; box-sizing: border-box; padding: .5em; font: inherit; margin-bottom: .8em }}
button {{ padding: .5em 1.4em; font: inherit }} .trouble {{ color: #a4161a }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16161a; color: #eee }} .trouble {{ color: #ff8a80 }}
a {{ color: #9cc9ff }} }}
</style></head><body><main><h1>{title}</h1>
{content}
</main></body></html>
"""
