"""The mean of the recent levels, for series that fluctuate around one level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class MeanLevel:
    """Recipe of the mean forecast: every future level is the mean of the newest `window` levels; 0 takes the history.

    Where growth is learned, it is the geometric mean. A missing level counts as the one before it.
    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. 2021, section 5.2.

    Example:
        >>> MeanLevel(window=12).name
        'mean_level_12'
    """

    window: int = 0

    def __post_init__(self) -> None:
        if self.window < 0:
            raise InvalidInput(
                f"MeanLevel.window is {self.window}; it counts readings, or is 0 for the whole history. Use 12 for a "
                "year of months."
            )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"mean_level_{self.window}" if self.window else "mean_level"

    def fit(self, data: TrainingData, progress: Progress) -> MeanLevelModel:
        """Take history and horizon from the data; nothing is estimated.

        Raises:
            InvalidInput: the history is shorter than `window`, or the task is not a forecast.
        """
        data.require_forecast("MeanLevel")
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        if history < self.window:
            raise InvalidInput(
                f"MeanLevel.window is {self.window}; a window of the case holds {history} readings. Shorten it or "
                "lengthen the history."
            )
        return MeanLevelModel(n_history=history, horizon=horizon, n_newest=self.window or history)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "MeanLevel", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class MeanLevelModel:
    """The mean of the newest `n_newest` of `n_history` levels, for all of `horizon` steps."""

    n_history: int
    horizon: int
    n_newest: int
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH` from the last level to the mean."""
        mean_B1 = windows.w_BT[:, -self.n_newest :].mean(axis=1, keepdims=True)
        return np.repeat(mean_B1, self.horizon, axis=1).astype(np.float32)

    def core(self) -> AffineCore:
        """Equal weights for the newest centred levels."""
        weight_HN = np.zeros((self.horizon, self.n_history))
        weight_HN[:, -self.n_newest :] = 1 / self.n_newest
        return AffineCore(weight_HN=weight_HN, bias_H=np.zeros(self.horizon))
