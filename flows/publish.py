"""Publish events, tables, links and progress to Prefect. Every flow publishes through this module.

Events only make the loop faster, and tables, links and progress are for display. If one cannot be delivered, the flow
continues; `reconcile` later starts what a lost event would have started.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import PrefectException

from okawari.case import Case
from okawari.events import build_labels
from okawari.formats import format_number
from okawari.progress import Step

Result = TypeVar("Result")

_PROGRESS_EVERY_S = 1.0
"""Each update of a progress bar is a call to the server, which delays the fit by some 20 ms."""


class PrefectHost:
    """A host of `okawari.training`: each step is a task, and its tables and links appear on the page of the run."""

    def __init__(self) -> None:
        self._progress = ProgressArtifacts()

    def run_step(self, title: str, work: Callable[..., Result], *given: Any) -> Result:
        """Run a step as a task; its arguments stay in memory."""
        step = task(name=title.split()[0], task_run_name=title, cache_policy=NO_CACHE)(work)
        return step(*given)

    def log(self, line: str) -> None:
        """Write one line to the log of the run."""
        get_run_logger().info("%s", line)

    def show_progress(self, case: Case, step: Step) -> None:
        """Show the progress of a piece of work."""
        self._progress.show(case, step)

    def show_table(self, case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
        """Show a table on the page of the run."""
        show_table(case, what, rows, caption)

    def show_link(self, case: Case, what: str, url: str, text: str) -> None:
        """Show a link on the page of the run."""
        show_link(case, what, url, text)

    def emit(self, name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
        """Emit one of `okawari.events`."""
        emit(name, case, payload, trace=trace)


class ProgressArtifacts:
    """Progress bars of one run: an artefact for each piece of work, updated at most once a second and at its end."""

    def __init__(self) -> None:
        self._known: dict[str, UUID] = {}
        self._shown_at: dict[str, float] = {}

    def show(self, case: Case, step: Step) -> None:
        """Show the progress of a piece of work. If the server cannot be reached, the work continues without it."""
        now = time.monotonic()
        if step.share < 1 and now - self._shown_at.get(step.what, float("-inf")) < _PROGRESS_EVERY_S:
            return
        self._shown_at[step.what] = now
        try:
            self._send(case, step)
        except (httpx.HTTPError, PrefectException) as lost:
            get_run_logger().debug("progress of %s was not shown: %s", step.what, lost)

    def _send(self, case: Case, step: Step) -> None:
        percent, text = 100 * step.share, f"{step.what}: {step.text}"
        if step.what in self._known:
            update_progress_artifact(self._known[step.what], percent, text)
        else:
            key = _key(case, f"progress-{step.what}")
            created = create_progress_artifact(percent, key, text)
            assert isinstance(created, UUID)  # a coroutine only inside a running event loop, and flows run in none
            self._known[step.what] = created


def emit(name: str, case: Case, payload: Mapping[str, Any], *, trace: str, is_duplicate: bool = False) -> None:
    """Emit one of `okawari.events` about a case.

    Args:
        name: the event.
        case: what it is about.
        payload: numbers and texts of the event.
        trace: id of the recorded decision behind the event.
        is_duplicate: another event already requests the same work, so automations can ignore this one.
    """
    emit_event(name, resource=build_resource(case, trace, is_duplicate), payload=dict(payload))


def build_resource(case: Case, trace: str, is_duplicate: bool = False) -> dict[str, str]:
    """Labels of an event about a case."""
    return build_labels(case.name, trace, is_duplicate=is_duplicate)


def show_table(case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
    """Show a table on the page of the run. Its key stays the same, so Prefect keeps its versions for comparison."""
    create_table_artifact(
        table=[{name: _short(value) for name, value in row.items()} for row in rows],
        key=_key(case, what),
        description=caption,
    )


def show_link(case: Case, what: str, url: str, text: str) -> None:
    """Show a link on the page of the run."""
    create_link_artifact(link=url, link_text=text, key=_key(case, what), description=text)


def _key(case: Case, what: str) -> str:
    return re.sub("[^a-z0-9]+", "-", f"{case.name}-{what}".lower()).strip("-")


def _short(value: Any) -> Any:
    return float(format_number(value)) if isinstance(value, float) else value
