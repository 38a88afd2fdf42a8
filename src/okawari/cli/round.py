"""One round of a case's loop, for `okawari up` and `okawari run`; follows the runs that it causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from okawari.cases.loader import load_case
from okawari.clients import orchestrator
from okawari.errors import DataRefused
from okawari.loop import requests, turns
from okawari.loop.facts import is_settled
from okawari.policy.repair import GRACE_S
from okawari.polling import poll
from okawari.registry import versions

if TYPE_CHECKING:
    from okawari.case import Case
    from okawari.cli.output import Reporter
    from okawari.clients.orchestrator import Run
    from okawari.policy.decision import Cause

_POLL_S = 0.5
_POSITION_S = 10.0
"""How often the position of a waiting request is looked up."""
_TAKE_UPS = 2
"""How often one command takes up a training that was interrupted."""


def take_round(name: str, report: Reporter, *, retrain: bool = False, **source: Any) -> None:
    """Ingest, train on request or without a champion, and follow the resulting runs until none is active.

    Args:
        name: name of the case.
        report: where progress is shown.
        retrain: train even without a reason.
        source: what `ingest` takes beside the case: `until`, `file`, `live`, `new_edition`, `time_format`,
            `decimal`.

    Raises:
        DataRefused: the whole table was refused.
        RunFailed: one of the runs ended without success.
    """
    case = load_case(name)
    _ingest(case, report, **source)
    if retrain:
        _train(case, report, "asked", "okawari run --retrain")
    elif versions.load_champion(name) is None:
        _train(case, report, "missing", "the first round")
    _settle(case, report)
    _run(case, report, "reconcile", asked=True)
    while (active := _find_active(case, *orchestrator.LOOP_FLOWS)) is not None:
        _follow(active, case, report)


def _ingest(case: Case, report: Reporter, **source: Any) -> None:
    """Ingest; a verdict on the data is told from other failures by the type of the run's error."""
    run = orchestrator.start_run("ingest", {"case": case.name, **source}, urgent=True)
    try:
        _follow(run, case, report)
    except orchestrator.RunFailed as failed:
        if orchestrator.name_error(orchestrator.load_run(run.id)) in ("InvalidInput", "CsvError"):
            raise DataRefused(str(failed)) from failed
        raise


def _train(case: Case, report: Reporter, cause: Cause, reason: str) -> None:
    """Request a training and follow it, also through the time in which it waits for a slot."""
    record = requests.record_request(case.name, cause, reason, by_person=True)
    ended = _follow(turns.start_request(case.name, cause, reason, record), case, report)
    while ended.queued and requests.is_open(case.name, record):
        ended = _follow(_await_turn(case, report, record), case, report)


def _await_turn(case: Case, report: Reporter, record: str) -> Run:
    """The run that takes up a waiting request; the position in the queue is shown whenever it changes.

    If nothing trains and nothing starts, `reconcile` starts what waits.
    """
    shown = ""
    while True:
        if (found := poll(lambda: _find_active(case, "train"), every_s=_POLL_S, timeout_s=_POSITION_S)) is not None:
            return found
        if not requests.is_open(case.name, record) or not turns.list_running():
            return _run(case, report, "reconcile", grace_s=0)
        if (position := turns.describe_wait(case.name)) != shown:
            report(f"{case.name}: {position}")
            shown = position


def _settle(case: Case, report: Reporter) -> None:
    """Follow event-started runs until the newest snapshot has a verdict and no training request is open.

    If nothing starts within `GRACE_S`, run `reconcile` once.
    """
    repaired = False
    while (found := _await_change(case)) is not True:
        if found is not None:
            _follow(found, case, report)
        elif repaired:
            waits = turns.describe_wait(case.name) or "some work is still open; see the runs on the Prefect page"
            report(f"{case.name}: {waits}")
            return
        else:
            _run(case, report, "reconcile", grace_s=0)
            repaired = True


def _await_change(case: Case) -> Run | Literal[True] | None:
    """A run that has become active, or True where the loop is settled; None where neither comes in `GRACE_S`."""
    return poll(
        lambda: _find_active(case, *orchestrator.LOOP_FLOWS) or is_settled(case) or None,
        every_s=_POLL_S,
        timeout_s=GRACE_S,
    )


def _find_active(case: Case, *flows: str) -> Run | None:
    return next((run for flow in flows for run in orchestrator.list_active_runs(flow, case.name)), None)


def _run(case: Case, report: Reporter, flow: str, **parameters: Any) -> Run:
    return _follow(orchestrator.start_run(flow, {"case": case.name, **parameters}, urgent=True), case, report)


def _follow(run: Run, case: Case, report: Reporter) -> Run:
    """Follow a run to its end. A training that died with its process or with a server is taken up again, twice."""
    for _ in range(_TAKE_UPS):
        ended = _watch(run, case, report)
        if not orchestrator.is_training_interrupted(ended):
            return orchestrator.require_success(ended)
        report(f"{case.name}: {orchestrator.describe_end(ended)}; it is started again")
        orchestrator.require_success(_watch(_start_reconcile(case), case, report))
        if (next_run := _find_active(case, "train")) is None:
            return orchestrator.require_success(ended)
        run = next_run
    return orchestrator.require_success(_watch(run, case, report))


def _start_reconcile(case: Case) -> Run:
    return orchestrator.start_run("reconcile", {"case": case.name, "grace_s": 0}, urgent=True)


def _watch(run: Run, case: Case, report: Reporter) -> Run:
    report.pause_text(f"{case.name}: {run.name}")
    return orchestrator.follow_run(run.id, report, watch=report.show_step)
