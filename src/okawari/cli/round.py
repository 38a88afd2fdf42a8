"""One round of a case's loop, for `okawari up` and `okawari run`; follows the runs that it causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from okawari.cases.loader import load_case
from okawari.clients import orchestrator
from okawari.loop.facts import is_settled
from okawari.policy.repair import GRACE_S
from okawari.polling import poll
from okawari.registry import versions

if TYPE_CHECKING:
    from okawari.case import Case
    from okawari.cli.output import Reporter
    from okawari.clients.orchestrator import Run

_POLL_S = 0.5


def take_round(name: str, report: Reporter, *, retrain: bool = False, **source: Any) -> None:
    """Ingest, train on request or without a champion, and follow the resulting runs until none is active.

    Args:
        name: name of the case.
        report: where progress is shown.
        retrain: train even without a reason.
        source: what `ingest` takes beside the case: `until`, `file`, `live`.

    Raises:
        RunFailed: one of the runs ended without success.
    """
    case = load_case(name)
    _run(case, report, "ingest", **source)
    if retrain:
        _run(case, report, "train", cause="asked", reason="okawari run --retrain")
    elif versions.load_champion(name) is None:
        _run(case, report, "train", cause="missing", reason="the first round")
    _settle(case, report)
    _run(case, report, "reconcile", asked=True)
    while (active := _find_active(case, *orchestrator.LOOP_FLOWS)) is not None:
        _follow(active, case, report)


def _settle(case: Case, report: Reporter) -> None:
    """Follow event-started runs until the newest snapshot has a verdict and no training request is open.

    If nothing starts within `GRACE_S`, run `reconcile` once.
    """
    repaired = False
    while (found := _await_change(case)) is not True:
        if found is not None:
            _follow(found, case, report)
        elif repaired:
            report(f"{case.name}: some work is still open; see the runs on the Prefect page")
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


def _run(case: Case, report: Reporter, flow: str, **parameters: Any) -> None:
    _follow(orchestrator.start_run(flow, {"case": case.name, **parameters}), case, report)


def _follow(run: Run, case: Case, report: Reporter) -> None:
    report.pause_text(f"{case.name}: {run.name}")
    orchestrator.require_success(orchestrator.follow_run(run.id, report, watch=report.show_step))
