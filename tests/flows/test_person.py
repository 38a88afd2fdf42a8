"""A person's decisions hold against trainings, repairs and kills, and moves of the alias by hand are theirs too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from mlflow import MlflowClient

from flows.ingest import ingest
from flows.reconcile import reconcile
from flows.train import train
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.clients import orchestrator, prediction_service
from okawari.graph.build import build_graph
from okawari.graph.inference import parse_model
from okawari.loop.lineage import trace_prediction
from okawari.loop.standings import gather_version_facts, load_standing, to_identity
from okawari.models.cores import ConstantCore, Interval
from okawari.policy.decision import Action, Decision, Kind
from okawari.policy.overrides import Order, decide_approve, decide_pin, decide_promote, decide_rollback
from okawari.polling import poll
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, snapshots
from okawari.storage.deployable import MANIFEST_FILE, digest
from okawari.training.champion import carry_out, finish_move
from okawari.training.host import PlainHost
from tests.flows.conftest import ROOT, SMALL, Heard
from tests.ports import find_free_port

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("heard")]

ADA = Order(by="ada@laptop", reason="it looks wrong")


def _register(case: Case, growth: float, *, of: Case | None = None) -> Version:
    """A registered version whose model grows by `growth` a step; `of` is the case as its training knew it."""
    trained, snapshot = of or case, snapshots.load_snapshot(case)
    assert snapshot is not None
    graph = build_graph(ConstantCore(np.full(3, growth)), trained, Interval(0.9, np.full(3, 0.05)))
    champion = versions.load_version(case.name, "1")
    facts = {**asdict(champion), "candidate": "constant", "graph_sha256": digest(graph), "settings_sha256": None}
    known = {name: value for name, value in facts.items() if name not in ("case", "version", "run_id")}
    with runs.record_training(trained, snapshot, snapshots.load_readings(case), {}) as run_id:
        runs.record_file(run_id, graph, "variants/fp32.onnx")
        version = versions.register_version(case, run_id, parse_model(graph), known)
    return versions.load_version(case.name, version)


def _rule(case: Case, decision: Decision) -> None:
    """What a person's command does up to the packaging, before which this process is killed."""
    version = str(decision.facts["version"])
    decision_log.record_decision(case.name, decision, model_version=version)
    finish_move(case)


@pytest.fixture
def worse(trained: Case) -> Case:
    """After the first training, version 2 is promoted by a person; it is so bad that every training beats it."""
    version = _register(trained, 0.2)
    _rule(trained, decide_promote(gather_version_facts("small"), ADA, version.version))
    return trained


def _champion() -> str | None:
    return versions.load_alias("small").version


def _newest(kind: str) -> dict[str, Any]:
    return decision_log.load_decisions("small", 1, kind=kind)[0]


def _by_hand() -> MlflowClient:
    """MLflow's own client, as its page uses it."""
    return MlflowClient(load_settings().mlflow_base)


# --- trainings ----------------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_a_rollback_bars_a_version_and_an_equal_one_that_is_trained_again(worse: Case) -> None:
    _rule(worse, decide_promote(gather_version_facts("small"), ADA, "1"))
    _rule(worse, decide_rollback(gather_version_facts("small"), ADA))
    assert _champion() == "2"
    done = train("small", cause="asked")
    assert (done["action"], done["version"], _champion()) == ("keep", "3", "2")
    assert "it equals version 1 (the same graph), which ada@laptop barred" in done["reason"]
    assert done["reason"].endswith("to allow it run: okawari unbar small 1")
    again, first = (to_identity(versions.load_version("small", number)) for number in "31")
    assert replace(again, version="1") == first


def test_a_pin_holds_against_a_better_challenger_until_it_is_removed(worse: Case, heard: Heard) -> None:
    carry_out(worse, decide_pin(gather_version_facts("small"), ADA, "2"), PlainHost())
    done = train("small", cause="asked")
    assert (done["action"], done["version"], _champion()) == ("hold", "3", "2")
    assert "which is better" in done["reason"] and "to rows that it may have learned" in done["reason"]
    assert "but version 2 is pinned by ada@laptop" in done["reason"]
    assert heard()[-1].event == events.MODEL_REJECTED
    assert _newest(Kind.DEPLOYMENT)["model_version"] == "1"  # nothing was packaged


def _need_approval() -> Case:
    """Change the case's file, so that a person has to approve each challenger."""
    path = Path(os.environ["OKAWARI_CASES_DIR"]) / "small.py"
    path.write_text(SMALL.replace("calibration=60", "calibration=60, approval=True"))
    load_case.cache_clear()
    return load_case("small")


def test_a_challenger_waits_for_approval_and_then_serves(worse: Case, heard: Heard) -> None:
    case = _need_approval()
    done = train("small", cause="asked")
    assert (done["action"], done["version"], _champion()) == ("await approval", "3", "2")
    assert done["reason"].endswith("; it waits for a person: okawari approve small 3")
    assert heard()[-1].event == events.APPROVAL_REQUESTED
    carry_out(case, decide_approve(gather_version_facts("small"), ADA), PlainHost())
    assert _champion() == "3"
    assert _newest(Kind.DEPLOYMENT)["model_version"] == "3"
    folder = Path(os.environ["BENTOML_HOME"]) / "models" / "small"
    entry = folder / (folder / "latest").read_text()
    assert json.loads((entry / MANIFEST_FILE).read_text())["version"] == "3"
    assert load_standing("small").waiting is None


