"""The user's own key of a record, by which its true value may be sent: a short text, or an integer as its digits.

A case names the column or field of the key (`Case.key`). The text is taken unchanged: `007` and `7` are two keys.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from okawari.errors import InvalidInput

MAX_KEY_CHARS = 200
TAKEN_NAMES = ("id", "index", "step", "target", "value", "instances", "keys", "future")
"""Fields of requests and outcomes, which a key cannot be called."""

_MAX_EXACT = 2**53
"""Larger floats have lost digits of the integer that they were."""


def read_key(value: Any) -> str | None:
    """A key as text; None where there is none: an empty field of a table, or null.

    >>> read_key("A-17"), read_key(17), read_key(17.0), read_key("007"), read_key("")
    ('A-17', '17', '17', '007', None)

    Raises:
        InvalidInput: it is neither a text of 1 to 200 characters nor an integer.
    """
    if isinstance(value, bool):
        raise InvalidInput(f"is {value}; a key is a text or an integer")
    if isinstance(value, Integral):
        return _require_short(str(int(value)))
    if isinstance(value, str):
        return _require_short(value) if value else None
    if value is None or value != value:
        return None
    if isinstance(value, Real) and float(value).is_integer() and abs(float(value)) < _MAX_EXACT:
        return str(int(float(value)))
    raise InvalidInput(f"is {str(value)[:40]!r} ({type(value).__name__}); a key is a text or an integer")


def _require_short(text: str) -> str:
    if len(text) > MAX_KEY_CHARS:
        raise InvalidInput(f"has {len(text)} characters; a key has at most {MAX_KEY_CHARS}")
    if not text.strip():
        raise InvalidInput("is blank; a key is a text or an integer")
    return text
