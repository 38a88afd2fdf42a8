"""Linear models on the features of the window in one row: least squares for numbers, logistic for labels.

Shapes: B windows, N = S * K features of a window, H columns of an answer, C labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.models.chosen import Chosen
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lag_features import flatten_lags
from okawari.models.penalties import choose_penalty
from okawari.models.protocols import Recipe
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead

Array = NDArray[np.float64]
_MOST_DECOMPOSED = 4_000_000
"""Most features of all windows (32 MB) that are decomposed themselves; of more, their products are."""
_NEVER = -30.0
"""Logit of a label that never occurred in training; beside logits near zero, its probability is about 1e-13."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Recipe of a linear model; `penalty` is the weight of the squared coefficients of standardised features.

    With no penalty, numbers are fitted by ordinary least squares, whose coefficients `solve(X'X, X'y)` are computed
    from a singular value decomposition (Golub and Van Loan, Matrix Computations, 4th ed. 2013, section 5.5); with one,
    by ridge regression (Hoerl and Kennard, 1970). Labels are fitted by multinomial logistic regression, whose penalty
    is never 0 (for labels that can be separated without error, no finite coefficients are optimal).

    With "cv", the penalty of each head is chosen by cross-validation within the train part (`models.penalties`). A
    tuple has the penalty of each head.

    Example:
        >>> Linear().name, Linear(penalty=1.0).name, Linear(penalty="cv").name
        ('linear', 'linear_1', 'linear_cv')
    """

    penalty: float | tuple[float, ...] | Literal["cv"] = 0.0

    def __post_init__(self) -> None:
        if self.penalty != "cv":
            require(
                not isinstance(self.penalty, str) and min(self._fixed, default=-1) >= 0,
                f'Linear.penalty is {self.penalty!r}; it is a weight of at least 0, or "cv". Use 0 for none.',
            )

    @property
    def _fixed(self) -> tuple[float, ...]:
        """The penalty of all heads, or of each; empty where it is to be chosen."""
        if isinstance(self.penalty, tuple):
            return self.penalty
        return () if isinstance(self.penalty, str) else (self.penalty,)

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        named = [f"{penalty:g}" for penalty in self._fixed if self._fixed != (0,)] or ["cv"] * (self.penalty == "cv")
        return "_".join(["linear", *named]).replace(".", "_").replace("+", "").replace("-", "_")

    def fit(self, data: TrainingData, progress: Progress) -> LinearModel:
        """Fit each head on `data.train`, without early stopping.

        Raises:
            InvalidInput: `penalty` is a tuple of another length than the heads.
        """
        x_BN = flatten_lags(data.train.z_BSK, data.train.z_BSK.shape[1]).astype(np.float64)
        shift, scale = _measure_scale(x_BN)
        x_BN -= shift
        x_BN /= scale
        r_BH, heads = data.train.r_BH.astype(np.float64), data.named_heads
        penalties = self._find_penalties(heads, x_BN, r_BH)
        fitted = [
            fit_path(head, x_BN, r_BH[:, head.columns], (penalty,))[0]
            for head, penalty in zip(heads, penalties, strict=True)
        ]
        weight_HN = np.concatenate([weight_HN for weight_HN, _ in fitted]) / scale
        bias_H = np.concatenate([bias_H for _, bias_H in fitted]) - weight_HN @ shift
        return LinearModel(weight_HN=weight_HN, bias_H=bias_H, settled=self._fix(penalties))

    def _find_penalties(self, heads: Sequence[Head], x_BN: Array, r_BH: Array) -> tuple[float, ...]:
        if self.penalty == "cv":
            return tuple(choose_penalty(head, x_BN, r_BH[:, head.columns], fit_path) for head in heads)
        require(
            len(self._fixed) in (1, len(heads)),
            f"Linear.penalty has {len(self._fixed)} weights; the answer has {len(heads)} heads. Give one for each.",
        )
        return self._fixed if len(self._fixed) == len(heads) else self._fixed * len(heads)

    def _fix(self, penalties: tuple[float, ...]) -> Recipe:
        if self.penalty != "cv":
            return self
        return Chosen(candidate=self.name, recipe=Linear(penalty=penalties))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Linear", **asdict(self)}


def _measure_scale(x_BN: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature; a deviation that is only rounding error becomes 1."""
    shift, scale = x_BN.mean(axis=0), x_BN.std(axis=0)
    return shift, np.where(scale > 1e-9 * np.maximum(np.abs(shift), 1e-30), scale, 1.0)