@pytest.mark.heavy
@pytest.mark.usefixtures("deployed")
def test_a_first_challenger_waits_too_and_is_not_trained_again(fresh: Case) -> None:
    _need_approval()
    ingest("small", until=date(2001, 12, 31))
    assert train("small", cause="missing")["action"] == "await approval"
    assert _champion() is None
    assert reconcile("small", grace_s=0) == {"small": []}
    assert train("small", cause="missing") == {
        "action": "skip",
        "reason": "the case already has a challenger that waits",
    }
    carry_out(load_case("small"), decide_approve(gather_version_facts("small"), ADA), PlainHost())
    assert _champion() == "1"


# --- the alias ----------------------------------------------------------------------------------------------------


def _reconcile() -> list[str]:
    """Repairs of a pass, without a verdict on the newest snapshot, which is another matter."""
    return [action for action in reconcile("small", grace_s=0)["small"] if action != "monitor"]


@pytest.mark.usefixtures("deployed")
def test_an_alias_moved_by_hand_is_adopted_and_packaged(worse: Case, heard: Heard) -> None:
    _by_hand().set_registered_model_alias("small", "champion", "1")
    assert _reconcile() == ["adopt"]  # version 1 is the one that was deployed
    adopted = _newest(Kind.PERSON)
    assert (adopted["action"], adopted["model_version"]) == ("adopt", "1")
    assert adopted["facts"]["by"] == "a person in MLflow"
    assert heard()[-1].event == events.CHAMPION_ADOPTED
    _by_hand().set_registered_model_alias("small", "champion", "2")
    assert _reconcile() == ["adopt", "package"]
    [run] = orchestrator.list_runs("package")
    assert run.parameters == {"case": "small", "version": "2"}
    assert _reconcile() == []  # the package run waits for a runner, and the alias is left alone
    assert _champion() == "2"


@pytest.mark.usefixtures("deployed")
def test_an_alias_moved_to_a_version_of_other_columns_is_put_back_once(trained: Case, heard: Heard) -> None:
    other = replace(trained, columns=trained.columns[::-1])
    _by_hand().set_registered_model_alias("small", "champion", _register(trained, 0.2, of=other).version)
    assert _reconcile() == ["put back"]
    assert _champion() == "1"
    rows = decision_log.load_decisions("small", kind=Kind.REPAIR)
    [row] = [each for each in rows if each["action"] == Action.PUT_BACK]
    assert "Version 2 was trained on the columns volume, close, low, high, open" in row["reason"]
    told = [event for event in heard() if event.event == events.CHAMPION_PUT_BACK]
    assert [event.resource["okawari.trace"] for event in told] == [row["id"]]
    assert _reconcile() == []


@pytest.mark.usefixtures("deployed")
def test_a_decision_whose_process_was_killed_before_it_moved_the_alias_is_finished(worse: Case) -> None:
    decision = decide_rollback(gather_version_facts("small"), ADA)
    decision_log.record_decision("small", decision, model_version="1")  # and then the process is killed
    assert _champion() == "2"
    assert _reconcile() == ["set champion"]  # version 1 is deployed already
    assert _champion() == "1"
    assert load_standing("small").is_barred("2")
    assert _newest(Kind.PERSON)["action"] == "roll back"


@pytest.mark.usefixtures("deployed")
def test_a_decision_whose_process_was_killed_before_it_packaged_is_packaged(worse: Case) -> None:
    assert _champion() == "2"
    assert _reconcile() == ["package"]
    [run] = orchestrator.list_runs("package")
    assert run.parameters == {"case": "small", "version": "2"}


# --- the command, with a real service -----------------------------------------------------------------------------


@contextmanager
def _serve() -> Iterator[None]:
    """A real prediction service on the installation's model store."""
    port = find_free_port()
    os.environ["OKAWARI_SERVICE_URL"] = f"http://127.0.0.1:{port}"
    load_settings.cache_clear()
    command = [sys.executable, "-m", "bentoml", "serve", "bentos.service:Okawari", "--port", str(port)]
    process = subprocess.Popen([*command, "--host", "127.0.0.1"], cwd=ROOT)
    try:
        assert poll(lambda: _find_serving(port), every_s=0.2, timeout_s=120) == "1"
        yield
    finally:
        process.terminate()
        process.wait(60)


def _find_serving(port: int) -> str | None:
    try:
        shown = httpx.get(f"http://127.0.0.1:{port}/cases", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return None
    model = shown["cases"][0]["model"]
    return None if model is None else str(model["version"])


def _okawari(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "okawari", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


@pytest.mark.heavy
def test_a_person_promotes_rolls_back_and_the_service_follows_without_prefect(trained: Case) -> None:
    _register(trained, 0.2)
    os.environ["OKAWARI_PREFECT_URL"] = "http://127.0.0.1:9"
    with _serve():
        promoted = _okawari("promote", "small", "2", "--reason", "a trial")
        assert (promoted.returncode, promoted.stderr) == (0, "")
        assert promoted.stdout.splitlines()[-1] == "small: version 2 serves"
        answer = prediction_service.Client().forecast("small")
        assert answer.model.version == "2"
        rolled_back = _okawari("rollback", "small", "--reason", "wrong since Monday")
        assert (rolled_back.returncode, rolled_back.stderr) == (0, "")
        assert "rolled back: version 1 instead of 2: wrong since Monday" in rolled_back.stdout
        assert prediction_service.Client().forecast("small").model.version == "1"
        listed = _okawari("versions", "small").stdout
        assert "serving" in listed and "barred" in listed
        refused = _okawari("rollback", "small")
        assert refused.returncode == 1
        assert refused.stderr.startswith("okawari: No version of case small served before version 1")
    prediction_log.absorb_journal("small")
    chain = [(row["kind"], row["action"]) for row in trace_prediction(answer.id).decisions]
    assert chain[0] == ("person", "promote")
