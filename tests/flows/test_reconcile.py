from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, tzinfo
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from prefect.deployments import run_deployment

from flows.ingest import ingest
from flows.monitor import monitor
from flows.package import package
from flows.reconcile import reconcile
from okawari.case import Case
from okawari.clients import orchestrator
from okawari.clients.prediction_service import Client
from okawari.errors import CasesFailed, OkawariError
from okawari.graph.inference import parse_model
from okawari.local.programs import build_environment
from okawari.loop.status import read_state
from okawari.policy.decision import Decision
from okawari.polling import poll
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log
from tests.browser.edges import name_case
from tests.flows.conftest import BUSY_S, ROOT, START_S, Heard, request_patiently
from tests.ports import find_free_port

pytestmark = pytest.mark.usefixtures("deployed", "heard")

JANUARY_2008 = date(2008, 1, 31)


@pytest.fixture(autouse=True)
def _same_bucket() -> None:
    """Wait where a new ten-minute bucket is about to begin: within one, the same repair is asked for once."""
    now = datetime.now(UTC)
    left_s = 600 - (now.minute % 10 * 60 + now.second)
    if left_s < 20:
        time.sleep(left_s + 1)


def _reconcile_twice() -> list[str]:
    """Repairs of the first pass; the second finds the same loop, because no runner has done anything yet."""
    repairs = reconcile("small", grace_s=0)["small"]
    reconcile("small", grace_s=0)
    return repairs


def test_a_loop_that_is_as_it_should_be_is_left_alone(trained: Case) -> None:
    monitor("small")
    assert _reconcile_twice() == []
    assert [orchestrator.list_runs(flow) for flow in ("train", "package", "monitor")] == [[], [], []]


