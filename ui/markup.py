"""Fill the HTML templates of `ui/templates`. Jinja escapes every value, so text from outside is shown, never executed.

This module and `monitoring.report` are the only homes of Jinja.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["Markup", "render"]

_FOLDER = Path(__file__).with_name("templates")


def render(name: str, **values: Any) -> Markup:
    """The HTML of the template `name`. Values are escaped, except `Markup`, which is the output of another template."""
    return Markup(_load_templates().get_template(f"{name}.html.j2").render(**values).strip())


@cache
def _load_templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
