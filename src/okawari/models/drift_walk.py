"""The random walk with drift: from the last level onwards at the mean pace of the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from okawari.models.cores import ConstantCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.level_series import Array, join_levels
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class DriftWalk:
    """Recipe of the drift method: the last level plus, for each step ahead, the mean change over all train readings.

    Where growth is learned, it is the mean growth.
    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. 2021, section 5.2.

    Example:
        >>> DriftWalk().name
        'drift_walk'
    """

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "drift_walk"

    def fit(self, data: TrainingData, progress: Progress) -> DriftWalkModel:
        """Measure the change from the first known level to the last.

        Raises:
            InvalidInput: the task is not a forecast.
        """
        transform = data.require_forecast("DriftWalk")
        straight_N = transform.straighten(join_levels(data.train))
        known = np.flatnonzero(~np.isnan(straight_N))
        first, last = known[0], known[-1]
        drift = (straight_N[last] - straight_N[first]) / max(last - first, 1)
        r_H: Array = drift * np.arange(1, data.train.r_BH.shape[1] + 1)
        return DriftWalkModel(r_H=r_H, history=({"drift": float(drift)},))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "DriftWalk"}


@dataclass(frozen=True, kw_only=True)
class DriftWalkModel:
    """The same moves `r_H` from every last level."""

    r_H: Array
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`, equal for all windows."""
        return np.tile(self.r_H.astype(np.float32), (len(windows), 1))

    def core(self) -> ConstantCore:
        """The moves."""
        return ConstantCore(self.r_H)
