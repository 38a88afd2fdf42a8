"""Metrics as pure functions.

Shapes: B windows, H columns of an answer, C labels. Metrics of numbers take arrays of one shape and return values in
their unit. Metrics of labels take probabilities `p_BC` and positions of the true labels `true_B`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from okawari.errors import InvalidInput
from okawari.schema.heads import SMALLEST_SHARE

Array = NDArray[np.float64]


def pair(*values: ArrayLike) -> list[Array]:
    """The values as arrays of one common shape.

    Raises:
        InvalidInput: the shapes differ, or there is no row.
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) != 1 or arrays[0].size == 0:
        raise InvalidInput(
            f"Scored arrays have shapes {shapes}; they need one common shape with at least one row. "
            "Pair each prediction with its truth."
        )
    return arrays


def rmse(true: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared error."""
    y, p = pair(true, predicted)
    return float(np.sqrt(np.mean((y - p) ** 2)))


def mae(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error."""
    y, p = pair(true, predicted)
    return float(np.mean(np.abs(y - p)))


def mase(true: ArrayLike, predicted: ArrayLike, naive_mae: float) -> float:
    """Mean absolute error as a multiple of `naive_mae`, the error of the one-step naive forecast on the past.

    Source: Hyndman and Koehler, Another look at measures of forecast accuracy, 2006.
    """
    if not naive_mae > 0:
        raise InvalidInput(
            f"naive_mae is {naive_mae}; it must be above 0. A constant series has no MASE; leave it out."
        )
    return mae(true, predicted) / naive_mae


def r_squared(true: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of the variance of the true values that is explained: `1 - sum((y - p)^2) / sum((y - mean(y))^2)`.

    Below 0 if the mean of the true values predicts better; None if the true values are constant.
    """
    y, p = pair(true, predicted)
    total = float(np.sum((y - y.mean()) ** 2))
    return 1 - float(np.sum((y - p) ** 2)) / total if total > 0 else None


def log_loss(true_B: NDArray[np.integer[Any]], p_BC: NDArray[Any]) -> float:
    """Mean of `-log p` of the true labels, in nats; probabilities below SMALLEST_SHARE count as SMALLEST_SHARE.

    Source: Good, Rational Decisions, 1952; a strictly proper score (Gneiting and Raftery, 2007, section 4.2).
    """
    _require_labels(true_B, p_BC)
    return float(-np.mean(np.log(np.maximum(p_BC[np.arange(len(true_B)), true_B], SMALLEST_SHARE))))


def accuracy(true_B: NDArray[np.integer[Any]], p_BC: NDArray[Any]) -> float:
    """Share of rows whose most probable label is the true one."""
    _require_labels(true_B, p_BC)
    return float(np.mean(np.argmax(p_BC, axis=1) == true_B))


def balanced_accuracy(true_B: NDArray[np.integer[Any]], p_BC: NDArray[Any]) -> float:
    """Mean recall of the labels that occur, so that rare labels count as much as common ones."""
    _require_labels(true_B, p_BC)
    hit_B = np.argmax(p_BC, axis=1) == true_B
    return float(np.mean([hit_B[true_B == label].mean() for label in np.unique(true_B)]))


def _require_labels(true_B: NDArray[Any], p_BC: NDArray[Any]) -> None:
    if p_BC.ndim != 2 or len(true_B) != len(p_BC) or not len(p_BC):
        raise InvalidInput(
            f"There are {true_B.shape} labels and {p_BC.shape} probabilities; give one row for each label."
        )


def directional_accuracy(true: ArrayLike, predicted: ArrayLike, last: ArrayLike) -> float | None:
    """Share of rows whose forecast moves in the true direction, among rows where forecast and truth differ from `last`.

    None if there is no such row: a random walk predicts no direction.
    """
    y, p, at = pair(true, predicted, last)
    moved = (y != at) & (p != at)
    return float(np.mean(np.sign(y - at)[moved] == np.sign(p - at)[moved])) if moved.any() else None


def interval_coverage(true: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of true values inside the closed interval."""
    y, low, high = pair(true, lower, upper)
    return float(np.mean((low <= y) & (y <= high)))


def interval_score(true: ArrayLike, lower: ArrayLike, upper: ArrayLike, coverage_share: float) -> float:
    """The mean of `interval_losses`."""
    return float(np.mean(interval_losses(true, lower, upper, coverage_share)))


def interval_losses(true: ArrayLike, lower: ArrayLike, upper: ArrayLike, coverage_share: float) -> Array:
    """Width plus `2 / alpha` times the distance of a value outside the interval, `alpha = 1 - coverage_share`.

    Source: Winkler 1972; Gneiting and Raftery, Strictly Proper Scoring Rules, 2007, eq. 43.
    """
    y, low, high = pair(true, lower, upper)
    if not 0 < coverage_share < 1:
        raise InvalidInput(f"coverage_share is {coverage_share}; it is a share between 0 and 1, such as 0.9.")
    outside = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    losses: Array = high - low + 2 / (1 - coverage_share) * outside
    return losses


def skill_share(score: float, baseline: float) -> float:
    """`1 - score / baseline` for an error: above 0 beats the baseline, 0 equals it."""
    if not baseline > 0:
        raise InvalidInput(
            f"The baseline's error is {baseline}; it must be above 0, because no candidate beats a perfect baseline. "
            "Use a longer holdout."
        )
    return 1 - score / baseline
