"""The `Host` of a training: runs its steps and reports progress. Flows use Prefect; `PlainHost` uses only the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from okawari.case import Case
from okawari.progress import Step

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Host(Protocol):
    """Runs the steps of a training and reports their progress and results."""

    def run_step(self, title: str, work: Callable[..., Result], *given: Any) -> Result:
        """Return `work(*given)`, tracked as `title` if the host tracks steps. All arguments can be pickled."""

    def log(self, line: str) -> None:
        """Write one line: a decision with its numbers."""

    def show_progress(self, case: Case, step: Step) -> None:
        """Show the progress of a piece of work."""

    def show_table(self, case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
        """Show a table."""

    def show_link(self, case: Case, what: str, url: str, text: str) -> None:
        """Show a link."""

    def emit(self, name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
        """Emit one of `okawari.events`; `trace` is the id of the decision behind it."""


class PlainHost:
    """Runs the steps in this process; lines go to the log, and nothing else is shown or emitted."""

    def run_step(self, title: str, work: Callable[..., Result], *given: Any) -> Result:
        """Return `work(*given)`."""
        return work(*given)

    def log(self, line: str) -> None:
        """Write one line to the log."""
        _log.info("%s", line)

    def show_progress(self, case: Case, step: Step) -> None:
        """Show nothing."""

    def show_table(self, case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
        """Show nothing."""

    def show_link(self, case: Case, what: str, url: str, text: str) -> None:
        """Show nothing."""

    def emit(self, name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
        """Emit nothing."""


class PrintHost(PlainHost):
    """A plain host that writes its lines with a function, such as `print`."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def log(self, line: str) -> None:
        """Write one line."""
        self._write(line)
