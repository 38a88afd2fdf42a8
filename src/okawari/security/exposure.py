"""Checks, before any server starts, of the settings that decide who can reach the servers."""

from __future__ import annotations

from okawari.security.access import require_keys_beyond_loopback
from okawari.security.reverse_proxy import parse_networks
from okawari.security.tls import check_certificate
from okawari.settings import Settings


def check_exposure(settings: Settings) -> None:
    """Check keys, certificate and trusted proxies.

    Raises:
        InvalidInput: other machines could reach the servers without a key, or a setting is refused.
    """
    require_keys_beyond_loopback(settings)
    check_certificate(settings)
    parse_networks(settings.trusted_proxies)
