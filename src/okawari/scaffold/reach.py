"""How far the windows of a series look back and ahead, from its frequency and from what the table has room for.

Shapes: N steps of the series, T readings in a window, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case.rules import MIN_CALIBRATION, MIN_HOLDOUT
from okawari.dataset.splits import MIN_TRAIN, MIN_VALIDATION

_FEWEST_JUDGED = MIN_HOLDOUT + MIN_CALIBRATION
"""Fewest windows that a case of a series is judged on."""
_MOST_JUDGED = 3000
_FEWEST_LEARNED = MIN_TRAIN + MIN_VALIDATION
_SHORTEST, _SHORT, _LONG = 3, 8, 30
"""History without a season: readings of the shortest tables, of short ones, and of long ones."""
_FIRST_SEASON, _MORE_SEASONS, _MOST_SEASONS = 3, 5, 3
"""Seasons in the table that make room for one in the history, and for each further one; most of them."""
_LONGEST = 120
"""Most readings of a history with more than one season: networks and trees read each of them."""
_MOST_STEPS = 5
"""Steps ahead where the frequency suggests none."""
_FREQUENCIES = (
    # name of the interval, its shortest and longest length in hours, readings in a season, steps ahead
    ("quarter of an hour", 0.24, 0.26, 96, 24),
    ("half hour", 0.45, 0.55, 48, 24),
    ("hour", 0.9, 1.1, 24, 24),
    ("day", 23, 25, 7, 28),
    ("week", 160, 176, 52, 13),
    ("month", 24 * 28, 24 * 31.5, 12, 12),
    ("quarter", 24 * 89, 24 * 93, 4, 8),
)


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """How often readings come, as text, how many make a season (0 if none is known), and how many steps ahead are of
    use: a day of hours, four weeks of days, a week of working days, a quarter of weeks, a year of months, two years of
    quarters.
    """

    text: str
    season: int
    horizon: int = _MOST_STEPS


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Length of the history and of the horizon, in readings. `season` is 0 if none fits into the history.

    `n_windows` are the windows with a known last level and a known truth, and `n_judged` those that judge.
    """

    history: int
    horizon: int
    season: int
    n_windows: int
    n_judged: int

    @property
    def n_first(self) -> int:
        """Readings that the first fit learns from, those for early stopping included, where no step lacks its level."""
        return self.n_windows - self.n_judged - self.horizon + self.history - 1


def measure_frequency(times: pd.Series) -> Frequency:
    """The frequency of some times, from the median interval between them; a week without weekends has 5 days."""
    ordered = times.dropna().sort_values()
    hours = float(np.median(np.diff(ordered.to_numpy()) / np.timedelta64(1, "h")))
    for name, shortest, longest, season, horizon in _FREQUENCIES:
        if shortest <= hours <= longest:
            if name == "day" and not (ordered.dt.dayofweek >= 5).any():
                return Frequency(text="one per working day, so 5 make a season", season=5, horizon=5)
            return Frequency(text=f"one per {name}, so {season} make a season", season=season, horizon=horizon)
    gap = str(pd.Timedelta(hours=hours).round("s")).removeprefix("0 days ")
    return Frequency(text=f"one every {gap}, which has no known season", season=0)


