"""Requests for a training beside a real Prefect server: storms, whose turn it is, and what a stopped runner leaves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from flows.ingest import ingest
from flows.publish import build_resource
from flows.train import train
from okawari import events
from okawari.case import Case
from okawari.clients import orchestrator, run_queue
from okawari.clients.orchestrator import Run
from okawari.loop import requests, turns
from okawari.policy.decision import Decision
from okawari.polling import poll
from okawari.settings import load_settings
from okawari.storage import decision_log
from tests.flows.conftest import BUSY_S, SMALL, request_patiently

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("deployed")]

WAIT_S = 180
END_2001 = date(2001, 12, 31)


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/api", timeout=BUSY_S) as opened:
        yield opened


@pytest.fixture
def others(fresh: Case) -> None:
    """Two more cases in the installation."""
    names = ("second", "third")
    for name in names:
        Path(os.environ["OKAWARI_CASES_DIR"], f"{name}.py").write_text(SMALL.replace('"small"', f'"{name}"'))
    os.environ["OKAWARI_CASES"] = ",".join(("small", *names))
    load_settings.cache_clear()


def _begin(client: httpx.Client, case: str) -> Run:
    """A training that runs on the server."""
    run = orchestrator.start_run("train", {"case": case, "cause": "schedule"})
    state = {"state": {"type": "RUNNING", "name": "Running"}, "force": True}
    request_patiently(client, "POST", f"/flow_runs/{run.id}/set_state", json=state).raise_for_status()
    return run


def _end(client: httpx.Client, run: Run) -> None:
    state = {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True}
    request_patiently(client, "POST", f"/flow_runs/{run.id}/set_state", json=state).raise_for_status()


def _storm(client: httpx.Client, cases: list[Case], n_events: int, seconds: float) -> None:
    """Emit drift events about all cases, evenly over some seconds, as if other flows had."""
    began, size = time.monotonic(), 50
    for start in range(0, n_events, size):
        now = datetime.now(UTC).isoformat()
        batch = [
            {
                "id": str(uuid4()),
                "event": events.DRIFT_DETECTED,
                "occurred": now,
                "resource": build_resource(case, uuid4().hex),
                "payload": {"reason": f"storm {start + index}"},
            }
            for index, case in enumerate(cases * (size // len(cases)))
        ]
        request_patiently(client, "POST", "/events", json=batch).raise_for_status()
        time.sleep(max(0.0, began + seconds * (start + size) / n_events - time.monotonic()))


# --- storms -------------------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_a_thousand_drift_events_create_at_most_two_runs_of_a_case(
    fresh: Case, others: None, client: httpx.Client
) -> None:
    cases = [replace(fresh, name=name) for name in ("second", "third")]
    _storm(client, cases, 1000, 10.0)
    # Events are evaluated in their order: once a later one of another kind has started its run, the storm is over.
    last = {
        "id": str(uuid4()),
        "event": events.DATA_INGESTED,
        "occurred": datetime.now(UTC).isoformat(),
        "resource": build_resource(cases[0], uuid4().hex),
        "payload": {},
    }
    request_patiently(client, "POST", "/events", json=[last]).raise_for_status()
    assert poll(lambda: orchestrator.list_active_runs("monitor", "second"), every_s=0.5, timeout_s=WAIT_S)
    counts = [len(orchestrator.list_active_runs("train", case.name)) for case in cases]
    assert all(1 <= count <= 2 for count in counts), counts


def test_fifty_equal_ingests_in_a_row_create_one_waiting_run(fresh: Case) -> None:
    runs = {orchestrator.start_run("ingest", {"case": "small", "file": "/tmp/same.csv"}).id for _ in range(50)}
    assert len(runs) == 1
    assert orchestrator.start_run("ingest", {"case": "small", "file": "/tmp/other.csv"}).id not in runs


# --- whose turn it is ---------------------------------------------------------------------------------------------


def test_a_run_that_finds_its_case_in_training_joins_it_and_ends(fresh: Case, client: httpx.Client) -> None:
    ingest("small", until=END_2001)
    _begin(client, "small")
    assert train("small", cause="drift")["action"] == "join"
    assert requests.load_history("small").open == {}


def test_a_run_that_finds_no_free_slot_ends_and_its_request_waits(
    fresh: Case, others: None, client: httpx.Client
) -> None:
    ingest("small", until=END_2001)
    running = _begin(client, "second")
    queued = train("small", cause="schedule")
    assert queued["action"] == "wait"
    assert "waits behind the training of second; position 1 in the queue" in queued["reason"]
    assert turns.start_next(load_settings().case_names) == [], "the slot is still taken"
    _end(client, running)
    [run] = turns.start_next(load_settings().case_names)
    [record] = requests.load_history("small").open
    assert (run.parameters["case"], run.parameters["cause_id"]) == ("small", record)
    assert turns.start_next(load_settings().case_names) == [], "its run is on its way"


def test_a_second_slot_lets_cases_train_side_by_side(
    fresh: Case, others: None, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _begin(client, "second")
    ingest("small", until=END_2001)
    assert turns.may_start("small", ["small"]) is False
    monkeypatch.setenv("OKAWARI_TRAININGS", "2")
    load_settings.cache_clear()
    assert turns.may_start("small", ["small"]) is True


def test_a_person_starts_before_all_who_wait_and_the_earlier_run_gives_way(
    fresh: Case, others: None, client: httpx.Client
) -> None:
    ingest("small", until=END_2001)
    drift = Decision("drift", "drifted", "moved")
    for case in ("small", "second"):
        decision_log.record_decision(case, drift)
    running = _begin(client, "second")
    orchestrator.start_run("monitor", {"case": "small"})  # waits longer, but in the queue for all
    asked = turns.request_training("third", "asked", "a person")
    _end(client, running)

    # The event of the older verdict reaches its run first, but a person waits.
    verdict = next(iter(requests.load_history("small").open))
    assert train("small", cause="drift", cause_id=verdict)["action"] == "wait"
    assert turns.start_next(load_settings().case_names) == [], "the run of the person is on its way"
    first, *later = [run["parameters"]["case"] for run in _list_due(client)]
    assert first == "third"
    assert "small" in later
    assert asked.parameters["cause_id"] in requests.load_history("third").open


def _list_due(client: httpx.Client) -> list[dict[str, Any]]:
    """The runs that a runner with room for all would take now, in its order."""
    answer = request_patiently(client, "POST", "/work_pools/local/get_scheduled_flow_runs", json={"limit": 50})
    return [entry["flow_run"] for entry in answer.raise_for_status().json()]


def test_a_run_for_an_answered_request_does_not_train_again(trained: Case) -> None:
    asked = turns.request_training("small", "asked", "a person").parameters["cause_id"]
    decision_log.record_decision("small", Decision("retrain", "train", "", {"cause": "asked"}), id="r", cause=asked)
    decision_log.record_decision("small", Decision("promotion", "keep", ""), cause="r")
    assert train("small", cause="asked", cause_id=asked)["action"] == "join"


def test_a_training_that_fails_for_its_own_reason_is_recorded_and_not_repeated(
    fresh: Case, others: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest("small", until=date(2000, 4, 30))  # fewer readings than the gate needs
    with pytest.raises(ValueError):
        train("small", cause="missing")
    failed = decision_log.load_decisions("small", 1)[0]
    assert (failed["kind"], failed["action"]) == ("retrain", "fail")
    waiting = requests.find_waiting("small")
    assert waiting is not None
    assert waiting.due_in_s > 500
    assert not turns.may_start("small", ["small"])
    assert "a person at any time: okawari run small --retrain" in train("small", cause="missing")["reason"]


# --- what a stopped runner leaves ---------------------------------------------------------------------------------


def test_runs_that_wait_for_a_stopped_runner_are_cleared_but_for_files(fresh: Case, client: httpx.Client) -> None:
    dead = _begin(client, "small")
    for number in range(60):
        orchestrator.start_run("monitor", {"case": f"c{number}"})
    files = [orchestrator.start_run("ingest", {"case": "small", "file": f"/tmp/{number}.csv"}) for number in range(3)]
    keys = ("a", "b")
    equal = [orchestrator.start_run("ingest", {"case": "small"}, idempotency_key=key) for key in keys]
    run_queue.clear_runs()

    assert orchestrator.load_run(dead.id).state == "CRASHED"
    assert orchestrator.list_active_flows("small") == frozenset()
    assert {orchestrator.load_run(run.id).state for run in files} == {"SCHEDULED"}
    assert sorted(orchestrator.load_run(run.id).state for run in equal) == ["CANCELLED", "SCHEDULED"]
    waiting = orchestrator.list_runs("monitor", states=("SCHEDULED",), limit=200)
    assert [run for run in waiting if run.parameters.get("case", "").startswith("c")] == []


@pytest.mark.heavy
def test_a_run_whose_process_is_gone_is_marked_as_crashed(
    fresh: Case, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_queue, "_DEAD_AFTER_S", 10)
    run_queue.ensure_death_rule()
    run_queue.ensure_death_rule()  # again, as every start does
    run = _begin(client, "small")
    time.sleep(5)  # the server loads its rules
    heartbeat = {
        "id": str(uuid4()),
        "event": "prefect.flow-run.heartbeat",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
    }
    request_patiently(client, "POST", "/events", json=[heartbeat]).raise_for_status()
    assert poll(lambda: orchestrator.run_state(run.id) == "CRASHED", every_s=1.0, timeout_s=90)
