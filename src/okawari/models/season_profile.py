"""Series made ready for the fit of a linear model: no missing readings, one unit, and no season too long for it.

Shapes: n readings of a series, S steps of a season.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from okawari.models.level_series import Array, measure_spread

LONGEST_SEASON = 24
"""Longest season that is a part of the fitted models themselves; the libraries' smoothing takes no longer one."""
_FEWEST_SEASONS = 2
_SIGNIFICANT = 1.645
"""95 % quantile of the normal distribution: 90 % on both sides."""


@dataclass(frozen=True, kw_only=True)
class PreparedSeries:
    """A series in units of `scale`. `season` is the one that a model has to fit, 1 for none; `profile_S` is one that
    was taken off, from the first step after the series.
    """

    y_N: Array
    season: int
    scale: float
    profile_S: Array | None

    @property
    def period(self) -> int:
        """Steps of the season, whoever models it; 1 for none."""
        return self.season if self.profile_S is None else len(self.profile_S)


def prepare_series(straight_N: Array, season: int, most_readings: int) -> PreparedSeries:
    """The newest `most_readings` of a series, at least four seasons: filled, scaled, and without a long season.

    A season of more than 24 steps is taken off by STL (Cleveland et al., STL: A Seasonal-Trend Decomposition Procedure
    Based on Loess, 1990), and its last cycle is the profile. A season that the series does not hold twice is no season.
    """
    newest_N = _fill(straight_N)[-max(most_readings, 4 * season) :]
    scale = measure_spread(newest_N)
    y_N = (newest_N - newest_N.mean()) / scale
    if season <= 1 or len(y_N) < _FEWEST_SEASONS * season + 1:
        return PreparedSeries(y_N=y_N, season=1, scale=scale, profile_S=None)
    if season <= LONGEST_SEASON:
        return PreparedSeries(y_N=y_N, season=season, scale=scale, profile_S=None)
    return _take_season_off(y_N, season, scale)


def take_fixed_season(series: PreparedSeries, season: int) -> PreparedSeries:
    """The series without the mean season of a classical decomposition by moving averages; the same series where it
    holds less than two seasons, or the autocorrelation at the season is not significant at 90 %.

    The test is the one of Assimakopoulos and Nikolopoulos, The Theta Model, Int. Journal of Forecasting 16 (2000).
    """
    if season <= 1 or len(series.y_N) < _FEWEST_SEASONS * season or not _is_seasonal(series.y_N, season):
        return series
    from statsmodels.tsa.seasonal import seasonal_decompose

    season_N = np.asarray(seasonal_decompose(series.y_N, period=season).seasonal, dtype=np.float64)
    return replace(series, y_N=series.y_N - season_N, profile_S=season_N[-season:])


def _is_seasonal(y_N: Array, season: int) -> bool:
    off_N = y_N - y_N.mean()
    if not off_N.any():
        return False
    correlations = np.array([off_N[lag:] @ off_N[:-lag] for lag in range(1, season + 1)]) / (off_N @ off_N)
    deviation = np.sqrt((1 + 2 * np.sum(correlations[:-1] ** 2)) / len(y_N))
    return bool(abs(correlations[-1]) > _SIGNIFICANT * deviation)


def _take_season_off(y_N: Array, season: int, scale: float) -> PreparedSeries:
    from statsmodels.tsa.seasonal import STL

    season_N = np.asarray(STL(y_N, period=season).fit().seasonal, dtype=np.float64)
    return PreparedSeries(y_N=y_N - season_N, season=1, scale=scale, profile_S=season_N[-season:])


def _fill(straight_N: Array) -> Array:
    """The series from its first known reading, with missing ones on the line between their neighbours."""
    known = np.flatnonzero(~np.isnan(straight_N))
    places = np.arange(known[0], known[-1] + 1)
    return np.interp(places, known, straight_N[known])
