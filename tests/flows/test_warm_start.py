from __future__ import annotations

from datetime import date

from mlflow import MlflowClient

from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.settings import load_settings
from tests.flows.conftest import SMALL, Heard


def test_a_warm_candidate_begins_where_the_champions_training_left_it(fresh: Case, heard: Heard) -> None:
    warm = SMALL.replace("epochs=3", "epochs=4, warm=True")
    (load_settings().cases_dir / "small.py").write_text(warm)
    load_case.cache_clear()
    ingest("small", until=date(2007, 12, 31))
    train("small", cause="missing")
    train("small", cause="asked")

    client = MlflowClient(load_settings().mlflow_base)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`mlflow.runName` = 'lstm_1x16'")
    first, second = sorted(runs, key=lambda run: run.info.start_time)
    assert {"weights.pt"} <= {each.path for each in client.list_artifacts(first.info.run_id)}
    cold, begun = (client.get_metric_history(run.info.run_id, "train_loss") for run in (first, second))
    assert min(cold, key=lambda point: point.step).value > min(begun, key=lambda point: point.step).value
