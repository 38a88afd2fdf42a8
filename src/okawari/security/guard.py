"""The outermost ASGI layer of every server: it refuses what another web site makes a browser send.

It checks each HTTP request and WebSocket, of every method and path, before the server sees it. It knows nothing of
keys; the layers inside check those.
"""

from __future__ import annotations

from html import escape

from okawari.security.asgi import (
    App,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    accepts_html,
    answer_page,
    read_header,
    read_headers,
    refuse,
)
from okawari.security.origins import Names, is_own_site
from okawari.security.pages import write_page

FRAME_HEADERS: Headers = [
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_FRAMES = (b"content-security-policy", b"frame-ancestors 'self'")


class Guard:
    """Passes the requests of programs and of the server's own pages; refuses others with 403, and 421 for the name.

    Args:
        app: the server.
        names: what it may be reached by.
        policy: its Content-Security-Policy; the default only forbids other sites to embed it.
    """

    def __init__(self, app: App, names: Names, policy: str = "") -> None:
        self._app, self._names = app, names
        content = (b"content-security-policy", policy.encode()) if policy else _FRAMES
        self._added: Headers = [*FRAME_HEADERS, content]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then pass it on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if not self._names.has_host(host := read_header(scope, b"host")):
            return await refuse(scope, send, 421, _explain_host(host))
        if (reason := self._find_foreign(scope, host)) is not None:
            return await _refuse_foreign(scope, send, reason)
        await self._app(scope, receive, self._protect(send))

    def _find_foreign(self, scope: Scope, host: str) -> str | None:
        """Why the request comes from another site; None if it does not."""
        for origin in read_headers(scope, b"origin"):
            if not self._names.has_origin(origin, host):
                return f"it comes from a page of {origin[:80]}"
        site = read_header(scope, b"sec-fetch-site")
        mode, target = read_header(scope, b"sec-fetch-mode"), read_header(scope, b"sec-fetch-dest")
        if is_own_site(site, mode=mode, target=target, method=scope.get("method", "GET")):
            return None
        return f"a page of another site made the browser send it (Sec-Fetch-Site: {site[:20]})"

    def _protect(self, send: Send) -> Send:
        """Add our headers to the answer, and drop every permission for other sites (CORS) that the server gives."""

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._choose_headers(message.get("headers", []))}
            await send(message)

        return send_protected

    def _choose_headers(self, given: Headers) -> Headers:
        kept = [(name, value) for name, value in given if not name.lower().startswith(b"access-control-")]
        known = {name.lower() for name, _ in kept}
        return [*kept, *(header for header in self._added if header[0] not in known)]


def _explain_host(host: str) -> str:
    return (
        f"This server is not known as {host[:80]!r}; open it by the address that okawari up shows, or add the name to "
        "OKAWARI_ALLOWED_HOSTS and start it again."
    )


async def _refuse_foreign(scope: Scope, send: Send, reason: str) -> None:
    """Refuse; a person who followed a link gets a page with a link, because a click on it comes from here."""
    error = f"The request is refused, because {reason}. Open this server's own page, or send it from a program."
    is_visit = read_header(scope, b"sec-fetch-mode") == "navigate" and scope.get("method") == "GET"
    if not (is_visit and accepts_html(scope)):
        return await refuse(scope, send, 403, error)
    query = scope["query_string"].decode("latin-1")
    here = escape(scope["path"] + (f"?{query}" if query else ""))
    await answer_page(
        send, 403, write_page("Another site opened this address", _LINK.format(here=f"/{here.lstrip('/')}"))
    )


_LINK = """<p>Okawari does not follow links of other sites by itself. If you meant to come here,
<a href="{here}">open it</a>.</p>"""
