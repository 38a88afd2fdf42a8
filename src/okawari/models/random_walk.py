"""The random walk: every future value equals the last one. The baseline of every forecast, hard to beat on prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from okawari.models.cores import ConstantCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class RandomWalk:
    """Recipe of the naive forecast: every future level equals the last one, so every move is zero."""

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "random_walk"

    def fit(self, data: TrainingData, progress: Progress) -> RandomWalkModel:
        """Take the horizon from the data; nothing is estimated.

        Raises:
            InvalidInput: the task is not a forecast.
        """
        data.require_forecast("RandomWalk")
        return RandomWalkModel(horizon=data.train.r_BH.shape[1])

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "RandomWalk"}


@dataclass(frozen=True, kw_only=True)
class RandomWalkModel:
    """A random walk over `horizon` steps."""

    horizon: int
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`, all zero."""
        return np.zeros((len(windows), self.horizon), dtype=np.float32)

    def core(self) -> ConstantCore:
        """Zeros."""
        return ConstantCore(np.zeros(self.horizon))
