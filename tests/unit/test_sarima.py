"""SARIMA: the unit of growth, and the bounds on the time and the memory of a fit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from okawari.case import Case
from okawari.dataset.windows import cut_windows
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.sarima import Sarima
from okawari.models.windows import WindowSet
from tests.drawn_series import draw_seasonal, frame_series


def _cut(case: Case) -> WindowSet:
    return cut_windows(case.source.read(), case)


def test_growth_of_a_thousandth_is_learnt_and_not_taken_for_converged() -> None:
    """With logarithms as they are, statsmodels stopped at zeros for this series: the candidate was the random walk."""
    series = draw_seasonal(600, season=52, level=320.0, trend=0.03, swing=3.0, noise=0.32, seed=1)
    windows = _cut(frame_series(series, history=52, horizon=4))
    model = Sarima(seasonal_order=(0, 0, 0, 0)).fit(TrainingData(windows, windows, seed=7), no_progress)
    assert np.abs(model.parameters[:3]).min() > 0.2
    error_BH = model.predict(windows) - windows.r_BH
    assert np.mean(error_BH**2) < 0.75 * np.mean(windows.r_BH**2)  # of the random walk's


@pytest.mark.parametrize("learns", ["growth", "difference"])
def test_the_unit_of_the_levels_changes_nothing(learns: str) -> None:
    series = draw_seasonal(160, season=4, level=50.0, trend=0.1, swing=4.0, noise=1.0, seed=2)
    models = []
    for unit in (1.0, 1e5):
        windows = _cut(frame_series(series / unit, history=9, horizon=2, learns=learns))
        models.append(Sarima(seasonal_order=(1, 0, 0, 4)).fit(TrainingData(windows, windows, seed=7), no_progress))
    np.testing.assert_allclose(models[0].core().weight_HN, models[1].core().weight_HN, atol=1e-4)


@pytest.mark.parametrize(
    ("recipe", "most"),
    [
        (Sarima(seasonal_order=(0, 0, 0, 0)), 20_000),
        (Sarima(seasonal_order=(1, 0, 0, 24)), 5080),  # 27 states: d, and as many as the longest lag
        (Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 24)), 753),  # 51: d, a season and the lags
        (Sarima(seasonal_order=(1, 0, 0, 168)), 672),  # four seasons
    ],
    ids=lambda each: str(each),
)
def test_a_fit_reads_only_so_many_of_the_newest_readings(recipe: Sarima, most: int) -> None:
    assert recipe.most_readings == most
    assert recipe.describe()["most_readings"] == most


def test_older_readings_change_nothing() -> None:
    recipe = Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 24), max_iterations=3)
    series = draw_seasonal(860, season=24, level=50.0, trend=0.0, swing=4.0, noise=1.0, seed=3)
    shaken = series.copy()
    shaken[: 860 - recipe.most_readings] *= 3
    parameters = []
    for levels in (series, shaken):
        windows = _cut(frame_series(levels, history=25, horizon=1))
        parameters.append(recipe.fit(TrainingData(windows, windows, seed=7), no_progress).parameters)
    np.testing.assert_array_equal(*parameters)


def test_a_fit_keeps_no_matrix_of_each_reading() -> None:
    series = draw_seasonal(3000, season=24, level=50.0, trend=0.0, swing=4.0, noise=1.0, seed=3)
    windows = _cut(frame_series(series, history=25, horizon=1))
    recipe = Sarima(seasonal_order=(1, 0, 0, 24), max_iterations=1)
    tracemalloc.start()
    recipe.fit(TrainingData(windows, windows, seed=7), no_progress)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3000 * 27 * 27 * 8  # one such matrix; statsmodels would keep eight of them
