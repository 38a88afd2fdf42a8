"""Whose turn it is to train: starts the runs of open requests, and decides whether a run trains or waits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from okawari.clients import orchestrator
from okawari.clients.orchestrator import Run
from okawari.errors import InvalidInput
from okawari.loop.requests import find_waiting, is_answered, is_open, load_history, measure_wait_s, record_request
from okawari.policy.decision import Action, Cause, Decision, Kind
from okawari.policy.queueing import Started, Waiting, decide_turn, list_next, list_training
from okawari.settings import load_settings

_log = logging.getLogger(__name__)


def request_training(case_name: str, cause: Cause, reason: str) -> Run:
    """Record a request of a person, and start its run; a run that finds no free slot ends, and the request waits."""
    return start_request(case_name, cause, reason, record_request(case_name, cause, reason, by_person=True))


def start_request(case_name: str, cause: Cause, reason: str, record: str) -> Run:
    """Start the run of a person's request that is on record."""
    return _start(Waiting(case=case_name, cause=cause, record=record, by_person=True), reason)


def _start(request: Waiting, reason: str) -> Run:
    given = {"case": request.case, "cause": request.cause, "reason": reason, "cause_id": request.record}
    return orchestrator.start_run("train", given, urgent=request.by_person)


def take_turn(run_id: str | None, own: Waiting) -> Decision:
    """Whether the run of a request trains now. A request that has to wait for a slot is on record when this returns.

    Args:
        run_id: the run of the flow `train`; one that the server does not list counts as the newest.
        own: its request, as its parameters describe it.
    """
    if own.record is not None and is_answered(own.case, own.record):
        return Decision(Kind.REQUEST, Action.JOIN, "the request has been answered already")
    own, limit = _complete(own), load_settings().trainings
    training = list_training(_list_earlier(run_id), limit)
    decision = decide_turn(own, list_waiting({*load_settings().case_names, own.case}), training, limit)
    if decision.action == Action.WAIT and own.record is None and own.cause != "missing":
        record_request(own.case, own.cause, "the run found no free slot", by_person=own.by_person)
    return decision


def _complete(own: Waiting) -> Waiting:
    """The request with what its record and the other records of its case add: its time, its person, its due time."""
    history = load_history(own.case)
    known = history.open.get(own.record or "")
    by_person = own.cause == "asked" or (known is not None and known.by_person)
    return Waiting(
        case=own.case,
        cause=own.cause,
        record=None if known is None else known.record,
        by_person=by_person,
        since=datetime.now(UTC) if known is None else known.at,
        due_in_s=0.0 if by_person else measure_wait_s(history),
    )


def _list_earlier(run_id: str | None) -> list[Started]:
    """The runs of the flow `train` that started before a run."""
    started = _list_started()
    own = next((each for each in started if each.id == run_id), None)
    return started if own is None else [each for each in started if (each.at, each.id) < (own.at, own.id)]


def list_running() -> list[Run]:
    """The runs of the flow `train` that run now."""
    return orchestrator.list_runs("train", states=("RUNNING",), limit=200)


def list_waiting(case_names: Iterable[str]) -> list[Waiting]:
    """The open requests of the cases. A case whose file cannot be loaded is left out, so that it stops no other."""
    found = []
    for name in sorted(case_names):
        try:
            waiting = find_waiting(name)
        except InvalidInput as broken:
            _log.warning("%s: its requests are left out: %s", name, broken)
            continue
        if waiting is not None:
            found.append(waiting)
    return found


def describe_wait(case_name: str) -> str:
    """What the open request of a case waits for, and its position; empty if none is open."""
    own, limit = find_waiting(case_name), load_settings().trainings
    if own is None:
        return ""
    waiting = list_waiting({*load_settings().case_names, case_name})
    return decide_turn(own, waiting, _list_training(), limit).reason


def follow_request(run: Run) -> Run:
    """The run that a person follows: after a run that is queued, the one that takes up its request, once it starts."""
    if not run.queued:
        return run
    active = orchestrator.list_active_runs("train", case := str(run.parameters["case"]))
    if active:
        return active[0]
    record = run.parameters.get("cause_id")
    if record is not None and is_open(case, record):
        return replace(run, message=describe_wait(case) or run.message)
    return next((each for each in orchestrator.list_runs("train") if _answers(each, run)), run)


def find_unfinished(case_name: str) -> Run | None:
    """The training of a case that runs, is about to start or waits for its turn, however it was requested."""
    active = orchestrator.list_active_runs("train", case_name)
    if active:
        return active[0]
    runs = [run for run in orchestrator.list_runs("train") if run.parameters.get("case") == case_name]
    if not runs or not runs[0].queued or not is_open(case_name, str(runs[0].parameters.get("cause_id"))):
        return None
    return follow_request(runs[0])


def _answers(later: Run, run: Run) -> bool:
    return (
        not later.queued
        and later.started_at > run.started_at
        and later.parameters.get("case") == run.parameters["case"]
    )


def may_start(case_name: str, case_names: Iterable[str]) -> bool:
    """Whether a training of the case may start now, beside the running ones and before the other open requests."""
    return case_name in [each.case for each in _list_startable(case_names)]


def start_next(case_names: Iterable[str], *, but: str | None = None) -> list[Run]:
    """Start the runs of the requests whose turn it is.

    Args:
        case_names: the cases whose requests count.
        but: a case whose automatic requests are left out, because its last run has just not answered them.
    """
    turns = [each for each in _list_startable(case_names) if each.by_person or each.case != but]
    return [
        _start(each, f"the request waited for a slot ({each.cause})") for each in turns if not _is_active(each.case)
    ]


def _list_startable(case_names: Iterable[str]) -> Sequence[Waiting]:
    return list_next(list_waiting(case_names), _list_training(), load_settings().trainings)


def _list_training() -> list[str]:
    """The cases in training."""
    return list_training(_list_started(), load_settings().trainings)


def _list_started() -> list[Started]:
    return [Started(id=run.id, case=str(run.parameters.get("case")), at=run.started_at) for run in list_running()]


def _is_active(case_name: str) -> bool:
    return bool(orchestrator.list_active_runs("train", case_name))
