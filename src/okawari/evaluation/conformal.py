"""Split conformal intervals, scaled by what is known of each window. Shapes: B windows, H columns of an answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.evaluation.metrics import pair
from okawari.models.cores import Interval
from okawari.models.scales import ConstantScale, Scale
from okawari.models.windows import Values


def calibrate_interval(
    r_true_BH: NDArray[Any],
    r_pred_BH: NDArray[Any],
    coverage_share: float,
    scale: Scale | None = None,
    scale_BH: NDArray[Any] | None = None,
) -> Interval:
    """Half widths that cover `coverage_share` of new values: the ceil((n + 1) * share)-th smallest scaled error of each
    step.

    Split conformal prediction with its finite-sample quantile (Vovk, Gammerman and Shafer, Algorithmic Learning in a
    Random World, 2005; Lei et al., Distribution-Free Predictive Inference for Regression, 2018, theorem 2.2, and
    section 5.2 for errors that are divided by a scale). The guarantee holds for exchangeable scaled errors. For a
    series it is approximate.

    Args:
        r_true_BH: what was to be predicted, in the unit of what models learn.
        r_pred_BH: what a model predicted that did not learn from these rows.
        coverage_share: share of new values that the interval is meant to contain.
        scale: the scale of the interval, the constant one if None.
        scale_BH: the scale of each row, [B, 1] or [B, H]; 1 if None.

    Raises:
        InvalidInput: there are fewer rows than the share needs, or the share is not between 0 and 1.
    """
    if not 0 < coverage_share < 1:
        raise InvalidInput(f"coverage_share is {coverage_share}; it is a share between 0 and 1, such as 0.9.")
    true, predicted = pair(r_true_BH, r_pred_BH)
    if find_rank(len(true), coverage_share) > len(true):
        needed = math.ceil(round(coverage_share / (1 - coverage_share), 9))
        raise InvalidInput(
            f"There are {len(true)} calibration rows; a coverage of {coverage_share} needs at least {needed}. "
            "Calibrate on more rows or lower the coverage."
        )
    errors = np.abs(true - predicted) / (1.0 if scale_BH is None else scale_BH)
    half_width_H = find_quantiles(errors, coverage_share)
    return Interval(coverage_share=coverage_share, half_width_H=half_width_H, scale=scale or ConstantScale())


def find_rank(n_rows: int, coverage_share: float) -> int:
    """The rank of the error that covers a share of new ones: ceil((n + 1) * share), which may be above n."""
    return math.ceil(round((n_rows + 1) * coverage_share, 9))  # 10 * 0.9 is not 9.000000000000002


def find_quantiles(errors_BH: NDArray[Any], coverage_share: float) -> Values:
    """The error of that rank in each column; the largest where there are too few rows."""
    place = min(find_rank(len(errors_BH), coverage_share), len(errors_BH)) - 1
    quantiles: Values = np.partition(errors_BH, place, axis=0)[place].astype(np.float64)
    return quantiles
