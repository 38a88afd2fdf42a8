"""Fit the scale of a record's interval: ridge regression of the logarithm of its absolute error on its features.

Shapes: B records, K features, C columns of the interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.models.scales import ConstantScale, FeatureScale
from okawari.models.windows import Values

_PENALTIES = np.geomspace(1, 1e4, 9)
_LEAST_ERROR = 0.1
"""Smaller errors, as a share of the median, count as this one: their logarithms would outweigh all others."""
_MOST_FEATURES = 200


def fit_feature_scale(z_BK: NDArray[Any], error_BC: Values) -> FeatureScale | ConstantScale:
    """The scale with the penalty of the least generalised cross-validation error; constant if no feature varies.

    Golub, Heath and Wahba, Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter, Technometrics
    1979. The fitted logarithms are centred, so that a typical record has the scale 1, and limited to those of the
    records of the fit.
    """
    z = z_BK.astype(np.float64)
    spread_K = z.std(axis=0)
    varies_K = spread_K > 1e-9 * (1 + np.abs(z).max(axis=0))
    if not 0 < varies_K.sum() <= min(_MOST_FEATURES, len(z) // 5):
        return ConstantScale()
    mean_K = z[:, varies_K].mean(axis=0)
    known_K = _fit_ridge((z[:, varies_K] - mean_K) / spread_K[varies_K], _take_logs(error_BC)) / spread_K[varies_K]
    weight_K = np.zeros(z.shape[1])
    weight_K[varies_K] = known_K
    bias = -float(mean_K @ known_K)
    logs_B = z @ weight_K + bias
    return FeatureScale(weight_K, bias, float(logs_B.min()), float(logs_B.max()))


def _take_logs(error_BC: Values) -> Values:
    """Centred logarithms of the errors, the mean over the columns."""
    logs_BC = np.log(np.maximum(error_BC, _LEAST_ERROR * np.median(error_BC, axis=0) + np.finfo(np.float64).tiny))
    logs_B: Values = (logs_BC - logs_BC.mean(axis=0)).mean(axis=1)
    return logs_B


def _fit_ridge(x_BK: Values, y_B: Values) -> Values:
    left_BR, root_R, right_RK = np.linalg.svd(x_BK, full_matrices=False)
    along_R, n = left_BR.T @ y_B, len(y_B)
    best, least = np.zeros(x_BK.shape[1]), float(y_B @ y_B) / n / (1 - 1 / n) ** 2
    for penalty in _PENALTIES:
        kept_R = root_R**2 / (root_R**2 + penalty)
        rest = float(np.sum((y_B - left_BR @ (kept_R * along_R)) ** 2)) / n
        error = rest / (1 - (1 + kept_R.sum()) / n) ** 2
        if error < least:
            best, least = right_RK.T @ (root_R / (root_R**2 + penalty) * along_R), error
    return best
