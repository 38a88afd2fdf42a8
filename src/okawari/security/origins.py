"""Which names a server may be reached by, and which requests of a browser come from its own pages.

A web page that a user visits can make the browser send requests to servers on this machine. The browser reports where
they come from: `Origin` (every POST, every WebSocket), `Sec-Fetch-Site` (every request to a loopback or https address)
and `Host` (the name that the page used, which reveals DNS rebinding). Standards: Fetch, section 3.1 "Origin header";
Fetch Metadata Request Headers, sections 2.1 to 2.3.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from urllib.parse import urlsplit

from okawari.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_OWN_SITES = frozenset({"", "same-origin", "none"})


@dataclass(frozen=True)
class Names:
    """The names (without port) that a server may be reached by, and origins of proxies in front of it.

    `any_address` also allows every numeric address: a page that was opened by a number cannot have rebound a name.
    """

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()
    any_address: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """The names of an installation's servers: where they bind, loopback, and OKAWARI_ALLOWED_HOSTS."""
        given = [*settings.allowed_host_names]
        hosts = {settings.host, *LOOPBACK, *(split_netloc(each)[0] for each in given)}
        is_wildcard = settings.host in ("0.0.0.0", "::")
        own = {socket.gethostname().lower()} if is_wildcard else set()
        return cls(frozenset({each.lower() for each in hosts} | own), frozenset(map(str.lower, given)), is_wildcard)

    def has_host(self, netloc: str) -> bool:
        """Whether a `Host` header (name and optional port) is one of the names."""
        host, _ = split_netloc(netloc)
        return host in self.hosts or (self.any_address and _is_address(host))

    def has_origin(self, origin: str, netloc: str) -> bool:
        """Whether an `Origin` is the server's own: its host and port are those of `Host`, or a proxy's."""
        parts = urlsplit(origin)
        if parts.scheme not in _PORTS or not parts.netloc:
            return False
        own = _normalize(parts.netloc, parts.scheme)
        return own == _normalize(netloc, parts.scheme) or own in self._proxied[parts.scheme]

    @cached_property
    def _proxied(self) -> dict[str, frozenset[tuple[str, str]]]:
        return {scheme: frozenset(_normalize(each, scheme) for each in self.origins) for scheme in _PORTS}


_PORTS = {"http": "80", "https": "443"}


def is_own_site(site: str, *, mode: str, target: str, method: str) -> bool:
    """Whether a request with these `Sec-Fetch-*` headers may pass.

    A page of another port of this host ("same-site") may open ours in a tab, which our pages do among each other; it
    may not load, embed or change anything.
    """
    is_visit = method == "GET" and mode == "navigate" and target == "document"
    return site in _OWN_SITES or (site == "same-site" and is_visit)


def split_netloc(netloc: str) -> tuple[str, str]:
    """Host in lower case, and port (empty where there is none), of a `Host` header.

    >>> split_netloc("LocalHost:4200"), split_netloc("[::1]:4200"), split_netloc("a.example")
    (('localhost', '4200'), ('::1', '4200'), ('a.example', ''))
    """
    if netloc.startswith("["):
        host, _, rest = netloc[1:].partition("]")
        return host.lower(), rest.removeprefix(":")
    host, _, port = netloc.partition(":")
    return host.lower().removesuffix("."), port


def _normalize(netloc: str, scheme: str) -> tuple[str, str]:
    host, port = split_netloc(netloc)
    return host, port or _PORTS[scheme]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
