"""The seasonal naive forecast: the target's value one season earlier. A second baseline, for seasonal series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class SeasonalNaive:
    """Recipe of the seasonal naive forecast: `level[t + h - season * k]`, with the smallest k that is known at t.

    Where h is a multiple of `season`, that is the last level, so the forecast equals the random walk.
    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed. 2021, section 5.2.

    Example:
        >>> SeasonalNaive(season=5).name
        'seasonal_naive_5'
    """

    season: int = 5

    def __post_init__(self) -> None:
        if self.season < 1:
            raise InvalidInput(
                f"SeasonalNaive.season is {self.season}; it counts readings of a season, at least 1. Use 5 for a week "
                "of trading days."
            )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"seasonal_naive_{self.season}"

    def fit(self, data: TrainingData, progress: Progress) -> SeasonalNaiveModel:
        """Take history and horizon from the data; nothing is estimated.

        Raises:
            InvalidInput: a window is shorter than the season, or the task is not a forecast.
        """
        data.require_forecast("SeasonalNaive")
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        if history < self.season:
            raise InvalidInput(
                f"SeasonalNaive.season is {self.season}; a window holds {history} readings and must contain a "
                "season. Shorten the season or lengthen the history."
            )
        ahead_H = np.arange(1, horizon + 1)
        back_H = self.season * np.ceil(ahead_H / self.season).astype(int) - ahead_H
        return SeasonalNaiveModel(n_history=history, back_H=back_H)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "SeasonalNaive", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveModel:
    """For each step ahead, the level `back_H` readings before the last one."""

    n_history: int
    back_H: NDArray[np.int64]
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH` from the last level to the seasonal one."""
        return windows.w_BT[:, self.n_history - 1 - self.back_H].astype(np.float32)

    def core(self) -> AffineCore:
        """One centred level for each step ahead."""
        weight_HN = np.zeros((len(self.back_H), self.n_history))
        weight_HN[np.arange(len(self.back_H)), self.n_history - 1 - self.back_H] = 1.0
        return AffineCore(weight_HN=weight_HN, bias_H=np.zeros(len(self.back_H)))
