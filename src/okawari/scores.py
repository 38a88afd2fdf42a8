"""How good an answer is: metrics as pure functions, conformal intervals, and the score of a graph's answer.

Shapes: B windows, T readings, H steps ahead. Metrics take arrays of one shape and are in the unit of what they get.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from okawari.errors import InvalidInput
from okawari.graph import Answer
from okawari.models.recipe import Interval, WindowSet

Array = NDArray[np.float64]


def _pair(*values: ArrayLike) -> list[Array]:
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1 or arrays[0].size == 0:
        raise InvalidInput(f"Scored arrays have shapes {shapes}; they need one common shape with at least one row.")
    return arrays


def rmse(true: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared error."""
    y, p = _pair(true, predicted)
    return float(np.sqrt(np.mean((y - p) ** 2)))


def mae(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error."""
    y, p = _pair(true, predicted)
    return float(np.mean(np.abs(y - p)))


def mase(true: ArrayLike, predicted: ArrayLike, naive_mae: float) -> float:
    """Mean absolute error as a multiple of `naive_mae`, the one-step naive forecast's error on the past.

    Source: Hyndman and Koehler, Another look at measures of forecast accuracy, 2006.
    """
    if not naive_mae > 0:
        raise InvalidInput(f"naive_mae is {naive_mae}; it must be above 0. A series that never moves has no MASE.")
    return mae(true, predicted) / naive_mae


def directional_accuracy(true: ArrayLike, predicted: ArrayLike, last: ArrayLike) -> float | None:
    """Share of rows whose forecast moves to the side of the truth, among rows where both leave `last`.

    None where no such row exists: a random walk names no direction.
    """
    y, p, at = _pair(true, predicted, last)
    moved = (y != at) & (p != at)
    return float(np.mean(np.sign(y - at)[moved] == np.sign(p - at)[moved])) if moved.any() else None


def interval_coverage(true: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of truths inside the closed interval."""
    y, low, high = _pair(true, lower, upper)
    return float(np.mean((low <= y) & (y <= high)))


def interval_score(true: ArrayLike, lower: ArrayLike, upper: ArrayLike, coverage_share: float) -> float:
    """Mean width plus `2 / alpha` times the distance of each truth outside, with `alpha = 1 - coverage_share`.

    Source: Winkler 1972; Gneiting and Raftery, Strictly Proper Scoring Rules, 2007, eq. 43.
    """
    y, low, high = _pair(true, lower, upper)
    if not 0 < coverage_share < 1:
        raise InvalidInput(f"coverage_share is {coverage_share}; it is a share between 0 and 1, such as 0.9.")
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    return float(np.mean(high - low + 2 / (1 - coverage_share) * outside))


def skill_share(score: float, baseline: float) -> float:
    """`1 - score / baseline` for an error: above 0 beats the baseline, 0 equals it."""
    if not baseline > 0:
        raise InvalidInput(f"The baseline's error is {baseline}; it must be above 0, because nothing beats perfect.")
    return 1 - score / baseline


def calibrate_interval(r_true_BH: NDArray[Any], r_pred_BH: NDArray[Any], coverage_share: float) -> Interval:
    """Half widths that hold `coverage_share` of new truths: the ceil((n + 1) * share)-th smallest error of each step.

    Split conformal prediction with its finite-sample quantile (Vovk, Gammerman and Shafer, Algorithmic Learning in a
    Random World, 2005; Lei et al., Distribution-Free Predictive Inference for Regression, 2018, theorem 2.2). The
    promise holds for exchangeable errors; a series whose volatility moves keeps it only roughly, so measure coverage.

    Raises:
        InvalidInput: fewer rows than the share needs, or a share that is none.
    """
    if not 0 < coverage_share < 1:
        raise InvalidInput(f"coverage_share is {coverage_share}; it is a share between 0 and 1, such as 0.9.")
    true, predicted = _pair(r_true_BH, r_pred_BH)
    rank = math.ceil(round((len(true) + 1) * coverage_share, 9))  # 10 * 0.9 is not 9.000000000000002
    if rank > len(true):
        needed = math.ceil(round(coverage_share / (1 - coverage_share), 9))
        raise InvalidInput(
            f"There are {len(true)} calibration rows; covering {coverage_share} takes at least {needed}. "
            "Calibrate on more rows or ask for less coverage."
        )
    half_width_H = np.sort(np.abs(true - predicted), axis=0)[rank - 1]
    return Interval(coverage_share=coverage_share, half_width_H=half_width_H)


@dataclass(frozen=True, kw_only=True)
class StepScores:
    """Scores of one step ahead, errors in the target's own unit; None where an answer has no interval or direction."""

    step: int
    rmse: float
    mae: float
    mase: float
    directional_accuracy: float | None
    coverage_share: float | None
    """Measured share of truths inside the interval."""
    interval_score: float | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of an answer over `n_windows` windows, at the first step and at the last."""

    n_windows: int
    first: StepScores
    last: StepScores


def score_answer(answer: Answer, windows: WindowSet) -> Scores:
    """Score an answer against the truth of its windows, in the target's own unit.

    MASE is scaled by the mean absolute change from one reading to the next within the windows.

    Raises:
        InvalidInput: the answer has other rows or steps than the windows.
    """
    horizon = windows.r_BH.shape[1]
    return Scores(
        n_windows=len(windows),
        first=_score_step(answer, windows, 0),
        last=_score_step(answer, windows, horizon - 1),
    )


def _score_step(answer: Answer, windows: WindowSet, column: int) -> StepScores:
    _pair(answer.mean_BH, windows.r_BH)
    true_B = windows.level_B * np.exp(windows.r_BH[:, column].astype(np.float64))
    mean_B = answer.mean_BH[:, column]
    series_BT = windows.x_BTF[:, :, windows.target_index].astype(np.float64)
    # The graph computes in float32, so "no change" is the float32 of the last level.
    last_B = windows.level_B.astype(np.float32)
    return StepScores(
        step=column + 1,
        rmse=rmse(true_B, mean_B),
        mae=mae(true_B, mean_B),
        mase=mase(true_B, mean_B, float(np.mean(np.abs(np.diff(series_BT, axis=1))))),
        directional_accuracy=directional_accuracy(true_B, mean_B, last_B),
        **_score_interval(answer, true_B, column),
    )


def _score_interval(answer: Answer, true_B: Array, column: int) -> dict[str, float | None]:
    if answer.lower_BH is None or answer.upper_BH is None or answer.coverage_share is None:
        return {"coverage_share": None, "interval_score": None}
    lower_B, upper_B = answer.lower_BH[:, column], answer.upper_BH[:, column]
    return {
        "coverage_share": interval_coverage(true_B, lower_B, upper_B),
        "interval_score": interval_score(true_B, lower_B, upper_B, answer.coverage_share),
    }
