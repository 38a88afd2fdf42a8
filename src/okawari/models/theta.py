"""The Theta method: a season taken off, and what remains smoothed with half of its trend, more or less, as drift.

The parameters are fitted by statsforecast (imported inside `fit`).

Shapes: n readings of a series, S steps of a season.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from okawari.models.cores import Core
from okawari.models.ets import build_smoothing
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.level_series import read_straight, require_readings, require_season
from okawari.models.phased_model import FittedSeries, PhasedModel
from okawari.models.season_profile import PreparedSeries, prepare_series, take_fixed_season
from okawari.models.windows import Floats, WindowSet

_FEWEST_READINGS = 12
_MOST_READINGS = 3000


@dataclass(frozen=True, kw_only=True)
class Theta:
    """Recipe of the optimised Theta method, on logarithms where growth is learned.

    The season is the mean one of a classical decomposition, unless its autocorrelation is not significant at 90 %. The
    rest is a level smoothed by `alpha` and a drift of `1 - 1 / theta` times the slope of its regression line; `alpha`
    and `theta` have the least squares of the errors.

    Args:
        season: readings of a season; 0 or 1 for none.

    Parameters are those of the newest 3,000 train readings, at least four seasons.
    Source: Fiorucci et al., Models for Optimising the Theta Method and Their Relationship to State Space Models,
    International Journal of Forecasting 32 (2016), the model OTM; its steady state is exponential smoothing with drift.

    Example:
        >>> Theta(season=12).name
        'theta_12'
    """

    season: int = 0

    def __post_init__(self) -> None:
        require_season("Theta", self.season)

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"theta_{self.season}" if self.season > 1 else "theta"

    def fit(self, data: TrainingData, progress: Progress) -> ThetaModel:
        """Fit on the series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast, or the train part has fewer than 12 readings.
        """
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        straight_N = read_straight(data, "Theta")
        series = take_fixed_season(prepare_series(straight_N, 1, max(_MOST_READINGS, 4 * self.season)), self.season)
        require_readings("Theta", len(series.y_N), _FEWEST_READINGS)
        fitted, facts = _estimate(series)
        progress(1, 1, facts)
        return ThetaModel(phased=fitted.meet_windows(history, horizon, facts))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Theta", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class ThetaModel:
    """A smoothed level with drift and a season, from windows."""

    phased: PhasedModel

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """`alpha`, `theta` and the drift, in one step."""
        return self.phased.history

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`."""
        return self.phased.predict(windows)

    def core(self) -> Core:
        """An affine map, with a bias for each phase of a season."""
        return self.phased.core()


def _estimate(series: PreparedSeries) -> tuple[FittedSeries, dict[str, float]]:
    from statsforecast.theta import auto_theta

    places_N = np.arange(len(series.y_N))
    alpha, theta = 1.0, 1.0
    if np.ptp(series.y_N):
        par = auto_theta(series.y_N, 1, model="OTM")["par"]
        alpha, theta = float(par["alpha"]), max(float(par["theta"]), 1.0)
    drift = float((1 - 1 / theta) * np.polyfit(places_N, series.y_N, 1)[0])
    fitted = FittedSeries(
        model=build_smoothing(alpha=alpha, beta=None, gamma=None, phi=1.0, season=1),
        y_N=series.y_N - drift * places_N,
        season=series.period,
        scale=series.scale,
        profile_S=series.profile_S,
        drift=drift,
    )
    return fitted, {"alpha": alpha, "theta": theta, "drift": drift * series.scale}
