"""Gradient-boosted trees that grow by leaves, on lagged features, fitted with LightGBM (imported inside `fit`).

Shapes: B windows, N = L * K features of the newest L steps, O outputs of one booster, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import singledispatch
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.models.cores import TreesCore
from okawari.models.fit_context import Progress, TrainingData, find_best_step
from okawari.models.lag_features import TargetScale, flatten_lags
from okawari.models.tree_tables import build_table, read_light_gbm
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead

if TYPE_CHECKING:
    from lightgbm import Booster

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LightGbm:
    """Recipe of boosters on the newest `lags` feature steps: one for each number, one for all labels of a head.

    A tree grows by the leaf that gains most, up to `leaves` of at least `min_leaf` rows. Each booster stops after
    `patience` rounds without a better validation loss and keeps the rounds up to the best one; with a patience of 0 it
    keeps all and reads no validation windows. `rounds` is the largest number for all boosters, or one for each. The
    newest windows are read whose columns of true values are at most `most_targets` numbers, and a quarter as many to
    stop by; of records, the last ones are a sample. Source: Ke et al., LightGBM: A Highly Efficient Gradient Boosting
    Decision Tree, 2017.

    Example:
        >>> LightGbm(leaves=31).name
        'light_gbm_31'
    """

    rounds: int | tuple[int, ...] = 1000
    patience: int = 50
    leaves: int = 15
    learning_rate: float = 0.05
    min_leaf: int = 5
    lags: int = 20
    row_share: float = 0.7
    feature_share: float = 0.7
    most_targets: int = 250_000

    def __post_init__(self) -> None:
        rounds = self.rounds if isinstance(self.rounds, tuple) else (self.rounds,)
        require(min(rounds, default=0) >= 1, f"LightGbm.rounds is {self.rounds}; it is a count of at least 1.")
        require(self.patience >= 0, f"LightGbm.patience is {self.patience}; use 0 for no early stopping, or rounds.")
        require(self.leaves >= 2, f"LightGbm.leaves is {self.leaves}; a tree has at least 2.")
        for field in ("min_leaf", "lags", "most_targets"):
            require(
                getattr(self, field) >= 1, f"LightGbm.{field} is {getattr(self, field)}; it is a count of 1 or more."
            )
        for field in ("learning_rate", "row_share", "feature_share"):
            value = getattr(self, field)
            require(0 < value <= 1, f"LightGbm.{field} is {value}; it is a share above 0 and up to 1. Choose one.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"light_gbm_{self.leaves}"

    def fit(self, data: TrainingData, progress: Progress) -> LightGbmModel:
        """Fit on `data.train` with early stopping on `data.validation`; deterministic for a seed.

        Raises:
            InvalidInput: a window has fewer than `lags` feature steps, or there are no windows for early stopping.
        """
        if self.patience:
            data.require_validation("Early stopping")
        data = data.keep_newest(max(1, self.most_targets // data.train.r_BH.shape[1]))
        scale = TargetScale.measure(data.train.r_BH, data.heads)
        goals = list_goals(data.named_heads, data.train.r_BH.shape[1])
        rounds = self.rounds if isinstance(self.rounds, tuple) else (self.rounds,) * len(goals)
        require(
            len(rounds) == len(goals),
            f"LightGbm.rounds has {len(rounds)} numbers; the answer takes {len(goals)} boosters. Give one for each.",
        )
        used = (data.train, data.validation) if self.patience else (data.train,)
        parts, settings, most = [_prepare(part, self.lags, scale) for part in used], self.parameters(data), max(rounds)
        curves = [
            _grow(goal, settings, parts, own, self.patience, _count_from(progress, number * most, len(goals) * most))
            for number, (goal, own) in enumerate(zip(goals, rounds, strict=True))
        ]
        return LightGbmModel(
            boosters=tuple(booster for booster, _ in curves), goals=tuple(goals), lags=self.lags, scale=scale,
            history=_join_curves([curve for _, curve in curves], goals),
            settled=replace(self, rounds=tuple(find_best_step(curve) for _, curve in curves), patience=0),
            threads=data.bench.threads,
        )  # fmt: skip

    def parameters(self, data: TrainingData) -> dict[str, Any]:
        """The settings of every booster."""
        return {
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_leaf,
            "bagging_fraction": self.row_share,
            "bagging_freq": int(self.row_share < 1),
            "feature_fraction": self.feature_share,
            "seed": data.seed,
            "num_threads": data.bench.threads,
            "deterministic": True,
            "force_row_wise": True,  # otherwise a measurement of time decides, and sums are rounded in another order
            "verbosity": -1,
        }

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "LightGbm", **asdict(self)}


# --- what each booster learns -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Goal:
    """What one booster learns: the columns of an answer, LightGBM's objective with its loss, and the share `spread_OH`
    that each column gets of each output of the booster. `weight` is the share of its loss in the joint loss.
    """

    columns: slice
    objective: str
    loss: str
    spread_OH: Array
    weight: float = 1.0

    @property
    def settings(self) -> dict[str, Any]:
        """Parameters of LightGBM."""
        classes = {"num_class": len(self.spread_OH)} if len(self.spread_OH) > 1 else {}
        return {"objective": self.objective, "metric": self.loss, **classes}

    def read_truth(self, learnt_BH: Floats) -> Floats:
        """The number of each row, or the place of its label."""
        learnt_BC = learnt_BH[:, self.columns]
        is_label = learnt_BC.shape[1] > 1
        truth_B: Floats = np.array(learnt_BC.argmax(axis=1) if is_label else learnt_BC[:, 0], dtype=np.float32)
        return truth_B


def list_goals(heads: Sequence[Head], width: int) -> list[Goal]:
    """The goals of all boosters, in the order of the columns."""
    return [goal for head in heads for goal in _split_head(head, width)]


@singledispatch
def _split_head(head: Head, width: int) -> list[Goal]:
    raise NotImplementedError(f"LightGbm has no goals for {type(head).__name__}; register them here.")


@_split_head.register
def _split_numbers(head: NumberHead, width: int) -> list[Goal]:
    units = np.eye(width)
    return [
        Goal(slice(column, column + 1), "regression", "l2", units[column : column + 1], 1 / head.width)
        for column in range(head.start, head.stop)
    ]


@_split_head.register
def _join_labels(head: LabelHead, width: int) -> list[Goal]:
    """One booster of the softmax of all labels; of two labels one of the logit, half of which each of them gets."""
    spread_CH = np.eye(width)[head.columns]
    if head.width == 2:
        return [Goal(head.columns, "binary", "binary_logloss", (spread_CH[1:] - spread_CH[:1]) / 2)]
    return [Goal(head.columns, "multiclass", "multi_logloss", spread_CH)]


# --- growing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """Features and learning targets of one part; numbers are in training standard deviations."""

    x_BN: Floats
    learnt_BH: Floats


def _prepare(windows: WindowSet, lags: int, scale: TargetScale) -> _Part:
    return _Part(flatten_lags(windows.z_BSK, lags), scale.standardise(windows.r_BH).astype(np.float32))


def _grow(
    goal: Goal, settings: Mapping[str, Any], parts: Sequence[_Part], most: int, patience: int, progress: Progress
) -> tuple[Booster, tuple[Mapping[str, float], ...]]:
    """A booster of the best round, and its losses in each round; `parts` are train and, for stopping, validation."""
    import lightgbm

    chosen = {**settings, **goal.settings}
    train = lightgbm.Dataset(parts[0].x_BN, label=goal.read_truth(parts[0].learnt_BH), params=chosen)
    booster = lightgbm.Booster(chosen, train)
    for part in parts[1:]:
        booster.add_valid(train.create_valid(part.x_BN, label=goal.read_truth(part.learnt_BH)), "valid")
    history: list[Mapping[str, float]] = []
    for done in range(1, most + 1):
        is_full = booster.update()
        told = {"train_loss": booster.eval_train(), "valid_loss": booster.eval_valid()}
        history.append({name: float(losses[0][2]) for name, losses in told.items() if losses})
        progress(done, most, history[-1])
        if patience and (is_full or done - find_best_step(history) >= patience):
            break
    # Reading the trees back drops the training rows, which the booster would keep.
    kept = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=find_best_step(history)))
    return kept, tuple(history)


def _count_from(progress: Progress, before: int, planned: int) -> Progress:
    """Progress of one of several boosters."""

    def show(done: int, _planned: int, numbers: Mapping[str, float]) -> None:
        progress(before + done, planned, numbers)

    return show


def _join_curves(
    curves: Sequence[Sequence[Mapping[str, float]]], goals: Sequence[Goal]
) -> tuple[Mapping[str, float], ...]:
    """The joint losses of all boosters in each round; a booster that has ended keeps its best round."""
    rounds = zip_longest(*curves)
    ends = [curve[find_best_step(curve) - 1] for curve in curves]
    return tuple(
        {
            name: sum(
                goal.weight * (numbers or end)[name] for goal, numbers, end in zip(goals, each, ends, strict=True)
            )
            for name in ends[0]
        }
        for each in rounds
    )


@dataclass(frozen=True, kw_only=True)
class LightGbmModel:
    """Boosters with the goals that they have learned. `history` has the joint `train_loss` and `valid_loss` of each
    round: squared errors (in training variances) and cross entropies (in nats). `settled` is the recipe of the kept
    rounds.
    """

    boosters: tuple[Booster, ...]
    goals: tuple[Goal, ...]
    lags: int
    scale: TargetScale
    history: tuple[Mapping[str, float], ...]
    settled: LightGbm
    threads: int = 1

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by LightGBM, labels as logits."""
        x_BN = flatten_lags(windows.z_BSK, self.lags)
        predicted_BH = np.zeros((len(windows), self.goals[0].spread_OH.shape[1]))
        for booster, goal in zip(self.boosters, self.goals, strict=True):
            raw = booster.predict(x_BN, raw_score=True, num_threads=self.threads)
            predicted_BH += np.asarray(raw).reshape(len(windows), -1) @ goal.spread_OH
        return self.scale.restore(predicted_BH)

    def settle(self) -> LightGbm:
        """The recipe with the rounds of each booster fixed."""
        return self.settled

    def core(self) -> TreesCore:
        """The trees and the scale of their predictions."""
        trees = [
            (read_light_gbm(tree), goal.spread_OH[number % len(goal.spread_OH)])
            for booster, goal in zip(self.boosters, self.goals, strict=True)
            for number, tree in enumerate(booster.dump_model()["tree_info"])
        ]
        table = build_table(trees, np.zeros(self.goals[0].spread_OH.shape[1]))
        return TreesCore(table, self.lags, self.scale.mean_H, self.scale.std_H, self.scale.is_share_H)
