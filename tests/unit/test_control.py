"""Asking the Prefect server, against a small HTTP server that answers as told: patience, and sentences for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from okawari.clients import orchestrator
from okawari.clients.orchestrator import Run, RunFailed
from okawari.errors import InvalidInput, ServerUnreachable
from okawari.progress import Step
from okawari.settings import Settings, adopt_settings

if TYPE_CHECKING:
    from tests.conftest import SmallServer

TRAIN = "GET /api/deployments/name/train/train"
CREATE = "POST /api/deployments/d1/create_flow_run"
RUNS = "POST /api/flow_runs/filter"
LOGS = "POST /api/logs/filter"
ARTIFACTS = "POST /api/artifacts/filter"
POOLS = "POST /api/work_pools/filter"


@pytest.fixture
def server(home: Path, small_server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> SmallServer:
    """A server at the address of the settings; waiting for it is short."""
    monkeypatch.setattr(orchestrator, "_BUSY_PAUSE_S", 0.001)
    monkeypatch.setattr(orchestrator, "_BUSY_TIMEOUT_S", 1.0)
    monkeypatch.setattr(orchestrator, "_LOG_DELAY_S", 0.001)
    adopt_settings(Settings(home=home, prefect_port=small_server.port))
    return small_server


def _run(state: str = "RUNNING", **change: Any) -> dict[str, Any]:
    """A flow run as the server words it."""
    return {
        "id": "r1",
        "name": "train aapl",
        "state": {"type": state, "message": None},
        "parameters": {"case": "aapl"},
        "created_by": {"type": "DEPLOYMENT"},
        **change,
    }


# --- starting runs ------------------------------------------------------------------------------------------------


def test_a_run_is_started_on_its_flows_deployment_with_its_parameters(server: SmallServer) -> None:
    server.tell(TRAIN, {"id": "d1"})
    server.tell(CREATE, _run("SCHEDULED"))
    run = orchestrator.start_run("train", {"case": "aapl", "cause": "asked"}, idempotency_key="once")
    assert run == Run("r1", "train aapl", "SCHEDULED", "", {"case": "aapl"}, automated=False)
    assert server.asked[CREATE] == [{"parameters": {"case": "aapl", "cause": "asked"}, "idempotency_key": "once"}]


def test_a_person_who_asks_for_a_training_is_told_its_run(server: SmallServer) -> None:
    server.tell(TRAIN, {"id": "d1"})
    server.tell(CREATE, _run())
    assert orchestrator.request_retrain("aapl", "I want to") == "r1"
    (asked,) = server.asked[CREATE]
    assert asked["parameters"] == {"case": "aapl", "cause": "asked", "reason": "I want to"}


def test_a_busy_server_is_asked_again_until_it_answers(server: SmallServer) -> None:
    server.tell(TRAIN, None, None, status=503)
    server.tell(TRAIN, {"id": "d1"})
    server.tell(CREATE, None, status=503)
    server.tell(CREATE, _run())
    assert orchestrator.start_run("train", {"case": "aapl"}).id == "r1"
    assert (len(server.asked[TRAIN]), len(server.asked[CREATE])) == (3, 2)


def test_a_question_that_is_asked_again_starts_no_second_run(server: SmallServer) -> None:
    server.tell(TRAIN, {"id": "d1"})
    server.tell(CREATE, None, status=503)
    server.tell(CREATE, _run())
    orchestrator.start_run("train", {"case": "aapl"})
    orchestrator.start_run("train", {"case": "aapl"})
    first, again, other = (asked["idempotency_key"] for asked in server.asked[CREATE])
    assert first == again != other
    assert first


def test_a_server_that_stays_busy_is_said_to_be_busy(server: SmallServer, home: Path) -> None:
    server.tell(TRAIN, None, status=503)
    with pytest.raises(ServerUnreachable, match=f"http://127.0.0.1:.* stays busy; look at its log in {home / 'logs'}"):
        orchestrator.start_run("train", {})
    assert len(server.asked[TRAIN]) > 5, "it was asked again and again"


def test_a_flow_that_is_not_deployed_is_said_so_with_the_cure(server: SmallServer) -> None:
    with pytest.raises(InvalidInput, match=r"Flow train is not deployed; run: okawari up\."):
        orchestrator.start_run("train", {})


def test_parameters_that_do_not_fit_are_told_in_the_servers_words(server: SmallServer) -> None:
    server.tell(TRAIN, {"id": "d1"})
    server.tell(CREATE, {"detail": "case is required"}, status=409)
    with pytest.raises(
        InvalidInput, match=r"Prefect refused /api/deployments/d1/create_flow_run: 409 .*case is required"
    ):
        orchestrator.start_run("train", {})


def test_no_server_at_all_is_said_so_with_its_address_and_the_cure(home: Path, free_port: int) -> None:
    adopt_settings(Settings(home=home, prefect_port=free_port))
    with pytest.raises(
        ServerUnreachable,
        match=rf"No Prefect server answers at http://127.0.0.1:{free_port} .*; start it with: okawari up",
    ):
        orchestrator.start_run("train", {})


# --- following runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "ended", "succeeded"),
    [
        ("SCHEDULED", False, False),
        ("PENDING", False, False),
        ("RUNNING", False, False),
        ("COMPLETED", True, True),
        ("FAILED", True, False),
        ("CRASHED", True, False),
        ("CANCELLED", True, False),
    ],
)
def test_a_runs_state_says_whether_it_has_ended_and_well(
    state: str, ended: bool, succeeded: bool, server: SmallServer
) -> None:
    server.tell("GET /api/flow_runs/r1", _run(state))
    run = orchestrator.load_run("r1")
    assert (run.state, run.ended, run.succeeded) == (state, ended, succeeded)
    assert orchestrator.run_state("r1") == state


def test_a_run_that_has_no_state_yet_is_scheduled(server: SmallServer) -> None:
    server.tell("GET /api/flow_runs/r1", _run(state=None, created_by=None, parameters=None))
    run = orchestrator.load_run("r1")
    assert (run.state, run.parameters, run.automated) == ("SCHEDULED", {}, False)


def test_an_unknown_run_is_said_to_be_unknown(server: SmallServer) -> None:
    with pytest.raises(InvalidInput, match="There is no flow run r9"):
        orchestrator.load_run("r9")


def test_runs_of_a_flow_are_told_apart_by_who_started_them(server: SmallServer) -> None:
    server.tell(RUNS, [_run(), _run(id="r2", created_by={"type": "AUTOMATION"})])
    assert [run.automated for run in orchestrator.list_runs("train", states=("RUNNING",), limit=5)] == [False, True]
    (asked,) = server.asked[RUNS]
    assert asked["flows"] == {"name": {"any_": ["train"]}}
    assert asked["flow_runs"]["state"] == {"type": {"any_": ["RUNNING"]}}
    assert asked["limit"] == 5


def _lines(*messages: str) -> list[dict[str, str]]:
    return [{"message": message} for message in messages]


def test_a_run_is_followed_to_its_end_and_its_cases_lines_are_shown_once(server: SmallServer) -> None:
    server.tell("GET /api/flow_runs/r1", _run(), _run(), _run("COMPLETED"))
    server.tell(RUNS, [_run(id="child")])
    server.tell(LOGS, _lines("aapl: one", "Created task run"), [], _lines("aapl: two", "cpi: other"))
    half = {"data": 50.0, "description": "lstm_2x64: 6 of 12, train_loss 0.5"}
    server.tell(ARTIFACTS, [half], [half], [{**half, "data": 100.0, "description": "lstm_2x64: 12 of 12"}])
    shown: list[str] = []
    steps: list[Step] = []
    assert orchestrator.follow_run("r1", shown.append, watch=steps.append, poll_s=0.001).succeeded
    assert shown == ["aapl: one", "aapl: two"]
    assert steps == [Step("lstm_2x64", 0.5, "6 of 12, train_loss 0.5"), Step("lstm_2x64", 1.0, "12 of 12")]
    assert [asked["offset"] for asked in server.asked[LOGS]] == [0, 2, 2]
    assert server.asked[LOGS][0]["logs"]["flow_run_id"] == {"any_": ["r1", "child"]}


def test_a_run_that_does_not_end_is_not_followed_for_ever(server: SmallServer) -> None:
    server.tell("GET /api/flow_runs/r1", _run())
    server.tell(RUNS, [])
    server.tell(LOGS, [])
    server.tell(ARTIFACTS, [])
    with pytest.raises(TimeoutError, match="Flow run r1 has not ended after 0 s; look at it on the Prefect page"):
        orchestrator.follow_run("r1", print, poll_s=0.001, timeout_s=0.05)


def _ended(state: str, message: str = "") -> Run:
    return Run("r1", "train aapl", state, message, {}, automated=False)


def test_a_run_that_succeeded_is_handed_on(server: SmallServer) -> None:
    assert orchestrator.require_success(_ended("COMPLETED")) == _ended("COMPLETED")


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (_ended("FAILED", "no readings"), "train aapl failed: no readings"),
        (_ended("CRASHED"), "train aapl crashed: no message"),
        (_ended("RUNNING"), "train aapl running: no message"),
    ],
)
def test_a_run_without_success_is_an_error_that_says_why(run: Run, told: str) -> None:
    with pytest.raises(RunFailed, match=told):
        orchestrator.require_success(run)


# --- setting up ---------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("known", [[], [{"name": "local"}]])
def test_the_work_pool_admits_no_overrides_whether_it_is_new_or_known(
    known: list[dict[str, str]], server: SmallServer
) -> None:
    server.tell(POOLS, known)
    server.tell("POST /api/work_pools/", {"name": "local"}, status=201)
    server.tell("PATCH /api/work_pools/local", {}, status=200)
    orchestrator.ensure_work_pool("local")
    created, changed = server.asked["POST /api/work_pools/"], server.asked["PATCH /api/work_pools/local"]
    assert [pool["type"] for pool in created] == ([] if known else ["process"])
    variables = [*created, *changed][0]["base_job_template"]["variables"]
    assert variables == {"type": "object", "properties": {}, "additionalProperties": False}


def test_runs_whose_runner_is_dead_are_marked_as_crashed(server: SmallServer) -> None:
    server.tell(RUNS, [{"id": "a"}, {"id": "b"}])
    for run_id in "ab":
        server.tell(f"POST /api/flow_runs/{run_id}/set_state", {})
    assert orchestrator.abandon_dead_runs() == 2
    for run_id in "ab":
        (asked,) = server.asked[f"POST /api/flow_runs/{run_id}/set_state"]
        assert (asked["state"]["type"], asked["force"]) == ("CRASHED", True)
