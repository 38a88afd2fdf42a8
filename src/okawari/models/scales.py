"""Scales of intervals: how wide the interval of a window is, relative to the others.

    ConstantScale    1 for every window
    MoveScale        recent moves of a series: a calm window gets a narrow interval
    LevelScale       a power of the predicted level, for amounts and counts
    FeatureScale     the exponential of an affine map of a record's features

Shapes: B windows, T readings, S = T - 1 moves, K features, H columns of an answer. A scale has no unit, is finite and
above 0 for every window, and is 1 for a typical one. The same scales as ONNX nodes are in
`okawari.graph.scale_stage`; which one a model gets is decided by `okawari.evaluation.scales`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.models.windows import Values, WindowSet
from okawari.schema.transforms import Transform


@dataclass(frozen=True)
class ConstantScale:
    """The same width for every window."""

    @property
    def name(self) -> str:
        """The name in records."""
        return "constant"

    def measure(self, windows: WindowSet, r_BH: NDArray[Any]) -> Values:
        """The scale of each window, [B, 1]; `r_BH` is what the model predicts."""
        return np.ones((len(windows), 1))


@dataclass(frozen=True)
class MoveScale:
    """The root of a mean of squared moves: exponentially weighted ones of the window, and the `typical` one.

        scale = sqrt(mix * sum_i weight_i * min((move_i / typical)^2, most^2) + 1 - mix)

    Weights fall by `decay` for each step back, the constant of RiskMetrics (J.P. Morgan, RiskMetrics Technical
    Document, 1996, section 5.3.2). `most` limits the effect of one extreme move. A move from or to a missing level
    counts as a typical one.
    """

    typical: float
    """Root mean square of the moves between readings, in the unit of `transform`; above 0."""
    transform: Transform
    """What a move is: that of the windows' levels in the graph (`Task.window_transform`)."""
    decay: float = 0.94
    mix: float = 0.75
    most: float = 5.0

    @property
    def name(self) -> str:
        """The name in records."""
        return "recent moves"

    def weigh(self, n_moves: int) -> Values:
        """The weight of each of the newest `n_moves` moves, oldest first; their sum is 1."""
        weight_S = self.decay ** np.arange(n_moves - 1, -1, -1, dtype=np.float64)
        weighed: Values = weight_S / weight_S.sum()
        return weighed

    def measure(self, windows: WindowSet, r_BH: NDArray[Any]) -> Values:
        """The scale of each window, [B, 1]; `r_BH` is what the model predicts."""
        squared_BS = (measure_moves(windows, self.transform) / self.typical) ** 2
        squared_BS = np.where(np.isnan(squared_BS), 1.0, np.minimum(squared_BS, self.most**2))
        scale_B1: Values = np.sqrt(self.mix * (squared_BS @ self.weigh(squared_BS.shape[1])) + 1 - self.mix)[:, None]
        return scale_B1


@dataclass(frozen=True)
class LevelScale:
    """A power of the predicted level: 1/2 for counts, whose variance grows with their mean, 1 for proportional errors.

    `scale = (clip(level, least, most) / typical)^power`. `least` is above 0.
    """

    power: float
    typical: float
    least: float
    most: float

    @property
    def name(self) -> str:
        """The name in records."""
        return "predicted level" if self.power == 1 else f"predicted level to the power of {self.power:g}"

    def measure(self, windows: WindowSet, r_BH: NDArray[Any]) -> Values:
        """The scale of each predicted level, [B, H]; `r_BH` is what the model predicts."""
        scale_BH: Values = (np.clip(predict_levels(windows, r_BH), self.least, self.most) / self.typical) ** self.power
        return scale_BH


@dataclass(frozen=True)
class FeatureScale:
    """`scale = exp(clip(weight_K @ z_K + bias, lowest, highest))`, for the features of a record."""

    weight_K: NDArray[np.float64] = field(repr=False)
    bias: float
    lowest: float
    highest: float

    @property
    def name(self) -> str:
        """The name in records."""
        return "features"

    def measure(self, windows: WindowSet, r_BH: NDArray[Any]) -> Values:
        """The scale of each record, [B, 1]; `r_BH` is what the model predicts."""
        return measure_affine(windows.z_BSK[:, -1], self)


Scale = ConstantScale | MoveScale | LevelScale | FeatureScale
"""How the width of an interval depends on its window."""


def measure_affine(z_BK: NDArray[Any], scale: FeatureScale) -> Values:
    """The scale of each row of features, [B, 1]."""
    logs_B = np.clip(z_BK.astype(np.float64) @ scale.weight_K + scale.bias, scale.lowest, scale.highest)
    scale_B1: Values = np.exp(logs_B)[:, None]
    return scale_B1


def measure_moves(windows: WindowSet, transform: Transform) -> Values:
    """The move from each reading of a window to the next, [B, S]; NaN from or to a missing level."""
    levels_BT = windows.read_levels_BT
    return transform.forward(levels_BT[:, :-1], levels_BT[:, 1:])


def predict_levels(windows: WindowSet, r_BH: NDArray[Any]) -> Values:
    """The levels that a prediction `r_BH` stands for, in the target's unit."""
    return windows.transform.backward(windows.level_B[:, None], r_BH.astype(np.float64))