@pytest.mark.fault
def test_a_broken_case_stops_no_other_and_fails_the_flow_by_name(
    trained: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest("small", until=JANUARY_2008)
    (load_settings().cases_dir / "broken.py").write_text("x = 1\nCASE = (\n")
    monkeypatch.setenv("OKAWARI_CASES", "broken,small")
    load_settings.cache_clear()
    told = r"broken: .*broken\.py, line 2: .*never closed.* The other cases were handled: small\."
    with pytest.raises(CasesFailed, match=told):
        reconcile(grace_s=0)
    [repair] = decision_log.load_decisions("small", kind="repair")
    assert repair["action"] == "monitor"


def test_before_the_first_reading_there_is_nothing_to_repair(fresh: Case) -> None:
    assert reconcile() == {"small": []}  # all cases of the installation


def test_a_lost_data_event_is_made_up_for_by_one_monitor_run(trained: Case) -> None:
    ingest("small", until=JANUARY_2008)
    assert _reconcile_twice() == ["monitor"]
    [run] = orchestrator.list_runs("monitor")
    assert run.parameters == {"case": "small"}
    [repair] = decision_log.load_decisions("small", kind="repair")
    assert repair["action"] == "monitor"


def test_a_missing_champion_is_made_up_for_by_one_training(fresh: Case) -> None:
    ingest("small", until=date(2001, 12, 31))
    assert _reconcile_twice() == ["train"]
    [run] = orchestrator.list_runs("train")
    assert (run.parameters["case"], run.parameters["cause"]) == ("small", "missing")


def test_a_lost_drift_event_is_made_up_for_by_one_training_that_names_its_verdict(trained: Case) -> None:
    ingest("small", until=JANUARY_2008)
    monitor("small")
    [verdict] = decision_log.load_decisions("small", kind="drift")
    assert _reconcile_twice() == ["train"]
    [run] = orchestrator.list_runs("train")
    assert (run.parameters["cause"], run.parameters["cause_id"]) == ("drift", verdict["id"])


def test_an_event_that_is_on_its_way_is_given_time(trained: Case) -> None:
    ingest("small", until=JANUARY_2008)
    assert reconcile("small") == {"small": []}  # the event of the ingest starts `monitor`
    monitor("small")
    assert reconcile("small") == {"small": []}  # the event of the drift starts `train`
    assert orchestrator.list_active_flows("small") == frozenset()


def test_a_training_of_a_later_day_keeps_nothing_from_being_repaired(trained: Case) -> None:
    """A schedule books its runs days ahead; they are no trainings that are under way."""
    ingest("small", until=JANUARY_2008)
    monitor("small")
    [verdict] = decision_log.load_decisions("small", kind="drift")
    booked = run_deployment(
        "train/train", parameters={"case": "small"}, scheduled_time=datetime.now(UTC) + timedelta(hours=1), timeout=0
    )
    assert _reconcile_twice() == ["train"]
    asked = [run for run in orchestrator.list_runs("train") if run.id != str(booked.id)]
    assert [run.parameters.get("cause_id") for run in asked] == [verdict["id"]]


def test_a_training_that_died_on_its_way_is_asked_for_again(trained: Case) -> None:
    ingest("small", until=JANUARY_2008)
    monitor("small")
    verdict = decision_log.load_decisions("small", kind="drift")[0]
    retrain = decision_log.record_decision(
        "small", Decision("retrain", "train", "", {"cause": "drift"}), cause=verdict["id"]
    )
    decision_log.record_decision("small", Decision("variant", "fp32", "the last thing it did"), cause=retrain)
    assert _reconcile_twice() == ["train"]
    [run] = orchestrator.list_runs("train")
    assert (run.parameters["cause"], run.parameters["cause_id"]) == ("drift", retrain)


def test_an_alias_behind_its_promotion_is_set_and_what_follows_is_asked_for_once(trained: Case) -> None:
    version = _promote_without_alias(trained)
    assert _reconcile_twice() == ["set champion", "package", "monitor"]
    champion = versions.load_champion("small")
    assert champion is not None
    assert champion.version == version
    [run] = orchestrator.list_runs("package")
    assert run.parameters == {"case": "small", "version": version}
    assert len(orchestrator.list_runs("monitor")) == 1


def _promote_without_alias(case: Case) -> str:
    """A training that died right after it recorded its promotion."""
    champion = versions.load_champion(case.name)
    assert champion is not None
    facts = {name: value for name, value in asdict(champion).items() if name not in ("case", "version", "run_id")}
    version = versions.register_version(case, champion.run_id, parse_model(versions.load_graph(champion)), facts)
    promotion = Decision("promotion", "promote", "better by far")
    decision_log.record_decision(
        case.name, promotion, snapshot_version=0, run_id=champion.run_id, model_version=version
    )
    return version


# --- what serves --------------------------------------------------------------------------------------------------


def test_a_service_that_serves_another_version_gets_the_champion_once(trained: Case) -> None:
    monitor("small")
    with _serve("0", "f" * 64):
        assert _reconcile_twice() == ["package"]
    [run] = orchestrator.list_runs("package")
    assert run.parameters == {"case": "small", "version": "1"}


def test_a_service_that_serves_the_champion_is_left_alone(trained: Case) -> None:
    monitor("small")
    with _serve("1", _champion_digest()):
        assert _reconcile_twice() == []


@pytest.mark.fault
def test_another_graph_under_the_number_of_the_champion_is_replaced(trained: Case) -> None:
    monitor("small")
    with _serve("1", "f" * 64):
        assert _reconcile_twice() == ["package"]


@pytest.mark.fault
def test_a_service_that_answers_and_serves_nothing_is_repaired_whatever_was_deployed(trained: Case) -> None:
    monitor("small")
    assert decision_log.load_decisions("small", kind="deployment")[0]["model_version"] == "1"
    with _serve(None):
        assert _reconcile_twice() == ["package"]


@pytest.mark.fault
def test_packagings_without_effect_end_with_one_request_for_a_person_who_may_ask_for_more(trained: Case) -> None:
    monitor("small")
    with _serve(None, refused="small:x is refused: its graph takes 4 columns"):
        for repairs in (["package"], ["package"], ["package"], ["needs a person"], []):
            assert reconcile("small", grace_s=0)["small"] == repairs
            _finish_runs()
        assert len(orchestrator.list_runs("package")) == 3
        assert "its graph takes 4 columns" in str(read_state("small").alarm)
        assert reconcile("small", grace_s=0, asked=True)["small"] == ["package"]
        _finish_runs()
        assert reconcile("small", grace_s=0)["small"] == []
    with _serve("1", _champion_digest()):
        assert reconcile("small", grace_s=0)["small"] == ["serves again"]
        assert reconcile("small", grace_s=0)["small"] == []
    assert read_state("small").alarm is None
    with _serve(None):
        assert reconcile("small", grace_s=0)["small"] == ["package"], "a later fault is counted from the start"


def _finish_runs() -> None:
    """End all runs without any effect."""
    with httpx.Client(base_url=f"{load_settings().prefect_base}/api", timeout=BUSY_S) as client:
        for run in orchestrator.list_runs("package"):
            body = {"state": {"type": "COMPLETED"}, "force": True}
            request_patiently(client, "POST", f"/flow_runs/{run.id}/set_state", json=body).raise_for_status()


def _champion_digest() -> str:
    champion = versions.load_champion("small")
    assert champion is not None
    return champion.graph_sha256


@contextmanager
def _serve(version: str | None, graph_sha256: str = "", **facts: str) -> Iterator[None]:
    """A service that answers `GET /cases` as the real one does, and serves this version (or nothing)."""
    case = {**name_case("small", version or ""), **facts}
    case["model"] = None if version is None else {**case["model"], "graph_sha256": graph_sha256}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"cases": [case]}).encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answering) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        os.environ["OKAWARI_SERVICE_URL"] = f"http://127.0.0.1:{service.server_port}"
        load_settings.cache_clear()
        yield
        service.shutdown()


