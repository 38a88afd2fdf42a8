"""The outermost ASGI layer: what a reverse proxy in front of a server changes about a request.

- A trusted proxy reports in `X-Forwarded-*` how the client reached it; the layer puts that into scheme, host and client
  address. It removes these headers in every case, so no server behind it believes them from anybody else.
- A path prefix (OKAWARI_ROOT_PATH) becomes ASGI's `root_path`, whether the proxy removes it or not.

uvicorn has a layer of its own for these headers; it must be off (FORWARDED_ALLOW_IPS empty), as it would hide from this
one who really connected.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from okawari.errors import InvalidInput
from okawari.security.asgi import App, Headers, Receive, Scope, Send, answer, read_headers

_FORWARDED = (b"x-forwarded-", b"forwarded", b"x-real-ip", b"x-gradio-server")
_SCHEMES = {"http": ("http", "ws"), "https": ("https", "wss")}
Network = IPv4Network | IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """The addresses and networks of OKAWARI_TRUSTED_PROXIES, separated by commas.

    Raises:
        InvalidInput: a part is neither an address nor a network.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as refused:
        raise InvalidInput(
            f"OKAWARI_TRUSTED_PROXIES is {text!r} ({refused}); it lists addresses such as 10.0.0.2 or networks such as "
            "10.0.0.0/24. Correct it."
        ) from refused


def read_route(scope: Scope) -> str:
    """The path of a request without the server's prefix, as its router reads it."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


class ReverseProxy:
    """Rewrites what a proxy reports and the path prefix, then passes the request on.

    Args:
        app: the server.
        trusted: addresses and networks of proxies, separated by commas.
        root_path: the path prefix, such as `/models`; empty for none.
    """

    def __init__(self, app: App, trusted: str, root_path: str = "") -> None:
        self._app, self._root = app, root_path
        networks = parse_networks(trusted)
        self._is_trusted = lru_cache(maxsize=4096)(lambda address: _is_in(address, networks))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the request, then pass it on; the prefix alone leads to the folder of that name."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if self._root and scope["path"] == self._root:
            return await answer(send, 307, b"", [(b"location", f"{self._root}/".encode())])
        await self._app(self._add_prefix(self._read_forwarded(scope)), receive, send)

    def _read_forwarded(self, scope: Scope) -> Scope:
        peer = (scope.get("client") or ("", 0))[0]
        reported = self._read_report(scope) if self._is_trusted(peer) else {}
        return {**scope, "headers": _keep_headers(scope["headers"]), **reported}

    def _read_report(self, scope: Scope) -> Scope:
        """What a trusted proxy reports: scheme, client, and headers with the host that the client used."""
        reported: Scope = {}
        if (scheme := _last(scope, b"x-forwarded-proto")) in _SCHEMES:
            reported["scheme"] = _SCHEMES[scheme][scope["type"] == "websocket"]
        hops = _list_values(scope, b"x-forwarded-for")
        if client := next((hop for hop in reversed(hops) if not self._is_trusted(hop)), ""):
            reported["client"] = (client, 0)
        if hosts := _list_values(scope, b"x-forwarded-host"):
            kept = [header for header in _keep_headers(scope["headers"]) if header[0] != b"host"]
            reported["headers"] = [(b"host", hosts[0].encode("latin-1")), *kept]
        return reported

    def _add_prefix(self, scope: Scope) -> Scope:
        root, path = self._root, scope["path"]
        if not root:
            return scope
        if path.startswith(f"{root}/"):
            return {**scope, "root_path": root}
        raw = root.encode() + (scope.get("raw_path") or path.encode())
        return {**scope, "root_path": root, "path": root + path, "raw_path": raw}


def _keep_headers(headers: Headers) -> Headers:
    return [header for header in headers if not header[0].startswith(_FORWARDED)]


def _list_values(scope: Scope, name: bytes) -> list[str]:
    parts = (part.strip() for text in read_headers(scope, name) for part in text.split(","))
    return [part for part in parts if part]


def _last(scope: Scope, name: bytes) -> str:
    return next(reversed(_list_values(scope, name)), "")


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
