"""Metrics against one-line naive versions, and the promises of the conformal interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from okawari.case import Case
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.conformal import calibrate_interval
from okawari.evaluation.metrics import (
    directional_accuracy,
    interval_coverage,
    interval_score,
    mae,
    mase,
    rmse,
    skill_share,
)
from okawari.evaluation.scores import score_series
from okawari.graph.inference import Answer

numbers = arrays(np.float64, 7, elements=st.floats(-1e6, 1e6))


@given(y=numbers, p=numbers)
def test_errors_equal_their_naive_versions(y: np.ndarray, p: np.ndarray) -> None:
    pairs = list(zip(y, p, strict=True))
    assert rmse(y, p) == pytest.approx((sum((a - b) ** 2 for a, b in pairs) / 7) ** 0.5)
    assert mae(y, p) == pytest.approx(sum(abs(a - b) for a, b in pairs) / 7)
    assert mase(y, p, 2.0) == pytest.approx(sum(abs(a - b) for a, b in pairs) / 7 / 2)


@given(y=numbers, low=numbers, width=arrays(np.float64, 7, elements=st.floats(0, 1e6)))
def test_interval_scores_equal_their_naive_versions(y: np.ndarray, low: np.ndarray, width: np.ndarray) -> None:
    rows = list(zip(y, low, low + width, strict=True))
    assert interval_coverage(y, low, low + width) == sum(a <= t <= b for t, a, b in rows) / 7
    naive = sum((b - a) + 20 * max(a - t, 0) + 20 * max(t - b, 0) for t, a, b in rows) / 7
    assert interval_score(y, low, low + width, 0.9) == pytest.approx(naive)


def test_direction_counts_only_rows_where_truth_and_forecast_move() -> None:
    assert directional_accuracy([2, 0, 2, 1], [3, 2, 1, 5], [1, 1, 1, 1]) == 0.5
    assert directional_accuracy([2, 0], [1, 1], [1, 1]) is None


def test_skill_is_the_share_of_the_baselines_error_that_is_gone() -> None:
    assert skill_share(0.75, 1.0) == 0.25
    assert skill_share(2.0, 1.0) == -1.0
    with pytest.raises(InvalidInput, match="baseline"):
        skill_share(1.0, 0.0)


def test_half_widths_are_the_finite_sample_quantile_of_each_step() -> None:
    errors = np.column_stack([np.arange(1, 100), -10.0 * np.arange(1, 100)])
    interval = calibrate_interval(errors, np.zeros_like(errors), 0.9)
    np.testing.assert_array_equal(interval.half_width_H, [90, 900])  # ceil(100 * 0.9) = 90th smallest
    assert interval.coverage_share == 0.9


@pytest.mark.parametrize(("share", "enough"), [(0.9, 9), (0.8, 4), (0.95, 19)])
def test_too_few_rows_are_refused_with_the_number_that_is_enough(share: float, enough: int) -> None:
    rows = np.zeros((enough, 1))
    assert calibrate_interval(rows, rows, share).half_width_H.shape == (1,)
    with pytest.raises(InvalidInput, match=f"at least {enough}"):
        calibrate_interval(rows[:-1], rows[:-1], share)


def test_new_exchangeable_truths_are_covered_as_promised() -> None:
    rng, hits = np.random.default_rng(3), []
    for _ in range(400):
        errors = rng.standard_t(3, size=60)
        half = calibrate_interval(errors[:50, None], np.zeros((50, 1)), 0.8).half_width_H[0]
        hits.append(np.mean(np.abs(errors[50:]) <= half))
    assert np.mean(hits) == pytest.approx(41 / 51, abs=0.015)  # ceil(51 * 0.8) / 51


def test_an_answer_is_scored_in_the_targets_unit_at_both_ends(small_case: Case, readings: pd.DataFrame) -> None:
    windows = cut_windows(readings, small_case)[-30:]
    truth_BH = windows.level_B[:, None] * np.exp(windows.r_BH)
    mean_BH = (truth_BH + np.array([1.0, 2.0, 3.0])).astype(np.float32)
    scores = score_series(Answer(mean_BH, mean_BH - 2.5, mean_BH + 2.5, 0.9), windows)
    assert (scores.first.step, scores.last.step) == (1, 3)
    assert scores.first.rmse == pytest.approx(1, rel=1e-5) and scores.last.mae == pytest.approx(3, rel=1e-5)
    assert (scores.first.coverage_share, scores.last.coverage_share) == (1.0, 0.0)
    assert scores.last.interval_score == pytest.approx(5 + 20 * 0.5, rel=1e-4)
    change = np.abs(np.diff(windows.x_BTF[:, :, 3], axis=1)).mean()
    assert scores.first.mase == pytest.approx(1 / change, rel=1e-4)


def test_an_answer_that_stands_still_has_no_direction_and_no_interval(small_case: Case, readings: pd.DataFrame) -> None:
    windows = cut_windows(readings, small_case)[-30:]
    still_BH = np.repeat(windows.x_BTF[:, -1, 3:4], 3, axis=1)
    scores = score_series(Answer(still_BH), windows)
    assert scores.first.directional_accuracy is None
    assert scores.first.coverage_share is None and scores.last.interval_score is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: rmse([1, 2], [1]),
        lambda: mae([], []),
        lambda: mase([1], [2], 0.0),
        lambda: interval_score([1], [0], [2], 1.0),
        lambda: calibrate_interval(np.zeros((9, 1)), np.zeros((9, 1)), 1.5),
    ],
)
def test_scores_of_nothing_or_of_unequal_shapes_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput):
        call()
