"""What the layers in this package share: the ASGI types, headers of a request, and short answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def read_headers(scope: Scope, name: bytes) -> list[str]:
    """All values of a header, in order; ASGI gives names in lower case."""
    return [value.decode("latin-1") for known, value in scope["headers"] if known == name]


def read_header(scope: Scope, name: bytes) -> str:
    """The only value of a header; empty where there is none or where there are several."""
    found = read_headers(scope, name)
    return found[0] if len(found) == 1 else ""


def read_cookie(scope: Scope, name: str) -> str:
    """The value of a cookie; empty where there is none."""
    pairs = (part.strip().partition("=") for text in read_headers(scope, b"cookie") for part in text.split(";"))
    return next((value for known, _, value in pairs if known == name), "")


def accepts_html(scope: Scope) -> bool:
    """Whether a browser asks for a page to show."""
    return scope["type"] == "http" and "text/html" in read_header(scope, b"accept")


async def refuse(
    scope: Scope, send: Send, status: int, error: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with an error in the form of our service; refuse a WebSocket before it is accepted (status 403)."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error[:120]})
        return
    body = json.dumps({"error": error, "detail": []}).encode()
    await answer(send, status, body, [(b"content-type", b"application/json"), *headers])


async def answer_page(send: Send, status: int, page: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Answer with an HTML page that may load and embed nothing but its own style."""
    policy = b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    named = [name for name, _ in headers]
    own = [] if b"content-security-policy" in named else [(b"content-security-policy", policy)]
    await answer(send, status, page.encode(), [(b"content-type", b"text/html; charset=utf-8"), *own, *headers])


async def answer(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Send a whole answer that no cache keeps."""
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [*headers, length, _NO_STORE]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


_NO_STORE = (b"cache-control", b"no-store")
