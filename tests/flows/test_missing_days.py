"""A daily series with a weekly pattern, of which a seventh of the days is missing: the whole loop counts days."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage import snapshots
from tests.flows.conftest import Heard

CASE_FILE = """
from pathlib import Path

from okawari.case import Case, Change, Column, Drift, Forecast, Gate
from okawari.data.files import TableFile
from okawari.models.forest import RandomForest
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive

CASE = Case(
    name="visits", title="Visits a day", source=TableFile(Path({path!r}), time="day"), time="day", frequency="D",
    zone="Europe/Berlin",
    columns=(Column(name="visits", minimum=0),),
    features=(Change(name="visits_change", column="visits"),),
    task=Forecast(target="visits", history=28, horizon=7, learns="difference"),
    candidates=(RandomWalk(), SeasonalNaive(season=7), RandomForest(n_trees=60, lags=21)),
    gate=Gate(holdout=60, calibration=60),
    drift=Drift(reference=200, current=40),
)
"""
WEEK = np.array([40.0, 42, 45, 47, 60, 90, 85])


def draw_visits(n: int = 500) -> pd.DataFrame:
    """Seeded visits around a mean of each weekday; 14 % of the days are missing, but not the last two weeks."""
    random = np.random.default_rng(9)
    days = pd.date_range("2023-01-02", periods=n)
    visits = WEEK[days.dayofweek] + random.normal(0, 1, n)
    kept = random.random(n) > 0.14
    kept[0], kept[-14:] = True, True
    return pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "visits": visits.round(2)})[kept]


def test_a_series_with_missing_days_trains_and_names_the_right_days(
    fresh: Case, heard: Heard, shelf: None, tmp_path: Path
) -> None:
    table = draw_visits()
    assert 0.1 < 1 - len(table) / 500 < 0.18
    table.to_csv(tmp_path / "visits.csv", index=False)
    folder = load_settings().cases_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "visits.py").write_text(CASE_FILE.format(path=str(tmp_path / "visits.csv")))
    load_case.cache_clear()
    case = load_case("visits")

    assert ingest("visits")["rows"] == len(table)
    assert len(snapshots.load_readings(case)) == 500
    assert train("visits", cause="missing", reason="the tests begin")["action"] == "promote"
    champion = versions.load_champion("visits")
    assert champion is not None
    assert (champion.candidate, champion.skill_share > 0.5) == ("seasonal_naive_7", True)
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(case, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(case, runner, load_settings().state_dir / "journal")
        answer = asyncio.run(service.forecast())
        service.close()
    [said] = answer["predictions"]
    assert said["as_of"] == "2024-05-15"
    assert said["times"] == [f"2024-05-{day}" for day in range(16, 23)]
    weekdays = pd.DatetimeIndex(said["times"]).dayofweek
    np.testing.assert_allclose(said["mean"], WEEK[weekdays], atol=6)
