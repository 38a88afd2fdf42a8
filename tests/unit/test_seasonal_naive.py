"""The seasonal naive forecast, against the one line that defines it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Forecast
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.fit_context import TrainingData, no_progress
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
