"""A random forest on lagged features, fitted with scikit-learn (imported inside `fit`).

Shapes: B windows, S feature steps, K features, L newest steps, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from okawari.errors import InvalidInput
from okawari.models.cores import TreesCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lag_features import TargetScale, flatten_lags
from okawari.models.windows import Floats, WindowSet

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor


@dataclass(frozen=True, kw_only=True)
class RandomForest:
    """Recipe of a random forest from the newest `lags` feature steps to all columns of an answer at once.

    Splits minimise the variance of the columns: numbers in training standard deviations, and label shares, for which
    the variance is the Gini impurity. `min_leaf` keeps leaves large, because single returns are mostly noise, and keeps
    the graph small. `feature_share` of the features are tried at each split. Source: Breiman, Random Forests, 2001.

    Example:
        >>> RandomForest(n_trees=50).name
        'random_forest_50'
    """

    n_trees: int = 100
    min_leaf: int = 20
    lags: int = 20
    feature_share: float = 1 / 3

    def __post_init__(self) -> None:
        for field in ("n_trees", "min_leaf", "lags"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"RandomForest.{field} is {getattr(self, field)}; it is a count of at least 1. Raise it."
                )
        if not 0 < self.feature_share <= 1:
            raise InvalidInput(
                f"RandomForest.feature_share is {self.feature_share}; it is a share above 0 and up to 1. Use 1 for all."
            )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"random_forest_{self.n_trees}"

    def fit(self, data: TrainingData, progress: Progress) -> RandomForestModel:
        """Fit on `data.train` alone; a forest needs no early stopping.

        Raises:
            InvalidInput: a window has fewer than `lags` feature steps.
        """
        from sklearn.ensemble import RandomForestRegressor

        scale = TargetScale.measure(data.train.r_BH, data.heads, shares=True)
        forest = RandomForestRegressor(
            n_estimators=self.n_trees,
            min_samples_leaf=self.min_leaf,
            max_features=self.feature_share,
            random_state=data.seed,
            n_jobs=data.bench.threads,
        )
        true_BH = scale.standardise(data.train.r_BH)
        # scikit-learn warns about a target with a single column and expects one dimension instead.
        forest.fit(flatten_lags(data.train.z_BSK, self.lags), true_BH[:, 0] if true_BH.shape[1] == 1 else true_BH)
        # Several threads add the trees in the order in which they end, so rounding would differ between calls.
        forest.n_jobs = 1
        return RandomForestModel(forest=forest, lags=self.lags, scale=scale)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "RandomForest", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class RandomForestModel:
    """A fitted forest. It predicts numbers in training standard deviations and shares of labels."""

    forest: RandomForestRegressor
    lags: int
    scale: TargetScale
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by scikit-learn, labels as logits."""
        predicted_BH = self.forest.predict(flatten_lags(windows.z_BSK, self.lags)).reshape(len(windows), -1)
        return self.scale.restore(predicted_BH)

    def core(self) -> TreesCore:
        """The trees and the scale of their predictions."""
        return TreesCore(self.forest, self.lags, self.scale.mean_H, self.scale.std_H, self.scale.is_share_H)
