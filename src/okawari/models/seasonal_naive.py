"""The seasonal naive forecast: the target's value one season earlier. A second baseline, for seasonal series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore, FirstKnownCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class SeasonalNaive:
    """Recipe of the seasonal naive forecast: `level[t + h - season * k]`, with the smallest k that is known at t.

    Where that level is missing, it is the one of a season before, as far as the window reaches; where all of them are
    missing, the last level before the first of them.
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
        newest_H = history - 1 + ahead_H - self.season * np.ceil(ahead_H / self.season).astype(int)
        may_miss = data.train.imputation is not None
        return SeasonalNaiveModel(n_history=history, season=self.season, newest_H=newest_H, may_miss=may_miss)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "SeasonalNaive", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveModel:
    """For each step ahead, the level at `newest_H` in the window, or one of whole seasons before it.

    `may_miss` says whether windows may miss levels.
    """

    n_history: int
    season: int
    newest_H: NDArray[np.int64]
    may_miss: bool = False
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH` from the last level to the seasonal one."""
        w_BT = windows.w_BT.astype(np.float32)
        if not self.may_miss:
            return w_BT[:, self.newest_H]
        known_BT, r_BH = ~np.isnan(windows.read_levels_BT), w_BT[:, self.newest_H]
        for places_H in self._places_KH[::-1]:
            r_BH = np.where(known_BT[:, places_H], w_BT[:, places_H], r_BH)
        return r_BH

    def core(self) -> AffineCore | FirstKnownCore:
        """One centred level for each step ahead; the first one that is known where levels may be missing."""
        if self.may_miss:
            return FirstKnownCore(self._places_KH)
        weight_HN = np.zeros((len(self.newest_H), self.n_history))
        weight_HN[np.arange(len(self.newest_H)), self.newest_H] = 1.0
        return AffineCore(weight_HN=weight_HN, bias_H=np.zeros(len(self.newest_H)))

    @property
    def _places_KH(self) -> NDArray[np.int64]:  # noqa: N802  (a tensor carries its shape in its name)
        """The places in the window by seasons back; the oldest is repeated where the window reaches no further."""
        seasons_H = self.newest_H // self.season
        back_KH = np.minimum(np.arange(seasons_H.max() + 1)[:, None], seasons_H)
        places_KH: NDArray[np.int64] = self.newest_H - self.season * back_KH
        return places_KH
