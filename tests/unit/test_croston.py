"""Intermittent demand: against statsforecast's TSB, and against naive forecasts on drawn spare parts."""

from __future__ import annotations

import numpy as np
import pytest
from statsforecast.models import TSB

from okawari.dataset.windows import cut_windows
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import DemandCore
from okawari.models.croston import Croston, smooth_demand
from okawari.models.fit_context import TrainingData, no_progress
from tests.drawn_series import Array, frame_series


def _draw_parts(n: int, seed: int = 1) -> Array:
    """Parts that are asked for in three weeks of ten, 1 to 9 of them."""
    random = np.random.default_rng(seed)
    return np.where(random.random(n) < 0.3, random.integers(1, 10, n), 0).astype(np.float64)


@pytest.mark.parametrize(("size_weight", "share_weight"), [(0.1, 0.1), (0.3, 0.02)])
def test_a_window_is_smoothed_as_statsforecast_does(size_weight: float, share_weight: float) -> None:
    """The library starts from the first reading, here a demand of 4."""
    level_N = np.concatenate([[4.0], _draw_parts(60)])
    core = DemandCore(size_weight=size_weight, share_weight=share_weight, first_share=1.0, first_size=4.0)
    library = TSB(alpha_d=size_weight, alpha_p=share_weight).fit(level_N)
    np.testing.assert_allclose(smooth_demand(level_N[None, 1:], core), library.predict(1)["mean"], rtol=1e-12)


def test_the_graph_answers_the_expected_demand() -> None:
    case = frame_series(_draw_parts(300), history=20, horizon=4, learns="difference")
    windows = cut_windows(case.source.read(), case)
    model = Croston().fit(TrainingData(windows, windows[:0], seed=7), no_progress)
    mean_BH = Graph.load(build_graph(model.core(), case, None)).answer(windows.x_BTF).mean_BH
    demand_B = smooth_demand(windows.read_levels_BT, model.core())
    np.testing.assert_allclose(mean_BH, np.tile(demand_B[:, None], (1, 4)), rtol=1e-5)


def test_it_errs_less_than_the_last_reading_and_falls_while_nothing_is_asked_for() -> None:
    case = frame_series(_draw_parts(400), history=20, horizon=2, learns="difference")
    windows = cut_windows(case.source.read(), case)
    model = Croston().fit(TrainingData(windows[:250], windows[:0], seed=7), no_progress)
    later = windows[260:]
    error_BH = model.predict(later) - later.r_BH
    assert np.mean(error_BH**2) < 0.6 * np.mean(later.r_BH**2)  # independent demands: half of the random walk's
    quiet_2T = np.zeros((2, 40))
    quiet_2T[1, :20] = 5.0
    assert smooth_demand(quiet_2T[:, :20], model.core())[0] > smooth_demand(quiet_2T[:1], model.core())[0]


def test_a_series_without_demand_expects_none() -> None:
    case = frame_series(np.zeros(60), history=10, horizon=2, learns="difference")
    windows = cut_windows(case.source.read(), case)
    model = Croston().fit(TrainingData(windows, windows[:0], seed=7), no_progress)
    np.testing.assert_array_equal(model.predict(windows), 0)
