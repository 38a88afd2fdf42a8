"""Moves, the way back, and the graph that takes it: differences from levels of any sign, within the target's bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Case, Change, Column, Forecast, Gate
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import WindowSet, cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender
from okawari.evaluation.metrics import interval_coverage, rmse
from okawari.evaluation.scores import score_series
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, ConstantCore, Interval
from okawari.models.fit_context import no_progress
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.schema.transforms import TRANSFORMS, Difference, Learns


class Drawn:
    """A series with a week in it, of one decimal; a quarter of its readings are below zero."""

    def read(self, until: object = None) -> pd.DataFrame:
        random = np.random.default_rng(8)
        days = np.arange(260)
        level = (2 + 4 * np.sin(days * 2 * np.pi / 7) + random.normal(0, 0.5, 260)).round(1)
        return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=260), "warmth": level})


WARMTH = Case(
    name="warmth", title="Warmth", source=Drawn(), columns=(Column(name="warmth", unit="°C"),),
    features=(Change(name="warmth_change", column="warmth"),),
    task=Forecast(target="warmth", history=14, horizon=3, learns="difference"),
    candidates=(RandomWalk(), SeasonalNaive(season=7)), gate=Gate(holdout=40, calibration=60),
)  # fmt: skip
BOUNDED = replace(WARMTH, columns=(Column(name="warmth", minimum=-2.3, maximum=6.1),))


@pytest.fixture
def windows() -> WindowSet:
    return cut_windows(WARMTH.source.read(), WARMTH)


@given(st.sampled_from(["growth", "difference"]), st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_the_way_back_leads_where_the_move_came_from(learns: Learns, level: float, ahead: float) -> None:
    first, later = np.array([level]), np.array([ahead])
    transform = TRANSFORMS[learns]
    move = transform.forward(first, later)
    np.testing.assert_allclose(transform.backward(first, move), later, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(move, transform.straighten(later) - transform.straighten(first), rtol=1e-9, atol=1e-9)


def test_windows_know_what_is_learnt_and_the_truth_as_it_was_read(windows: WindowSet) -> None:
    level_N = WARMTH.source.read()["warmth"].to_numpy()
    assert windows.ahead_BH is not None and windows.transform == Difference()
    row = 20
    np.testing.assert_array_equal(windows.ahead_BH[row], level_N[row + 14 : row + 17])
    np.testing.assert_allclose(windows.r_BH[row], level_N[row + 14 : row + 17] - level_N[row + 13], rtol=1e-6)
    np.testing.assert_allclose(windows.w_BT[row], level_N[row : row + 14] - level_N[row + 13], atol=1e-6)
    np.testing.assert_array_equal(windows[5:9].ahead_BH, windows.ahead_BH[5:9])  # type: ignore[arg-type]


def test_levels_of_any_sign_are_read_where_differences_are_learnt_and_refused_where_growth_is() -> None:
    readings, growing = WARMTH.source.read(), replace(WARMTH, task=Forecast(target="warmth", history=14, horizon=3))
    assert (readings["warmth"] <= 0).mean() > 0.2
    assert len(cut_windows(readings, WARMTH)) == 260 - 16
    with pytest.raises(InvalidInput, match="the case takes its logarithm"):
        cut_windows(readings, growing)


def test_the_graph_adds_moves_to_the_last_level(windows: WindowSet) -> None:
    core, interval = ConstantCore(np.array([0.0, -1.5, 20.0])), Interval(0.9, np.array([1.0, 2.0, 3.0]))
    answer = Graph.load(build_graph(core, WARMTH, interval)).answer(windows.x_BTF)
    mean_BH = windows.level_B[:, None] + core.r_H
    np.testing.assert_allclose(answer.mean_BH, mean_BH, atol=1e-5)
    np.testing.assert_allclose(answer.lower_BH, mean_BH - interval.half_width_H, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(answer.upper_BH, mean_BH + interval.half_width_H, atol=1e-5)  # type: ignore[arg-type]


def test_an_affine_core_reads_centred_levels(windows: WindowSet) -> None:
    rng = np.random.default_rng(0)
    core = AffineCore(rng.normal(size=(3, 14)), rng.normal(size=3))
    answer = Graph.load(build_graph(core, WARMTH, None)).answer(windows.x_BTF)
    expected_BH = windows.level_B[:, None] + windows.w_BT @ core.weight_HN.T + core.bias_H
    np.testing.assert_allclose(answer.mean_BH, expected_BH, atol=1e-4)


@pytest.mark.parametrize(("minimum", "maximum"), [(-2.3, 6.1), (-2.3, None), (None, 6.1), (0, 5), (0.1, 0.9)])
def test_answers_keep_to_the_columns_bounds(minimum: float | None, maximum: float | None, windows: WindowSet) -> None:
    case = replace(WARMTH, columns=(Column(name="warmth", minimum=minimum, maximum=maximum),))
    core, interval = ConstantCore(np.array([0.0, -5.0, 5.0])), Interval(0.9, np.array([1.0, 2.0, 3.0]))
    free = Graph.load(build_graph(core, WARMTH, interval)).answer(windows.x_BTF)
    kept = Graph.load(build_graph(core, case, interval)).answer(windows.x_BTF)
    for part in ("mean_BH", "lower_BH", "upper_BH"):
        np.testing.assert_allclose(getattr(kept, part), np.clip(getattr(free, part), minimum, maximum), rtol=1e-6)
        assert not np.signbit(getattr(kept, part)[getattr(kept, part) == 0]).any()


def test_a_truth_on_its_bound_stays_inside() -> None:
    low, high = 0.1, 0.9
    assert float(np.float32(low)) > low and float(np.float32(high)) < high
    days = pd.date_range("2024-01-01", periods=60)
    readings = pd.DataFrame({"date": days, "warmth": np.where(np.arange(60) % 2, low, high)})
    case, wide = replace(WARMTH, columns=(Column(name="warmth", minimum=low, maximum=high),)), np.full(3, 9.0)
    windows = cut_windows(readings, case)
    answer = Graph.load(build_graph(ConstantCore(np.zeros(3)), case, Interval(0.9, wide))).answer(windows.x_BTF)
    assert answer.lower_BH is not None and answer.upper_BH is not None and windows.ahead_BH is not None
    assert interval_coverage(windows.ahead_BH, answer.lower_BH, answer.upper_BH) == 1


def test_keeping_to_the_bounds_costs_neither_coverage_nor_error() -> None:
    readings = WARMTH.source.read()
    readings["warmth"] = readings["warmth"].clip(-2.3, 6.1)
    split = split_windows(cut_windows(readings, BOUNDED), BOUNDED)
    free, kept = (fit_contender(SeasonalNaive(season=7), case, split, no_progress) for case in (WARMTH, BOUNDED))
    assert free.scores.coverage_share == kept.scores.coverage_share
    assert kept.scores.loss <= free.scores.loss
    assert (kept.scores.interval_score or 0) < (free.scores.interval_score or 0)


def test_a_season_is_found_one_step_ahead_and_at_the_last_step(windows: WindowSet) -> None:
    split = split_windows(windows, WARMTH)
    walk, week = (fit_contender(recipe, WARMTH, split, no_progress) for recipe in WARMTH.candidates)
    for name in ("rmse", "rmse_step_3"):
        assert week.scores.numbers[name] < 0.5 * walk.scores.numbers[name]  # type: ignore[operator]


def test_errors_are_those_against_the_values_that_came(windows: WindowSet) -> None:
    split = split_windows(windows, WARMTH)
    found = fit_contender(SeasonalNaive(season=7), WARMTH, split, no_progress)
    level_N = WARMTH.source.read()["warmth"].to_numpy()
    first = 260 - 40 - 2
    naive = rmse(level_N[first : first + 40], level_N[first - 7 : first - 7 + 40])
    assert found.scores.loss == pytest.approx(naive, rel=1e-6)


def test_a_series_that_stands_still_in_every_window_has_no_mase(windows: WindowSet) -> None:
    still = replace(windows, x_BTF=np.zeros_like(windows.x_BTF), level_B=np.zeros(len(windows)))
    answer = Graph.load(build_graph(ConstantCore(np.zeros(3)), WARMTH, None)).answer(still.x_BTF)
    scores = score_series(answer, still)
    assert scores.first.mase is None and scores.first.mae > 0


def test_nothing_else_is_learnt_than_growth_or_differences() -> None:
    with pytest.raises(InvalidInput, match="'levels'; models learn 'growth' or 'difference'"):
        Forecast(target="warmth", learns="levels")  # type: ignore[arg-type]
