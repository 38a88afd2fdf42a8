from __future__ import annotations

from datetime import date
from pathlib import Path

from mlflow import MlflowClient

from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.settings import load_settings
from tests.flows.conftest import SMALL, Heard

SEARCHING = (
    SMALL.replace('name="small"', 'name="searching"')
    .replace(
        "Lstm(hidden=16, layers=1, epochs=3)",
        "Search(recipe=Mlp(epochs=2), space=(Whole('batch_size', 16, 64),), trials=2)",
    )
    .replace(
        "CASE =",
        "from okawari.models.dense import Mlp\nfrom okawari.models.search.search import Search\n"
        "from okawari.models.search.space import Whole\n\nCASE =",
    )
)


def test_a_search_leaves_its_trials_as_runs_and_the_next_training_on_the_snapshot_repeats_none(
    fresh: Case, heard: Heard
) -> None:
    (load_settings().cases_dir / "searching.py").write_text(SEARCHING)
    load_case.cache_clear()
    ingest("searching", until=date(2007, 12, 31))
    train("searching", cause="missing")
    train("searching", cause="asked")

    client = MlflowClient(load_settings().mlflow_base)
    experiment = client.get_experiment_by_name("searching")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    candidates = [run for run in runs if run.info.run_name == "search_mlp"]
    trials = [run for run in runs if run.data.tags.get("okawari.kind") == "trial"]
    assert len(candidates) == 2 and len(trials) == 4
    for candidate in candidates:
        own = [run for run in trials if run.data.tags["mlflow.parentRunId"] == candidate.info.run_id]
        assert {run.info.run_name for run in own} == {"trial 0", "trial 1"}
        best = min(own, key=lambda run: run.data.metrics["loss"])
        assert candidate.data.params["chosen.batch_size"] == best.data.params["batch_size"]
        assert "weights.pt" in {each.path for each in client.list_artifacts(candidate.info.run_id)}
    # Trials keep the time at which they ran, so those of the second training are those of the first.
    assert len({(run.info.run_name, run.info.start_time) for run in trials}) == 2
    names = sorted(path.name for path in Path(load_settings().studies_dir).rglob("*.db"))
    assert names == ["search_mlp_1.db", "search_mlp_2.db"]  # a search at each origin
