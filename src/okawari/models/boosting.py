"""Gradient-boosted trees on lagged features, fitted with XGBoost (imported inside `fit`).

Shapes: B windows, S feature steps, K features, L newest steps, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.lags import ReturnScale, flatten_lags
from okawari.models.recipe import Floats, Progress, TrainingData, TreesCore, WindowSet

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix


@dataclass(frozen=True, kw_only=True)
class Boosting:
    """Recipe of one booster for each step ahead, on the newest `lags` feature steps; all grow round by round together.

    Training ends after `patience` rounds without a better validation error, averaged over the steps ahead, and keeps
    the rounds up to the best. Source: Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, 2016.

    Example:
        >>> Boosting(depth=2).name
        'boosting_2'
    """

    rounds: int = 200
    patience: int = 20
    depth: int = 3
    learning_rate: float = 0.03
    min_leaf: int = 20
    lags: int = 20
    row_share: float = 0.7
    feature_share: float = 0.5

    def __post_init__(self) -> None:
        for field in ("rounds", "patience", "depth", "min_leaf", "lags"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"Boosting.{field} is {getattr(self, field)}; it is a count of at least 1. Raise it."
                )
        for field in ("learning_rate", "row_share", "feature_share"):
            if not 0 < getattr(self, field) <= 1:
                raise InvalidInput(
                    f"Boosting.{field} is {getattr(self, field)}; it is a share above 0 and up to 1. Choose one."
                )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"boosting_{self.depth}"

    def fit(self, data: TrainingData, progress: Progress) -> BoostingModel:
        """Fit on `data.train`, stop early by `data.validation`; deterministic for a seed and a thread count.

        Raises:
            InvalidInput: a window has fewer than `lags` feature steps.
        """
        from xgboost import Booster

        scale = ReturnScale.measure(data.train.r_BH)
        train = _label(data.train, self.lags, scale, data.threads)
        validation = _label(data.validation, self.lags, scale, data.threads)
        boosters = [
            Booster(self._parameters(data), [rows, later]) for rows, later in zip(train, validation, strict=True)
        ]
        history: list[Mapping[str, float]] = []
        for done in range(1, self.rounds + 1):
            for booster, rows in zip(boosters, train, strict=True):
                booster.update(rows, done - 1)
            history.append({"train_mse": _measure(boosters, train), "valid_mse": _measure(boosters, validation)})
            progress(done, self.rounds, history[-1])
            if done - _best_round(history) >= self.patience:
                break
        kept = tuple(booster[: _best_round(history)] for booster in boosters)
        return BoostingModel(boosters=kept, lags=self.lags, scale=scale, history=tuple(history), threads=data.threads)

    def _parameters(self, data: TrainingData) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror",
            "base_score": 0.0,  # the mean of what is learnt
            "tree_method": "hist",
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "min_child_weight": self.min_leaf,
            "subsample": self.row_share,
            "colsample_bytree": self.feature_share,
            "seed": data.seed,
            "nthread": data.threads,
        }

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Boosting", **asdict(self)}


def _label(windows: WindowSet, lags: int, scale: ReturnScale, threads: int) -> list[DMatrix]:
    """The windows with what is to be learnt, once for each step ahead."""
    from xgboost import DMatrix

    flat = flatten_lags(windows.z_BSK, lags)
    return [DMatrix(flat, label=said_B, nthread=threads) for said_B in scale.shrink(windows.r_BH).T]


def _measure(boosters: Sequence[Booster], labelled: Sequence[DMatrix]) -> float:
    """Mean squared error over all rows and steps ahead, in training variances."""
    pairs = zip(boosters, labelled, strict=True)
    return float(np.mean([np.mean((booster.predict(rows) - rows.get_label()) ** 2) for booster, rows in pairs]))


def _best_round(history: Sequence[Mapping[str, float]]) -> int:
    """The round with the lowest validation error, counted from 1; the first of equals."""
    return 1 + int(np.argmin([numbers["valid_mse"] for numbers in history]))


@dataclass(frozen=True, kw_only=True)
class BoostingModel:
    """A booster for each step ahead, with the numbers per round (`train_mse`, `valid_mse`, in training variances)."""

    boosters: tuple[Booster, ...]
    lags: int
    scale: ReturnScale
    history: tuple[Mapping[str, float], ...]
    threads: int = 1

    def predict(self, windows: WindowSet) -> Floats:
        """Log returns `r_BH` by XGBoost."""
        from xgboost import DMatrix

        rows = DMatrix(flatten_lags(windows.z_BSK, self.lags), nthread=self.threads)
        said_BH: NDArray[np.float32] = np.column_stack([booster.predict(rows) for booster in self.boosters])
        return self.scale.grow(said_BH)

    def core(self) -> TreesCore:
        """The boosters, and the scale of what they say."""
        return TreesCore(self.boosters, self.lags, self.scale.mean_H, self.scale.std_H)
