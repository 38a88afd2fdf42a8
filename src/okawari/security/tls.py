"""TLS: the certificate of service and page, and what our own clients trust."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from okawari.errors import InvalidInput
from okawari.settings import Settings

Trust = ssl.SSLContext | bool
"""For the `verify` of httpx."""
_END = "-----END CERTIFICATE-----"


def check_certificate(settings: Settings) -> None:
    """Check the files of OKAWARI_TLS_CERT and OKAWARI_TLS_KEY, if they are set, before a server starts.

    Raises:
        InvalidInput: one setting is missing, or the files are missing, unreadable or do not belong together.
    """
    given = {"OKAWARI_TLS_CERT": settings.tls_cert, "OKAWARI_TLS_KEY": settings.tls_key}
    if not any(given.values()):
        return
    for name, file in given.items():
        _require_file(name, file, ", ".join(given))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls_cert, settings.tls_key, password=_no_password
        )
    except (ssl.SSLError, OSError) as refused:
        raise InvalidInput(
            f"OKAWARI_TLS_CERT {settings.tls_cert} and OKAWARI_TLS_KEY {settings.tls_key} are not a certificate and "
            f"its private key ({refused}). Give two PEM files that belong together; the key's has no password."
        ) from refused


def build_trust(settings: Settings) -> Trust:
    """What an HTTP client trusts.

    For the servers of this machine: their certificate itself and nothing else. Its names need not contain 127.0.0.1,
    which no public authority certifies. For a remote service: the public authorities, and that of OKAWARI_TLS_CA.

    Raises:
        InvalidInput: a certificate's file is missing or damaged.
    """
    if settings.tls_cert and not settings.service_url:
        return trust_own(settings)
    if not settings.tls_ca:
        return True
    context = ssl.create_default_context()
    _load("OKAWARI_TLS_CA", settings.tls_ca, lambda: context.load_verify_locations(settings.tls_ca))
    return context


def trust_own(settings: Settings) -> Trust:
    """What a client of this machine's own service and page trusts: exactly their certificate."""
    if not settings.tls_cert:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate in the store is trusted without its issuer
    own = _read_first(settings.tls_cert)
    _load("OKAWARI_TLS_CERT", settings.tls_cert, lambda: context.load_verify_locations(cadata=own))
    return context


def _read_first(file: str) -> str:
    """The first certificate of a file, the server's own; the others are of its issuers, who certify others as well."""
    try:
        return Path(file).read_text().partition(_END)[0] + _END
    except (OSError, UnicodeDecodeError) as failed:
        raise InvalidInput(f"OKAWARI_TLS_CERT {file} cannot be read ({failed}). Give a PEM file.") from failed


def _load(name: str, file: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, OSError, ValueError) as failed:
        raise InvalidInput(f"{name} {file} holds no certificate ({failed}). Give a PEM file.") from failed


def _require_file(name: str, file: str, both: str) -> None:
    if not file:
        raise InvalidInput(f"{name} is not set, and the other one is; set both of {both}, or neither.")
    if not Path(file).is_file():
        raise InvalidInput(f"{name} is {file!r}, which is no file. Give the path of a PEM file, or unset {both}.")


def _no_password() -> str:
    """Refuse a key with a password: OpenSSL would ask for it on the terminal."""
    return ""