def _flip_a_byte(store: Path) -> None:
    [graph] = store.glob("*/graph.onnx")
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")


def _lose_the_folder(store: Path) -> None:
    shutil.rmtree(store)


def _damage_the_pointer(store: Path) -> None:
    (store / "latest").write_text("gone")
    (store / "half").mkdir()
    (store / "An odd name").mkdir()


@pytest.mark.fault
@pytest.mark.heavy
@pytest.mark.parametrize("damage", [_flip_a_byte, _lose_the_folder, _damage_the_pointer])
def test_a_damaged_model_store_is_repaired_by_one_pass(damage: Callable[[Path], None], trained: Case) -> None:
    monitor("small")
    damage(Path(os.environ["BENTOML_HOME"]) / "models" / "small")
    with _start_service():
        assert _reconcile_twice() == ["package"]
        [run] = orchestrator.list_runs("package")
        package(**run.parameters)
        _finish_runs()
        assert poll(_is_healthy, every_s=0.2, timeout_s=BUSY_S)
        assert _reconcile_twice() == ["serves again"]


def _is_healthy() -> bool:
    with Client(timeout=BUSY_S) as client:
        [case] = client.cases()
    return case.refused is None and case.model is not None and case.model.graph_sha256 == _champion_digest()


@contextmanager
def _start_service() -> Iterator[None]:
    """The real service over the model store of this installation."""
    port = find_free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "bentos.service:Okawari", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1"],
        cwd=ROOT,
        env=build_environment(load_settings()) | {"BENTOML_HOME": os.environ["BENTOML_HOME"]},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.environ["OKAWARI_SERVICE_URL"] = f"http://127.0.0.1:{port}"
    load_settings.cache_clear()
    try:
        assert poll(_answers, every_s=0.2, timeout_s=START_S)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers end with it; killed, it would leave them
        process.wait(START_S)


def _answers() -> bool:
    try:
        with Client() as client:
            return bool(client.cases())
    except OkawariError:
        return False


# --- clocks -------------------------------------------------------------------------------------------------------


class Tomorrow(datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(days=1)


@pytest.mark.fault
def test_a_promotion_of_a_day_on_which_the_clock_was_ahead_does_not_come_back(
    trained: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor("small")
    with monkeypatch.context() as clock:
        clock.setattr(decision_log, "datetime", Tomorrow)
        decision_log.record_decision("small", Decision("promotion", "promote", "better"), model_version="1")
    version = _promote_without_alias(trained)
    versions.set_champion("small", version)
    with _serve("1", _champion_digest()):
        assert "set champion" not in _reconcile_twice()
    champion = versions.load_champion("small")
    assert champion is not None
    assert champion.version == version


@pytest.mark.fault
def test_records_of_a_day_on_which_the_clock_was_ahead_delay_no_repair(
    trained: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor("small")
    with monkeypatch.context() as clock:
        clock.setattr(decision_log, "datetime", Tomorrow)
        decision_log.record_decision("small", Decision("promotion", "promote", "better"), model_version="1")
        decision_log.record_decision("small", Decision("deployment", "deployed", "stored"), model_version="1")
    with _serve(None):
        assert reconcile("small")["small"] == ["package"]


def test_what_the_service_journalled_is_absorbed(trained: Case, heard: Heard) -> None:
    folder = prediction_log.journal_dir("small") / "outcomes"
    folder.mkdir(parents=True)
    row = {
        "id": "a" * 32,
        "index": 0,
        "step": 1,
        "target": "",
        "value": 1.5,
        "at": "2008-01-02T00:00:00+00:00",
        "case": "small",
    }
    (folder / "1-1.jsonl").write_text(json.dumps(row) + "\n")
    reconcile("small")
    assert prediction_log.load_outcomes("small")["value"].tolist() == [1.5]
    assert not list(folder.iterdir())
