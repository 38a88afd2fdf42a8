"""The deployments of prefect.yaml on a real server: an event that a flow emits starts the run that it should."""

from __future__ import annotations

import time

import pytest

from flows.publish import emit
from okawari import events
from okawari.case import Case
from okawari.clients import orchestrator
from okawari.clients.orchestrator import Run
from okawari.polling import poll

pytestmark = pytest.mark.usefixtures("deployed")

MONITOR_WINDOW_S = 6
"""Longer than `within` of the trigger of `monitor`."""
WAIT_S = 180  # an event waits for the server's own services, which come late beside heavy load


def _await_runs(flow: str) -> list[Run]:
    runs = poll(lambda: orchestrator.list_runs(flow), every_s=0.2, timeout_s=WAIT_S)
    assert runs, f"no {flow} run within {WAIT_S} s"
    return runs


@pytest.mark.parametrize("name", events.RETRAIN_CAUSES)
def test_a_cause_to_retrain_starts_one_training_that_names_it(fresh: Case, name: str) -> None:
    reason = 'a feature "moved": {distance 0.6, p < 0.01}'
    emit(name, fresh, {"reason": reason}, trace="t" * 32)
    [run] = _await_runs("train")
    assert run.automated
    assert run.parameters == {
        "case": "small",
        "cause": events.RETRAIN_CAUSES[name],
        "reason": reason,
        "cause_id": "t" * 32,
    }


def test_new_data_starts_the_monitor_of_its_case(fresh: Case) -> None:
    emit(events.DATA_INGESTED, fresh, {"snapshot": 3}, trace="t" * 32)
    [run] = _await_runs("monitor")
    assert run.automated
    assert run.parameters == {"case": "small"}


def test_what_another_event_has_asked_for_is_not_asked_for_again(fresh: Case) -> None:
    time.sleep(MONITOR_WINDOW_S)  # the trigger has fired for this case in another test
    emit(events.PERFORMANCE_DEGRADED, fresh, {"reason": "worse"}, trace="t" * 32, is_duplicate=True)
    emit(events.DATA_INGESTED, fresh, {"snapshot": 3}, trace="t" * 32)  # later, so once it is answered both are
    _await_runs("monitor")
    assert orchestrator.list_runs("train") == []