@singledispatch
def fit_path(head: Head, x_BN: Array, r_BH: Array, penalties: tuple[float, ...]) -> list[tuple[Array, Array]]:
    """Coefficients [H, N] and intercepts [H] of one head for each penalty, for standardised features."""
    raise NotImplementedError(f"Linear has no fit for {type(head).__name__}; register one here.")


@fit_path.register
def _fit_numbers(head: NumberHead, x_BN: Array, r_BH: Array, penalties: tuple[float, ...]) -> list[tuple[Array, Array]]:
    centre_N, bias_H = x_BN.mean(axis=0), r_BH.mean(axis=0)
    solve = _decompose if x_BN.size <= _MOST_DECOMPOSED else _decompose_products
    squared, right, turned = solve(x_BN, r_BH - bias_H, centre_N)
    kept = squared > 0
    path = []
    for penalty in penalties:
        shrunk = np.where(kept, 1 / (squared + penalty + ~kept), 0.0)
        weight_HN = (right.T @ (shrunk[:, None] * turned)).T
        path.append((weight_HN, bias_H - weight_HN @ centre_N))
    return path


def _decompose(x_BN: Array, r_BH: Array, centre_N: Array) -> tuple[Array, Array, Array]:
    """Squared singular values of the centred features (0 where only rounding error), right vectors, and X'y in them."""
    left, singular, right = np.linalg.svd(x_BN - centre_N, full_matrices=False)
    kept = singular > singular.max(initial=0.0) * np.finfo(np.float64).eps * max(x_BN.shape)
    return np.where(kept, singular, 0.0) ** 2, right, singular[:, None] * (left.T @ r_BH)


def _decompose_products(x_BN: Array, r_BH: Array, centre_N: Array) -> tuple[Array, Array, Array]:
    """The same from the products of the features, without another table of their size."""
    products = x_BN.T @ x_BN - len(x_BN) * np.outer(centre_N, centre_N)
    squared, vectors = np.linalg.eigh(products)
    kept = squared > squared.max(initial=0.0) * np.finfo(np.float64).eps * max(x_BN.shape)
    return np.where(kept, squared, 0.0), vectors.T, vectors.T @ (x_BN.T @ r_BH)


@fit_path.register
def _fit_labels(head: LabelHead, x_BN: Array, r_BC: Array, penalties: tuple[float, ...]) -> list[tuple[Array, Array]]:
    """Coefficients [C, N] and intercepts [C] of the logits; each fit starts from the one before."""
    from sklearn.linear_model import LogisticRegression

    true_B, width = r_BC.argmax(axis=1), r_BC.shape[1]
    known = np.unique(true_B)
    logistic = LogisticRegression(max_iter=1000, warm_start=True)
    path = []
    for penalty in penalties:
        weight_CN, bias_C = np.zeros((width, x_BN.shape[1])), np.full(width, _NEVER)
        bias_C[known] = 0.0
        if len(known) > 1:
            logistic.set_params(C=1 / (penalty or 1.0)).fit(x_BN, true_B)
            # For two labels scikit-learn has one logit: the second against the first.
            halves = np.array([-0.5, 0.5]) if len(known) == 2 else np.ones(len(known))
            weight_CN[known], bias_C[known] = logistic.coef_ * halves[:, None], logistic.intercept_ * halves
        path.append((weight_CN, bias_C))
    return path


@dataclass(frozen=True, kw_only=True)
class LinearModel:
    """Fitted coefficients `weight_HN` and intercepts `bias_H`, for features without scaling. `settled` is the recipe
    with its penalties fixed.
    """

    weight_HN: Array
    bias_H: Array
    settled: Recipe
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by numpy in float64."""
        x_BN = flatten_lags(windows.z_BSK, windows.z_BSK.shape[1]).astype(np.float64)
        return (x_BN @ self.weight_HN.T + self.bias_H).astype(np.float32)

    def settle(self) -> Recipe:
        """The recipe with the penalty of each head fixed."""
        return self.settled

    def core(self) -> AffineCore:
        """The coefficients."""
        return AffineCore(self.weight_HN, self.bias_H, reads="z")
