from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from prefect.artifacts import Artifact

from flows.ingest import ingest
from flows.train import train
from okawari import events
from okawari.case import Case
from okawari.dataset.folds import plan_folds
from okawari.dataset.windows import cut_windows, last_window
from okawari.errors import NotYet
from okawari.evaluation.candidates import score_graph
from okawari.graph.inference import Graph
from okawari.registry import runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import digest
from tests.flows.conftest import First, Heard


def _client() -> MlflowClient:
    return MlflowClient(load_settings().mlflow_base)


def _list_runs(kind: str) -> list[Run]:
    experiment = _client().get_experiment_by_name("small")
    assert experiment is not None
    return list(_client().search_runs([experiment.experiment_id], f"tags.`okawari.kind` = '{kind}'"))


def _list_artefacts(run: Run, folder: str | None = None) -> set[str]:
    return {each.path for each in _client().list_artifacts(run.info.run_id, folder)}


def _load_leaderboard(run: Run) -> list[dict[str, Any]]:
    table = json.loads(runs.load_file(run.info.run_id, "leaderboard.json"))
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


# --- the first champion -------------------------------------------------------------------------------------------


def test_the_first_training_makes_a_champion(trained: Case, first: First) -> None:
    champion = versions.load_champion("small")
    assert champion is not None
    assert first.result["action"] == "promote"
    assert champion.version == first.result["version"] == "1"
    assert champion.graph_sha256 == digest(versions.load_graph(champion))
    assert champion.trained_until == "2007-12-31"
    assert champion.coverage_share == 0.9


def test_each_decision_names_the_one_that_led_to_it(trained: Case, first: First) -> None:
    newest_first = {row["kind"]: row for row in decision_log.load_decisions("small")}
    retrain, promotion = newest_first["retrain"], newest_first["promotion"]
    assert "the tests begin" in retrain["reason"]
    assert promotion["cause"] == newest_first["variant"]["cause"] == retrain["id"]
    assert newest_first["deployment"]["cause"] == promotion["id"]
    champion = versions.load_champion("small")
    assert champion is not None
    assert (champion.decision_id, champion.run_id) == (promotion["id"], promotion["run_id"])


def test_promotion_and_deployment_are_told_with_the_decisions_behind_them(trained: Case, first: First) -> None:
    ingested, promoted, deployed = first.events
    decisions = {row["kind"]: row for row in decision_log.load_decisions("small")}
    assert ingested.event == events.DATA_INGESTED
    assert promoted.event == events.MODEL_PROMOTED
    assert promoted.resource["okawari.trace"] == decisions["promotion"]["id"]
    assert promoted.payload == {name: first.result[name] for name in ("version", "candidate", "reason")}
    assert deployed.event == events.MODEL_DEPLOYED
    assert deployed.resource["okawari.trace"] == decisions["deployment"]["id"]
    assert deployed.payload["version"] == "1"
    assert deployed.payload["tag"].startswith("small:")


# --- what MLflow and Prefect keep of it ---------------------------------------------------------------------------


def test_every_candidate_has_a_run_with_its_settings_and_scores(trained: Case) -> None:
    runs = {run.info.run_name: run for run in _list_runs("candidate")}
    [training] = _list_runs("training")
    assert set(runs) == {recipe.name for recipe in trained.candidates}
    for recipe in trained.candidates:
        run = runs[recipe.name]
        assert run.info.status == "FINISHED"
        assert run.data.params == {key: str(value) for key, value in recipe.describe().items()}
        assert run.data.tags["mlflow.parentRunId"] == training.info.run_id
        assert {"rmse", "rmse_step_3", "mase", "coverage_share", "fit_s"} <= set(run.data.metrics)
        assert "holdout.png" in _list_artefacts(run)


def test_the_lstm_leaves_the_loss_of_every_epoch_and_a_curve(trained: Case) -> None:
    [lstm] = [run for run in _list_runs("candidate") if run.info.run_name == "lstm_1x16"]
    for name in ("train_loss", "valid_loss"):
        history = _client().get_metric_history(lstm.info.run_id, name)
        assert sorted(point.step for point in history) == [1, 2, 3]
    assert runs.load_file(lstm.info.run_id, "loss.png").startswith(b"\x89PNG")


