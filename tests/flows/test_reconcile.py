from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.deployments import run_deployment

from flows.ingest import ingest
from flows.monitor import monitor
from flows.reconcile import reconcile
from okawari.case import Case
from okawari.clients import orchestrator
from okawari.errors import CasesFailed
from okawari.graph.inference import parse_model
from okawari.policy.decision import Decision
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log
from tests.browser.edges import name_case
from tests.flows.conftest import Heard

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


def test_a_service_that_serves_another_version_gets_the_champion_once(trained: Case) -> None:
    monitor("small")
    with _serve_version("0"):
        assert _reconcile_twice() == ["package"]
    [run] = orchestrator.list_runs("package")
    assert run.parameters == {"case": "small", "version": "1"}


def test_a_service_that_serves_the_champion_is_left_alone(trained: Case) -> None:
    monitor("small")
    with _serve_version("1"):
        assert _reconcile_twice() == []


@contextmanager
def _serve_version(version: str) -> Iterator[None]:
    """A service that answers `GET /cases` as the real one does, and serves this version."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"cases": [name_case("small", version)]}).encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answering) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        os.environ["OKAWARI_SERVICE_URL"] = f"http://127.0.0.1:{service.server_port}"
        load_settings.cache_clear()
        yield
        service.shutdown()


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
