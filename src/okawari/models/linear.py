"""Linear models on the features of the window in one row: least squares for numbers, logistic for labels.

Shapes: B windows, N = S * K features of a window, H columns of an answer, C labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lag_features import flatten_lags
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead

Array = NDArray[np.float64]
_NEVER = -30.0
"""Logit of a label that never occurred in training; beside logits near zero, its probability is about 1e-13."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Recipe of a linear model; `penalty` is the weight of the squared coefficients of standardised features.

    With no penalty, numbers are fitted by ordinary least squares, whose coefficients `solve(X'X, X'y)` are computed
    from a singular value decomposition (Golub and Van Loan, Matrix Computations, 4th ed. 2013, section 5.5); with one,
    by ridge regression (Hoerl and Kennard, 1970). Labels are fitted by multinomial logistic regression, whose penalty
    is never 0 (for labels that can be separated without error, no finite coefficients are optimal).

    Example:
        >>> Linear().name, Linear(penalty=1.0).name
        ('linear', 'linear_1')
    """

    penalty: float = 0.0

    def __post_init__(self) -> None:
        require(self.penalty >= 0, f"Linear.penalty is {self.penalty}; it is a weight of at least 0. Use 0 for none.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "linear" + (f"_{self.penalty:g}".replace(".", "_") if self.penalty else "")

    def fit(self, data: TrainingData, progress: Progress) -> LinearModel:
        """Fit each head on `data.train`, without early stopping."""
        x_BN = flatten_lags(data.train.z_BSK, data.train.z_BSK.shape[1]).astype(np.float64)
        r_BH = data.train.r_BH.astype(np.float64)
        fitted = [self._fit_head(x_BN, r_BH[:, head.columns], head) for head in data.named_heads]
        weights, biases = zip(*fitted, strict=True)
        return LinearModel(weight_HN=np.concatenate(weights), bias_H=np.concatenate(biases))

    def _fit_head(self, x_BN: Array, r_BH: Array, head: Head) -> tuple[Array, Array]:
        shift, scale = x_BN.mean(axis=0), x_BN.std(axis=0)
        # A standard deviation that is only rounding error counts as zero.
        scale = np.where(scale > 1e-9 * np.maximum(np.abs(shift), 1e-30), scale, 1.0)
        weight_HN, bias_H = _fit(head, (x_BN - shift) / scale, r_BH, self.penalty)
        weight_HN = weight_HN / scale
        return weight_HN, bias_H - weight_HN @ shift

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Linear", **asdict(self)}


@singledispatch
def _fit(head: Head, x_BN: Array, r_BH: Array, penalty: float) -> tuple[Array, Array]:
    """Coefficients [H, N] and intercepts [H] of one head, for standardised features."""
    raise NotImplementedError(f"Linear has no fit for {type(head).__name__}; register one here.")


@_fit.register
def _fit_numbers(head: NumberHead, x_BN: Array, r_BH: Array, penalty: float) -> tuple[Array, Array]:
    bias_H = r_BH.mean(axis=0)
    left, singular, right = np.linalg.svd(x_BN, full_matrices=False)
    kept = singular > singular.max(initial=0.0) * np.finfo(np.float64).eps * max(x_BN.shape)
    shrunk = np.where(kept, singular / (singular**2 + penalty + ~kept), 0.0)
    weight_NH = right.T @ (shrunk[:, None] * (left.T @ (r_BH - bias_H)))
    return weight_NH.T, bias_H


@_fit.register
def _fit_labels(head: LabelHead, x_BN: Array, r_BC: Array, penalty: float) -> tuple[Array, Array]:
    """Coefficients [C, N] and intercepts [C] of the logits."""
    from sklearn.linear_model import LogisticRegression

    true_B, width = r_BC.argmax(axis=1), r_BC.shape[1]
    weight_CN, bias_C = np.zeros((width, x_BN.shape[1])), np.full(width, _NEVER)
    known = np.unique(true_B)
    if len(known) == 1:
        bias_C[known] = 0.0
        return weight_CN, bias_C
    fitted = LogisticRegression(C=1 / (penalty or 1.0), max_iter=1000).fit(x_BN, true_B)
    if len(known) == 2:  # for two labels scikit-learn has one logit: the second against the first
        weight_CN[known], bias_C[known] = fitted.coef_ * [[-0.5], [0.5]], fitted.intercept_ * np.array([-0.5, 0.5])
    else:
        weight_CN[known], bias_C[known] = fitted.coef_, fitted.intercept_
    return weight_CN, bias_C


@dataclass(frozen=True, kw_only=True)
class LinearModel:
    """Fitted coefficients `weight_HN` and intercepts `bias_H`, for features without scaling."""

    weight_HN: Array
    bias_H: Array
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by numpy in float64."""
        x_BN = flatten_lags(windows.z_BSK, windows.z_BSK.shape[1]).astype(np.float64)
        return (x_BN @ self.weight_HN.T + self.bias_H).astype(np.float32)

    def core(self) -> AffineCore:
        """The coefficients."""
        return AffineCore(self.weight_HN, self.bias_H, reads="z")