def test_the_training_keeps_its_leaderboard_variants_case_and_verdict(trained: Case, first: First) -> None:
    [training] = _list_runs("training")
    assert {"case.json", "snapshot.json", "leaderboard.json", "variants.json", "verdict.txt"} <= _list_artefacts(
        training
    )
    assert "variants/fp32.onnx" in _list_artefacts(training, "variants")
    rows = _load_leaderboard(training)
    assert {row["candidate"] for row in rows} == {recipe.name for recipe in trained.candidates}
    assert [row["rmse"] for row in rows] == sorted(row["rmse"] for row in rows)
    assert training.data.metrics["best_loss"] == pytest.approx(rows[0]["rmse"])
    assert training.data.tags["okawari.cause"] == "missing"
    verdict = runs.load_file(training.info.run_id, "verdict.txt").decode()
    assert verdict == f"promote: {first.result['reason']}\n"


def test_the_training_names_the_data_it_learned_from(trained: Case) -> None:
    [training] = _list_runs("training")
    snapshot = snapshots.load_snapshot(trained)
    assert snapshot is not None
    [data] = training.inputs.dataset_inputs
    assert data.dataset.name == f"small snapshot {snapshot.version}"
    assert json.loads(data.dataset.source)["path"].endswith("small/readings")
    assert snapshot.digest.startswith(data.dataset.digest)
    assert {tag.key: tag.value for tag in data.tags}["mlflow.data.context"] == "training"
    assert json.loads(runs.load_file(training.info.run_id, "snapshot.json"))["digest"] == snapshot.digest


def test_the_champion_loads_from_mlflow_and_answers_as_its_graph_does(trained: Case) -> None:
    import mlflow

    champion = versions.load_champion("small")
    assert champion is not None
    window = last_window(snapshots.load_readings(trained), trained)
    loaded = mlflow.pyfunc.load_model("models:/small@champion")
    served = Graph.load(versions.load_graph(champion)).answer(window)
    np.testing.assert_array_equal(loaded.predict({"x": window})["mean"], served.mean_BH)


def test_the_leaderboard_stands_on_the_page_of_the_run(trained: Case) -> None:
    [training] = _list_runs("training")
    artefact = Artifact.get("small-leaderboard")
    assert artefact is not None
    shown = json.loads(str(artefact.data))
    # The page keeps the newest table of a case, and other tests train it on other data: the order may differ.
    assert {row["candidate"] for row in shown} == {row["candidate"] for row in _load_leaderboard(training)}
    assert [row["rmse"] for row in shown] == sorted(row["rmse"] for row in shown)
    assert "random_walk" in str(artefact.description)


# --- the next ones ------------------------------------------------------------------------------------------------


def test_without_new_readings_the_second_training_is_skipped(trained: Case, heard: Heard) -> None:
    done = train("small", cause="schedule")
    assert done["action"] == "skip"
    decision = decision_log.load_decisions("small")[0]
    assert (decision["kind"], decision["action"], decision["facts"]["new_readings"]) == ("retrain", "skip", 0)
    assert len(_list_runs("training")) == 1
    assert heard() == []


def test_a_champion_that_refitting_does_not_change_is_kept(trained: Case, heard: Heard) -> None:
    ingest("small", until=date(2008, 1, 31))
    done = train("small", cause="drift", cause_id="d" * 32)

    promotion = decision_log.load_decisions("small", kind="promotion")[0]
    first_champion = versions.load_version("small", "1")
    windows = cut_windows(snapshots.load_readings(trained, promotion["snapshot_version"]), trained)
    judged = plan_folds(windows, trained).judged
    again = score_graph("random_walk", versions.load_graph(first_champion), judged, trained)
    assert again is not None
    assert promotion["facts"]["champion"]["loss"] == pytest.approx(again.loss)
    assert promotion["facts"]["champion"]["loss"] != pytest.approx(first_champion.loss)

    # The random walk again: nothing is estimated, so newer rows teach it nothing.
    assert (done["action"], done["version"]) == ("keep", "2")
    assert promotion["reason"] == "random_walk serves already and, fitted again, it gives the same answers"
    champion = versions.load_champion("small")
    assert champion == first_champion
    told = heard()[-1]
    assert told.event == events.MODEL_REJECTED
    assert told.resource["okawari.trace"] == promotion["id"]
    assert told.payload["version"] == "2"
    assert [row["model_version"] for row in decision_log.load_decisions("small", kind="deployment")] == ["1"]
    retrain = decision_log.load_decisions("small", kind="retrain")[0]
    assert retrain["cause"] == "d" * 32
    [data] = _client().get_run(promotion["run_id"]).inputs.dataset_inputs
    assert json.loads(data.dataset.source)["delta_table_version"] == promotion["snapshot_version"] == 1


def test_nothing_can_be_trained_before_something_is_ingested(fresh: Case) -> None:
    with pytest.raises(NotYet):
        train("small", cause="asked")
    assert decision_log.load_decisions("small") == []
