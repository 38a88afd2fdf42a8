"""Split conformal intervals. Shapes: B windows, H columns of an answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.evaluation.metrics import pair
from okawari.models.cores import Interval


def calibrate_interval(r_true_BH: NDArray[Any], r_pred_BH: NDArray[Any], coverage_share: float) -> Interval:
    """Half widths that cover `coverage_share` of new values: the ceil((n + 1) * share)-th smallest error of each step.

    Split conformal prediction with its finite-sample quantile (Vovk, Gammerman and Shafer, Algorithmic Learning in a
    Random World, 2005; Lei et al., Distribution-Free Predictive Inference for Regression, 2018, theorem 2.2). The
    guarantee holds for exchangeable errors. For a series with changing volatility it is approximate.

    Raises:
        InvalidInput: there are fewer rows than the share needs, or the share is not between 0 and 1.
    """
    if not 0 < coverage_share < 1:
        raise InvalidInput(f"coverage_share is {coverage_share}; it is a share between 0 and 1, such as 0.9.")
    true, predicted = pair(r_true_BH, r_pred_BH)
    rank = math.ceil(round((len(true) + 1) * coverage_share, 9))  # 10 * 0.9 is not 9.000000000000002
    if rank > len(true):
        needed = math.ceil(round(coverage_share / (1 - coverage_share), 9))
        raise InvalidInput(
            f"There are {len(true)} calibration rows; a coverage of {coverage_share} needs at least {needed}. "
            "Calibrate on more rows or lower the coverage."
        )
    half_width_H = np.sort(np.abs(true - predicted), axis=0)[rank - 1]
    return Interval(coverage_share=coverage_share, half_width_H=half_width_H)
