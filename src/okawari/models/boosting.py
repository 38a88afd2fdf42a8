"""Gradient-boosted trees on lagged features, fitted with XGBoost (imported inside `fit`).

Shapes: B windows, S feature steps, K features, L newest steps, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.models.cores import TreesCore
from okawari.models.fit_context import Progress, TrainingData, find_best_step
from okawari.models.lag_features import TargetScale, flatten_lags
from okawari.models.losses import differentiate_loss, joint_loss, to_logits
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import mark_shares

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

_Slopes = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Boosting:
    """Recipe of one booster for each column of an answer, on the newest `lags` feature steps; each round adds one tree
    to every booster.

    Each tree follows the gradient of the joint loss of all columns (`losses.joint_loss`): squared errors for numbers,
    and cross entropy of the softmax for labels, so boosters of labels predict logits. Training ends after `patience`
    rounds without a better validation loss, and keeps the rounds up to the best one; with a patience of 0 all rounds
    are kept and no validation windows are read. Source: Chen and Guestrin,
    XGBoost: A Scalable Tree Boosting System, 2016.

    The curvature in a leaf is at least `min_leaf` times the mean curvature of a row before the first round. For numbers
    that is `min_leaf` rows; for labels, fewer rows with uncertain predictions or more rows with certain ones.

    The newest windows are read whose columns of true values are at most `most_targets` numbers, and a quarter as many
    to stop by; of records, the last ones are a sample.

    Example:
        >>> Boosting(depth=2).name
        'boosting_2'
    """

    rounds: int = 1000
    patience: int = 30
    depth: int = 3
    learning_rate: float = 0.1
    min_leaf: int = 5
    lags: int = 20
    row_share: float = 0.7
    feature_share: float = 0.5
    most_targets: int = 100_000

    def __post_init__(self) -> None:
        require(self.patience >= 0, f"Boosting.patience is {self.patience}; use 0 for no early stopping, or rounds.")
        for field in ("rounds", "depth", "min_leaf", "lags", "most_targets"):
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
        """Fit on `data.train` with early stopping on `data.validation`; deterministic for a seed and a thread count.

        Raises:
            InvalidInput: a window has fewer than `lags` feature steps, or there are no windows for early stopping.
        """
        if self.patience:
            data.require_validation("Early stopping")
        data = data.keep_newest(max(1, self.most_targets // data.train.r_BH.shape[1]))
        scale = TargetScale.measure(data.train.r_BH, data.heads)
        train = _prepare(data.train, self.lags, scale, data.bench.threads)
        validation = _prepare(data.validation, self.lags, scale, data.bench.threads) if self.patience else None
        # The boosters must not predict before they are trained: each one draws rows from its seed at its first use, and
        # all columns must draw the same rows.
        boosters, predicted_BH = self._start_boosters(data, train, validation)
        history: list[Mapping[str, float]] = []
        for done in range(1, self.rounds + 1):
            _add_trees(boosters, train.rows, done - 1, differentiate_loss(predicted_BH, train.learnt_BH, data.heads))
            predicted_BH = _predict(boosters, train.rows)
            numbers = {"train_loss": joint_loss(predicted_BH, train.learnt_BH, data.heads)}
            if validation is not None:
                predicted = _predict(boosters, validation.rows)
                numbers["valid_loss"] = joint_loss(predicted, validation.learnt_BH, data.heads)
            history.append(numbers)
            progress(done, self.rounds, history[-1])
            if self.patience and done - find_best_step(history) >= self.patience:
                break
        best = find_best_step(history)
        return BoostingModel(
            boosters=tuple(booster[:best] for booster in boosters), lags=self.lags, scale=scale,
            history=tuple(history), settled=replace(self, rounds=best, patience=0), threads=data.bench.threads,
        )  # fmt: skip

    def _start_boosters(
        self, data: TrainingData, train: _Part, validation: _Part | None
    ) -> tuple[list[Booster], Floats]:
        """Boosters without a tree, and their predictions: 0 (the mean) for numbers, logarithms of shares for labels."""
        from xgboost import Booster

        is_label_H = mark_shares(data.heads, train.learnt_BH.shape[1])
        predicted_H = np.where(is_label_H, to_logits(train.learnt_BH.mean(axis=0), is_label_H), 0.0).astype(np.float32)
        predicted_BH = np.tile(predicted_H, (len(data.train), 1))
        _, curve_BH = differentiate_loss(predicted_BH, train.learnt_BH, data.heads)
        settings, watched = self._parameters(data), [part.rows for part in (train, validation) if part is not None]
        boosters = [
            Booster({**settings, "base_score": start, "min_child_weight": weight}, watched)
            for start, weight in zip(predicted_H, self.min_leaf * curve_BH.mean(axis=0), strict=True)
        ]
        return boosters, predicted_BH

    def _parameters(self, data: TrainingData) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror",  # predictions are plain sums of the trees; the gradients define the loss
            "tree_method": "hist",
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.feature_share,
            "seed": data.seed,
            "nthread": data.bench.threads,
        }

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Boosting", **asdict(self)}


@dataclass(frozen=True)
class _Part:
    """Rows of features with their learning targets; numbers are in training standard deviations."""

    rows: DMatrix
    learnt_BH: Floats


def _prepare(windows: WindowSet, lags: int, scale: TargetScale, threads: int) -> _Part:
    from xgboost import DMatrix

    rows = DMatrix(flatten_lags(windows.z_BSK, lags), nthread=threads)
    return _Part(rows, scale.standardise(windows.r_BH).astype(np.float32))


def _predict(boosters: Sequence[Booster], rows: DMatrix) -> Floats:
    """Predictions of the boosters, one column each."""
    predicted_BH: Floats = np.column_stack([booster.predict(rows) for booster in boosters])
    return predicted_BH


def _add_trees(boosters: Sequence[Booster], rows: DMatrix, done: int, steepness: tuple[_Slopes, _Slopes]) -> None:
    """Add one tree to each booster, along the negative gradient."""
    slope_BH, curve_BH = steepness
    for booster, slope_B, curve_B in zip(boosters, slope_BH.T, curve_BH.T, strict=True):
        booster.boost(rows, done, grad=slope_B, hess=curve_B)


@dataclass(frozen=True, kw_only=True)
class BoostingModel:
    """A booster for each column. `history` has `train_loss` and `valid_loss` for each round: the sum over the heads of
    squared errors (in training variances) and cross entropies (in nats). `settled` is the recipe of the kept rounds.
    """

    boosters: tuple[Booster, ...]
    lags: int
    scale: TargetScale
    history: tuple[Mapping[str, float], ...]
    settled: Boosting
    threads: int = 1

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by XGBoost, labels as logits."""
        from xgboost import DMatrix

        rows = DMatrix(flatten_lags(windows.z_BSK, self.lags), nthread=self.threads)
        return self.scale.restore(_predict(self.boosters, rows))

    def settle(self) -> Boosting:
        """The recipe with the number of rounds fixed."""
        return self.settled

    def core(self) -> TreesCore:
        """The boosters and the scale of their predictions."""
        return TreesCore(self.boosters, self.lags, self.scale.mean_H, self.scale.std_H, self.scale.is_share_H)
