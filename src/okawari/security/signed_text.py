"""Short texts with an expiry and a signature: tickets between our pages, and sessions in cookies."""

from __future__ import annotations

import hashlib
import hmac
import time

from okawari.security.secrets import derive_secret

_N_DIGITS = 43
"""Hexadecimal digits of a signature: 172 bits."""


def sign_text(purpose: str, text: str, lifetime_s: float) -> str:
    """`<text>.<expiry>.<signature>`; the text has no dot. Whoever holds it may use it until it expires.

    >>> verify_text("doctest", sign_text("doctest", "mlflow", 60)), verify_text("other", sign_text("doctest", "a", 60))
    ('mlflow', None)
    """
    assert "." not in text, text
    content = f"{text}.{int(time.time() + lifetime_s)}"
    return f"{content}.{_sign(purpose, content)}"


def verify_text(purpose: str, signed: str) -> str | None:
    """The text; None if the signature is not ours, is for another purpose, or has expired."""
    content, _, signature = signed.rpartition(".")
    text, _, expiry = content.rpartition(".")
    is_own = hmac.compare_digest(_sign(purpose, content).encode(), signature.encode("utf-8", "replace"))
    return text if is_own and float(expiry) > time.time() else None


def _sign(purpose: str, content: str) -> str:
    return hmac.digest(derive_secret(purpose), content.encode("utf-8", "replace"), hashlib.sha256).hex()[:_N_DIGITS]
