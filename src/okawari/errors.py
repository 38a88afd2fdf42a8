"""Okawari's own errors. Wrong input is always a `ValueError` too, so a caller can catch the standard type."""

from __future__ import annotations


class OkawariError(Exception):
    """Base of every error that Okawari raises on purpose."""


class InvalidInput(OkawariError, ValueError):
    """Invalid input; the message names what came, what is allowed and what to do."""


class SourceUnavailable(InvalidInput):
    """A source of data cannot be read for a reason outside its data: a setting, a missing file or library, the network.

    It is no verdict on the data: `ingest` raises it and records nothing.
    """


class ServerUnreachable(OkawariError, ConnectionError):
    """A server does not answer; the message names the server, its address and how to start it."""


class NotYet(OkawariError, LookupError):
    """The requested thing does not exist yet; the message names the step that makes it."""


def require(condition: bool, message: str) -> None:
    """Raise `InvalidInput` unless the condition holds.

    Raises:
        InvalidInput: it does not.
    """
    if not condition:
        raise InvalidInput(message)
