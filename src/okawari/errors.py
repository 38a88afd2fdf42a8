"""Okawari's own errors. Wrong input is always a `ValueError` too, so a caller can catch the standard type."""

from __future__ import annotations


class OkawariError(Exception):
    """Base of every error that Okawari raises on purpose."""


class InvalidInput(OkawariError, ValueError):
    """Something came in that does not fit; the message says what came, what is allowed and what to do."""


class ServerUnreachable(OkawariError, ConnectionError):
    """A server does not answer; the message says which one, where it was looked for and how to start it."""


class NotYet(OkawariError, LookupError):
    """What was asked for does not exist yet; the message says which step makes it."""


def require(condition: bool, message: str) -> None:
    """Refuse what somebody wrote, unless the condition holds.

    Raises:
        InvalidInput: it does not.
    """
    if not condition:
        raise InvalidInput(message)