def plan_reach(known_N: NDArray[np.bool_], frequency: Frequency, beyond: int = 1) -> Reach:
    """The history and the horizon for a series.

    The history holds a whole season if the table has three of them, two seasons if it has ten, three if it has 15, and
    `beyond` readings more, because a season of moves takes one more level. Models that read nothing but the history
    (exponential smoothing, SARIMA) tell the season from the trend by what repeats in it: in drawn series of months,
    their error fell by 13 to 41 % with the second season and by another 5 to 9 % with the third, and that of
    regressions on lags grew by 8 % at most. Without a season, the history is a tenth of the rows, from 8 to 30
    readings; in tables of fewer than 100 rows, an eighth of the rows, from 3 to 8.

    The horizon is that of the frequency, at most a tenth of the rows, as far as a quarter of the windows remains to
    learn from for the first fit.

    Args:
        known_N: whether each step of the series has a level.
        frequency: how often readings come.
        beyond: levels that the history takes more than a season of moves.
    """
    n, n_known = len(known_N), int(known_N.sum())
    for history in _list_histories(n, frequency.season, beyond):
        if _count_windows(known_N, history, 1) - count_judged(n_known, 1) - 3 >= _FEWEST_LEARNED:
            break
    horizon = _plan_horizon(known_N, history, min(frequency.horizon, n // 10))
    return Reach(
        history=history,
        horizon=horizon,
        season=frequency.season if frequency.season <= history else 0,
        n_windows=_count_windows(known_N, history, horizon),
        n_judged=count_judged(n_known, horizon),
    )


def describe_reach(reach: Reach, frequency: Frequency) -> str:
    """The history and the horizon, and why."""
    n_seasons = (reach.history - 1) // reach.season if reach.season else 0
    held = f", {n_seasons} season{'s' * (n_seasons > 1)} and one more" * (n_seasons * reach.season + 1 == reach.history)
    steps = "1 step" if reach.horizon == 1 else f"{reach.horizon} steps"
    fewer = f" ({frequency.horizon} need more rows)" * (reach.horizon < frequency.horizon)
    return f"The history is {reach.history} readings{held}; the horizon is {steps}{fewer}."


def _list_histories(n: int, season: int, beyond: int) -> Iterator[int]:
    """Lengths of a history, the best one first: with as many seasons as the table allows, then with fewer."""
    least = min(_LONG, max(_SHORT, n // 10)) if n >= 100 else min(_SHORT, max(_SHORTEST, n // 8))
    if season > 1 and n >= _FIRST_SEASON * season:
        most = max(1, min(_MOST_SEASONS, n // (_MORE_SEASONS * season)))
        lengths = [count * season + beyond for count in range(most, 0, -1)]
        yield from (max(least, length) for length in lengths if length <= _LONGEST or length == lengths[-1])
        yield max(least, season)
    yield least
    yield _SHORTEST


def _plan_horizon(known_N: NDArray[np.bool_], history: int, most: int) -> int:
    """The longest horizon, up to `most`, that leaves a quarter of the levels to learn from; 1 if none does.

    A fit learns from what lies one horizon before the windows for early stopping, and these lie one before the windows
    that judge; `size_parts` counts three such gaps.
    """
    n_known = int(known_N.sum())
    wanted = max(_FEWEST_LEARNED, n_known // 4)
    for horizon in range(most, 1, -1):
        n_left = _count_windows(known_N, history, horizon) - count_judged(n_known, horizon)
        if n_left - 2 * horizon >= wanted and n_left - 3 * horizon >= _FEWEST_LEARNED:
            return horizon
    return 1


def _count_windows(known_N: NDArray[np.bool_], history: int, horizon: int) -> int:
    """Windows whose last level and next `horizon` levels are known."""
    if len(known_N) < history + horizon:
        return 0
    return int(sliding_window_view(known_N[history - 1 :], horizon + 1).all(axis=1).sum())


def count_judged(n: int, horizon: int) -> int:
    """Windows that judge, for a series of `n` levels: a quarter of them and, of those above 1480, a twentieth. At most
    3000.

    There are at least 14 and the horizon, because the first interval takes nine errors whose true values were known.
    """
    return min(_MOST_JUDGED, max(_FEWEST_JUDGED - 1 + horizon, n // 4 if n < 1480 else 370 + (n - 1480) // 20))


def count_fewest_readings() -> int:
    """Fewest readings for a forecast: the smallest parts and the gaps between them, one step ahead."""
    return _SHORTEST + _FEWEST_LEARNED + _FEWEST_JUDGED + 3
