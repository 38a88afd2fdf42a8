"""A random forest on lagged features, fitted with scikit-learn (imported inside `fit`).

Shapes: B windows, S feature steps, K features, L newest steps, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.models.blocks import list_blocks
from okawari.models.cores import TreesCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lag_features import TargetScale, flatten_lags
from okawari.models.losses import joint_loss, to_logits
from okawari.models.windows import Floats, WindowSet

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

Array = NDArray[np.float64]
_BLOCKS = 3
_MOST_LEAF_VALUES = 5000
_MOST_CHOOSING = 4000
"""Largest number of rows to choose a leaf size on."""


@dataclass(frozen=True, kw_only=True)
class RandomForest:
    """Recipe of a random forest from the newest `lags` feature steps to all columns of an answer at once.

    Splits minimise the variance of the columns: numbers in training standard deviations, and label shares, for which
    the variance is the Gini impurity. `feature_share` of the features are tried at each split. Large leaves of at least
    `min_leaf` rows suit noisy targets; of several, the size with the smallest loss over three consecutive blocks of the
    train part is chosen, each predicted by a smaller forest of the other two. Sizes at which the leaves of a tree could
    have more than 5,000 values are left out, because the graph would be large; the largest size always stays. Of more
    than `most_windows` windows to train on, it reads the newest, which for records are a sample. Source: Breiman,
    Random Forests, 2001.

    Example:
        >>> RandomForest(n_trees=50).name
        'random_forest_50'
    """

    n_trees: int = 100
    min_leaf: int | tuple[int, ...] = (1, 3, 10, 30)
    lags: int = 20
    feature_share: float = 1 / 3
    most_windows: int = 20_000

    def __post_init__(self) -> None:
        require(
            min(self._leaves, default=0) >= 1,
            f"RandomForest.min_leaf is {self.min_leaf}; it is a count of at least 1, or several to choose from.",
        )
        for field in ("n_trees", "lags", "most_windows"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"RandomForest.{field} is {getattr(self, field)}; it is a count of at least 1. Raise it."
                )
        if not 0 < self.feature_share <= 1:
            raise InvalidInput(
                f"RandomForest.feature_share is {self.feature_share}; it is a share above 0 and up to 1. Use 1 for all."
            )

    @property
    def _leaves(self) -> tuple[int, ...]:
        return self.min_leaf if isinstance(self.min_leaf, tuple) else (self.min_leaf,)

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"random_forest_{self.n_trees}"

    def fit(self, data: TrainingData, progress: Progress) -> RandomForestModel:
        """Fit on `data.train` alone; a forest needs no early stopping.

        Raises:
            InvalidInput: a window has fewer than `lags` feature steps.
        """
        data = data.keep_newest(self.most_windows)
        scale = TargetScale.measure(data.train.r_BH, data.heads, shares=True)
        x_BN, true_BH = flatten_lags(data.train.z_BSK, self.lags), scale.standardise(data.train.r_BH)
        leaf = self._choose_leaf(x_BN, true_BH, scale, data)
        forest = _grow(self, x_BN, true_BH, leaf, data)
        # Several threads add the trees in the order in which they end, so rounding would differ between calls.
        forest.n_jobs = 1
        return RandomForestModel(forest=forest, lags=self.lags, scale=scale, settled=replace(self, min_leaf=leaf))

    def _choose_leaf(self, x_BN: Floats, true_BH: Array, scale: TargetScale, data: TrainingData) -> int:
        """The leaf size with the smallest loss over blocks of the newest rows; of equal losses the largest."""
        leaves = [leaf for leaf in self._leaves if true_BH.size <= _MOST_LEAF_VALUES * leaf] or [max(self._leaves)]
        if len(leaves) == 1:
            return leaves[0]
        x_BN, true_BH = x_BN[-_MOST_CHOOSING:], true_BH[-_MOST_CHOOSING:]
        small = replace(self, n_trees=max(1, self.n_trees // 6))
        losses = dict.fromkeys(sorted(leaves, reverse=True), 0.0)
        for others_B, block in list_blocks(len(x_BN), _BLOCKS):
            for leaf in losses:
                forest = _grow(small, x_BN[others_B], true_BH[others_B], leaf, data)
                said_BH = to_logits(_predict(forest, x_BN[block]), scale.is_share_H)
                losses[leaf] += (block.stop - block.start) * joint_loss(said_BH, true_BH[block], data.heads)
        return min(losses, key=losses.__getitem__)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "RandomForest", **asdict(self)}


def _grow(recipe: RandomForest, x_BN: Floats, true_BH: Array, leaf: int, data: TrainingData) -> RandomForestRegressor:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=recipe.n_trees,
        min_samples_leaf=leaf,
        max_features=recipe.feature_share,
        random_state=data.seed,
        n_jobs=data.bench.threads,
    )
    # scikit-learn warns about a target with a single column and expects one dimension instead.
    return forest.fit(x_BN, true_BH[:, 0] if true_BH.shape[1] == 1 else true_BH)


def _predict(forest: RandomForestRegressor, x_BN: Floats) -> Array:
    predicted_BH: Array = forest.predict(x_BN).reshape(len(x_BN), -1)
    return predicted_BH


@dataclass(frozen=True, kw_only=True)
class RandomForestModel:
    """A fitted forest. It predicts numbers in training standard deviations and shares of labels. `settled` is the
    recipe with its leaf size fixed.
    """

    forest: RandomForestRegressor
    lags: int
    scale: TargetScale
    settled: RandomForest
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by scikit-learn, labels as logits."""
        return self.scale.restore(_predict(self.forest, flatten_lags(windows.z_BSK, self.lags)))

    def settle(self) -> RandomForest:
        """The recipe with the leaf size fixed."""
        return self.settled

    def core(self) -> TreesCore:
        """The trees and the scale of their predictions."""
        return TreesCore(self.forest, self.lags, self.scale.mean_H, self.scale.std_H, self.scale.is_share_H)
