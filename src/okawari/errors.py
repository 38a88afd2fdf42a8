"""Okawari's own errors. Wrong input is always a `ValueError` too, so a caller can catch the standard type."""

from __future__ import annotations

from typing import ClassVar


class OkawariError(Exception):
    """Base of all errors that Okawari raises on purpose. A command that it ends has its exit code."""

    exit_code: ClassVar[int] = 1


class InvalidInput(OkawariError, ValueError):
    """Invalid input; the message names what came, what is allowed and what to do."""


class SourceUnavailable(InvalidInput):
    """A source of data cannot be read for a reason outside its data: a setting, a missing file or library, the network.

    It says nothing about the data: `ingest` raises it and records no verdict.
    """


class DeliveryHeld(OkawariError, RuntimeError):
    """A delivery is held until a person decides; the message names it, with the reason and the commands."""

    exit_code = 3


class DataRefused(InvalidInput):
    """A whole table was refused, which is a verdict on the data and not on the command."""

    exit_code = 4


class ServerUnreachable(OkawariError, ConnectionError):
    """A server does not answer; the message names the server, its address and how to start it."""


class CasesFailed(OkawariError, RuntimeError):
    """Some of several cases failed; the message names each with its reason."""


class NotYet(OkawariError, LookupError):
    """The requested object does not exist yet; the message names the step that creates it."""


def require(condition: bool, message: str) -> None:
    """Raise `InvalidInput` unless the condition holds.

    Raises:
        InvalidInput: the condition is false.
    """
    if not condition:
        raise InvalidInput(message)
