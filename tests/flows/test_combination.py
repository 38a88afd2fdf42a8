"""A combination through a whole training: judged, refitted, registered, packaged, and answering as its members do."""

from __future__ import annotations

import numpy as np
import pytest
from mlflow import MlflowClient

from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.graph.inference import Graph
from okawari.loop.leaderboards import load_board
from okawari.registry import versions
from okawari.settings import load_settings
from tests.flows.conftest import Heard

VISITS = '''
"""Visits a day: a weekly pattern and noise, so that two weeks know more than one."""
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from okawari.case import Case, Change, Column, Forecast, Gate
from okawari.data.tabular import keep_until
from okawari.models.combination import Combination
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive


@dataclass(frozen=True)
class Drawn:
    def read(self, until: date | None = None) -> pd.DataFrame:
        days = np.arange(260)
        visits = 100 + 20 * np.sin(2 * np.pi * days / 7) + np.random.default_rng(5).normal(0, 3, len(days))
        frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=len(days)), "visits": visits})
        return keep_until(frame, until)


CASE = Case(
    name="visits", title="Visits", source=Drawn(), columns=(Column(name="visits"),),
    features=(Change(name="change", column="visits"),),
    task=Forecast(target="visits", history=15, horizon=2, learns="difference"),
    candidates=(RandomWalk(), SeasonalNaive(season=7), SeasonalNaive(season=14), Combination()),
    gate=Gate(holdout=60, calibration=40),
)
'''


@pytest.fixture
def visits(fresh: Case) -> Case:
    (load_settings().cases_dir / "visits.py").write_text(VISITS)
    load_case.cache_clear()
    return load_case("visits")


def test_a_combination_serves_after_a_refit_of_its_members_and_its_weights_are_recorded(
    visits: Case, heard: Heard
) -> None:
    ingest("visits")
    result = train("visits", cause="missing")
    assert (result["action"], result["candidate"]) == ("promote", "combination")

    champion = versions.load_champion("visits")
    assert champion is not None
    [best, *others] = load_board("visits").candidates
    assert best.candidate == "combination" and best.champion_version == champion.version
    assert "seasonal_naive_7" in best.scores["members"] and "seasonal_naive_14" in best.scores["members"]
    assert best.loss < 0.95 * min(each.loss for each in others)

    client = MlflowClient(load_settings().mlflow_base)
    experiment = client.get_experiment_by_name("visits")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id], "tags.`mlflow.runName` = 'combination'")
    recorded = {name: value for name, value in run.data.params.items() if name.startswith("weight.")}
    weights = {name.removeprefix("weight."): float(value) for name, value in recorded.items()}
    assert set(weights) == {"seasonal_naive_7", "seasonal_naive_14"}
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-3)

    readings = visits.source.read()["visits"].to_numpy()
    window = readings[-15:]
    answer = Graph.load(versions.load_graph(champion)).answer(window[None, :, None])
    own = {f"seasonal_naive_{season}": window[[-season, 1 - season]] for season in (7, 14)}
    expected = sum(weights[name] * own[name] for name in weights)
    np.testing.assert_allclose(answer.mean_BH[0], expected, rtol=1e-4)


def test_without_enough_members_the_training_goes_on_without_a_combination(
    visits: Case, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKAWARI_CANDIDATES", "seasonal_naive_7,combination")
    load_settings.cache_clear()
    ingest("visits")
    assert train("visits", cause="missing")["candidate"] == "seasonal_naive_7"
    assert {each.candidate for each in load_board("visits").candidates} == {"random_walk", "seasonal_naive_7"}
