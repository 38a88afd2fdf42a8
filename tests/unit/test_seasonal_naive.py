"""The seasonal naive forecast, against the one line that defines it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Change, Column, Forecast
from okawari.data.files import TableFile
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.windows import WindowSet


@pytest.fixture
def windows(small_case: Case, readings: pd.DataFrame) -> WindowSet:
    return cut_windows(readings, replace(small_case, task=Forecast(target="close", history=12, horizon=7)))


@pytest.mark.parametrize("season", [1, 2, 5, 12])
def test_it_is_the_level_one_season_earlier(season: int, windows: WindowSet) -> None:
    model = SeasonalNaive(season=season).fit(TrainingData(windows, windows, seed=7), no_progress)
    predicted, t = model.predict(windows), 11
    for h in range(1, 8):
        k = math.ceil(h / season)
        naive = np.log(windows.levels_BT[:, t + h - season * k] / windows.levels_BT[:, t].astype(np.float64))
        np.testing.assert_allclose(predicted[:, h - 1], naive, atol=1e-7)
        if h % season == 0:
            assert not predicted[:, h - 1].any()  # the random walk


def test_a_season_longer_than_the_window_is_refused(windows: WindowSet) -> None:
    with pytest.raises(InvalidInput, match="season is 13; a window holds 12 readings"):
        SeasonalNaive(season=13).fit(TrainingData(windows, windows, seed=7), no_progress)


def _draw_week(n: int = 700, missing_share: float = 0.14) -> pd.DataFrame:
    """Seeded days with a weekly pattern and noise of deviation 1; some days are missing."""
    random = np.random.default_rng(11)
    days = pd.date_range("2023-01-01", periods=n)
    level = 50 + np.array([0.0, 4, 8, 12, 8, -10, -20])[days.dayofweek] + random.normal(0, 1, n)
    kept = random.random(n) >= missing_share
    kept[[0, -1]] = True
    return pd.DataFrame({"day": days, "visits": level})[kept].reset_index(drop=True)


WEEKLY = Case(
    name="weekly", title="Weekly", source=TableFile(Path("weekly.csv"), time="day"), time="day", frequency="D",
    columns=(Column(name="visits"),), features=(Change(name="change", column="visits"),),
    task=Forecast(target="visits", history=28, horizon=9, learns="difference"), candidates=(RandomWalk(),),
)  # fmt: skip


def test_a_missing_season_is_that_of_one_more_season_back() -> None:
    windows = cut_windows(lay_out_steps(_draw_week(), WEEKLY), WEEKLY)
    model = SeasonalNaive(season=7).fit(TrainingData(windows, windows, seed=7), no_progress)
    predicted_BH = windows.level_B[:, None] + model.predict(windows)
    levels_BT, filled_BT = windows.read_levels_BT, windows.exact_levels_BT
    for h in range(1, 10):
        first = 27 + h - 7 * math.ceil(h / 7)
        for window in range(0, len(windows), 5):
            known = [levels_BT[window, at] for at in range(first, -1, -7) if not np.isnan(levels_BT[window, at])]
            expected = known[0] if known else filled_BT[window, first]
            assert predicted_BH[window, h - 1] == pytest.approx(expected, abs=1e-4)
    error_BH = predicted_BH - windows.true_BH
    assert np.sqrt(np.mean(error_BH[:, 0] ** 2)) < 2  # a mean for each weekday has about 1
    graph = Graph.load(build_graph(model.core(), WEEKLY, None, windows.imputation))
    np.testing.assert_allclose(graph.answer(windows.x_BTF).mean_BH, predicted_BH, atol=1e-4)


def test_where_no_season_is_known_the_last_level_is_carried_forward() -> None:
    laid_out = lay_out_steps(_draw_week(missing_share=0.0), WEEKLY)
    windows = cut_windows(laid_out, WEEKLY)
    model = SeasonalNaive(season=7).fit(TrainingData(windows, windows, seed=7), no_progress)
    x_BTF = windows.x_BTF[:1].copy()
    x_BTF[0, [21, 14, 7, 0], 0] = np.nan
    graph = Graph.load(build_graph(model.core(), WEEKLY, None, windows.imputation))
    assert graph.answer(x_BTF).mean_BH[0, 0] == pytest.approx(x_BTF[0, 20, 0], abs=1e-4)
