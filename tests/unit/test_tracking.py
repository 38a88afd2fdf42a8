"""What a training leaves in MLflow beyond its leaderboard."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from okawari.case import Case
from okawari.models.constant import ConstantModel
from okawari.models.dense import Mlp
from okawari.models.search.trials import SearchedModel, State, Trial
from okawari.registry import runs
from okawari.settings import load_settings

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _try(number: int, state: State, loss: float | None, losses: tuple[float, ...], reason: str | None = None) -> Trial:
    return Trial(
        number=number,
        state=state,
        settings={"hidden": "(8, 4)", "learning_rate": "0.01"},
        loss=loss,
        valid_losses=losses,
        reason=reason,
        started_at=AT,
        ended_at=AT,
    )


TRIALS = (
    _try(0, "finished", 0.5, (0.7, 0.5)),
    _try(1, "pruned", None, (0.9,)),
    _try(2, "refused", None, (), "it diverged"),
    _try(3, "killed", None, (0.8,)),
)


def test_every_trial_of_a_search_is_a_child_run_that_says_how_it_ended(small_case: Case, mlflow_database: Path) -> None:
    client = MlflowClient(load_settings().mlflow_base)
    experiment = client.create_experiment(small_case.name)
    training = client.create_run(experiment).info.run_id
    found = SearchedModel(best=ConstantModel(r_H=np.zeros(3)), recipe=Mlp(hidden=(8, 4)), trials=TRIALS)
    with runs.record_candidate(small_case, training, "search_mlp", {"recipe": "Search"}) as candidate:
        runs.record_search(small_case, candidate, found)

    found_runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{candidate}'")
    told = {run.info.run_name: run for run in found_runs}
    assert {name: run.data.tags["okawari.trial_state"] for name, run in told.items()} == {
        f"trial {trial.number}": trial.state for trial in TRIALS
    }
    assert [told[f"trial {number}"].info.status for number in range(4)] == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    first = told["trial 0"]
    assert first.data.params == {"hidden": "(8, 4)", "learning_rate": "0.01"}
    assert first.data.metrics["loss"] == pytest.approx(0.5)
    assert [point.value for point in client.get_metric_history(first.info.run_id, "valid_loss")] == [0.7, 0.5]
    assert first.info.start_time == first.info.end_time == int(AT.timestamp() * 1000)
    assert told["trial 2"].data.tags["okawari.reason"] == "it diverged"
    assert client.get_run(candidate).data.params["chosen.hidden"] == "(8, 4)"
