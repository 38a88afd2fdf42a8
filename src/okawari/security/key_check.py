"""The ASGI layer of the prediction service that asks for an API key, before anything of a body is read.

Every route needs a scope unless it is listed as open here, so a route that BentoML or we add later needs one too.
"""

from __future__ import annotations

from collections.abc import Callable

from okawari.errors import OkawariError
from okawari.security.access import Access, NotAllowed, NotKnown
from okawari.security.api_keys import KeyScope
from okawari.security.asgi import App, Receive, Scope, Send, refuse
from okawari.security.reverse_proxy import read_route

OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
OPEN_FOLDERS = ("/static_content/",)
"""Health, and the style and script of the API page: the same in every installation."""
_READS = frozenset({"GET", "HEAD"})

FindScope = Callable[[str, str], KeyScope | None]


def choose_scope(method: str, path: str) -> KeyScope | None:
    """The scope that a request to the service needs; None for an open route.

    >>> choose_scope("POST", "/aapl/predict"), choose_scope("GET", "/metrics"), choose_scope("GET", "/livez")
    (<KeyScope.PREDICT: 'predict'>, <KeyScope.READ: 'read'>, None)
    """
    if method in _READS and (path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)):
        return None
    if method == "POST":
        return KeyScope.OUTCOMES if path.rstrip("/").endswith("/outcomes") else KeyScope.PREDICT
    return KeyScope.READ


class KeyCheck:
    """Passes a request whose caller has the scope of its route; refuses others with 401 or 403.

    A session of the page counts for reading only, so that a person who is signed in can open the API page.
    """

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the key, then pass the request on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        method = scope.get("method", "GET")
        needed = choose_scope(method, read_route(scope))
        try:
            if needed is not None:
                self._access.identify(scope, with_session=method in _READS).require(needed)
        except OkawariError as refused:
            return await refuse_caller(scope, send, refused)
        await self._app(scope, receive, send)


async def refuse_caller(scope: Scope, send: Send, error: OkawariError) -> None:
    """Answer 401 without a valid key, 403 without the scope, and 503 where the keys cannot be read."""
    if isinstance(error, NotKnown):
        return await refuse(scope, send, 401, str(error), [(b"www-authenticate", b'Bearer realm="okawari"')])
    if isinstance(error, NotAllowed):
        challenge = b'Bearer realm="okawari", error="insufficient_scope"'
        return await refuse(scope, send, 403, str(error), [(b"www-authenticate", challenge)])
    await refuse(scope, send, 503, str(error), [(b"retry-after", b"10")])
