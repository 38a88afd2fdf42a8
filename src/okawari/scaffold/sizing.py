"""Sizes of a case's windows and parts, from the number of its rows and their frequency.

Shapes: n rows, T readings in a window, H steps ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd

from okawari.case import Drift, Gate
from okawari.dataset.splits import MIN_TRAIN, MIN_VALIDATION

_LEARN = MIN_TRAIN + MIN_VALIDATION
_HOLDOUT, _CALIBRATION = 20, 30
"""Fewest windows in holdout and calibration."""
_MIN_HISTORY = 8
_FREQUENCIES = (
    # name of the interval, its shortest and longest length in hours, readings in a season
    ("hour", 0.9, 1.1, 24),
    ("day", 23, 25, 7),
    ("week", 160, 176, 52),
    ("month", 24 * 28, 24 * 31.5, 12),
    ("quarter", 24 * 89, 24 * 93, 4),
)


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """How often readings come, as text, and how many make a season; 0 if none is known."""

    text: str
    season: int


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Length of the history and of the horizon, in readings. `season` is 0 if none fits into the history."""

    history: int
    horizon: int
    season: int


def measure_frequency(times: pd.Series) -> Frequency:
    """The frequency of some times, from the median interval between them; a week without weekends has 5 days."""
    ordered = times.dropna().sort_values()
    hours = float(np.median(np.diff(ordered.to_numpy()) / np.timedelta64(1, "h")))
    for name, shortest, longest, season in _FREQUENCIES:
        if shortest <= hours <= longest:
            if name == "day" and not (ordered.dt.dayofweek >= 5).any():
                return Frequency(text="one per working day, so 5 make a season", season=5)
            return Frequency(text=f"one per {name}, so {season} make a season", season=season)
    gap = str(pd.Timedelta(hours=hours).round("s")).removeprefix("0 days ")
    return Frequency(text=f"one every {gap}, which has no known season", season=0)


def plan_reach(n: int, season: int, beyond: int = 0) -> Reach:
    """The history is a tenth of the rows, from 8 to 30 readings, or a whole season and `beyond` readings if that is
    more and a fifth of the rows holds a season. The horizon is one step per 60 rows, from 1 to 5.
    """
    history, horizon = min(30, max(_MIN_HISTORY, n // 10)), min(5, max(1, n // 60))
    if season and history < season + beyond and season <= n // 5 and _has_room(n, season + beyond, horizon):
        history = season + beyond
    return Reach(history=history, horizon=horizon, season=season if season <= history else 0)


def _has_room(n: int, history: int, horizon: int) -> bool:
    return n - history - horizon + 1 >= _LEARN + _HOLDOUT + _CALIBRATION + 3 * horizon


def count_fewest_readings() -> int:
    """Fewest readings for a forecast."""
    plans = ((n, plan_reach(n, 0)) for n in count(1))
    return next(n for n, reach in plans if _has_room(n, reach.history, reach.horizon))


def count_fewest_records(*, labelled: bool) -> int:
    """Fewest records for a label or a number; numbers also need calibration."""
    return _LEARN + _HOLDOUT + (0 if labelled else _CALIBRATION)


def plan_series_gate(n_windows: int) -> Gate:
    """A sixth of the windows as holdout and a fifth for calibration, at most the defaults of `Gate`."""
    default = Gate()
    return Gate(
        holdout=min(default.holdout, max(_HOLDOUT, n_windows // 6)),
        calibration=min(default.calibration, max(_CALIBRATION, n_windows // 5)),
    )


def plan_records_gate(n: int, *, labelled: bool) -> Gate:
    """A fifth of the records as holdout and, for numbers, another fifth for calibration, at most 1000 each."""
    holdout = min(1000, max(_HOLDOUT, n // 5))
    return (
        Gate(holdout=holdout) if labelled else Gate(holdout=holdout, calibration=min(1000, max(_CALIBRATION, n // 5)))
    )


def plan_drift(n: int) -> Drift:
    """A fifth of the rows as new rows, within the limits of `Drift`, so that drift can be tested from the start."""
    default = Drift()
    return Drift(current=min(default.current, max(default.min_current, n // 5)))
