"""How long a case's windows and parts are, from how many rows there are and how often they come.

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
"""Fewest windows that a gate takes."""
_MIN_HISTORY = 8
_RHYTHMS = (
    # name of the rhythm, hours between two readings, readings in a season
    ("an hour", 0.9, 1.1, 24),
    ("a day", 23, 25, 7),
    ("a week", 160, 176, 52),
    ("a month", 24 * 28, 24 * 31.5, 12),
    ("a quarter", 24 * 89, 24 * 93, 4),
)


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often readings come, and how many make a season; 0 where none is known."""

    said: str
    season: int


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a forecast looks back and ahead, in readings. `season` is 0 where none fits into the history."""

    history: int
    horizon: int
    season: int


def measure_rhythm(times: pd.Series) -> Rhythm:
    """The rhythm of some times, by the median of what lies between them; a week without weekends has 5 days."""
    ordered = times.dropna().sort_values()
    hours = float(np.median(np.diff(ordered.to_numpy()) / np.timedelta64(1, "h")))
    for name, shortest, longest, season in _RHYTHMS:
        if shortest <= hours <= longest:
            if name == "a day" and not (ordered.dt.dayofweek >= 5).any():
                return Rhythm(said="one a working day, so 5 make a season", season=5)
            return Rhythm(said=f"one {name}, so {season} make a season", season=season)
    gap = str(pd.Timedelta(hours=hours).round("s")).removeprefix("0 days ")
    return Rhythm(said=f"one every {gap}, which says nothing of a season", season=0)


def plan_reach(n: int, season: int, beyond: int = 0) -> Reach:
    """A tenth of the rows as history, from 8 to 30 readings, but a whole season and `beyond` readings more where a
    fifth of the rows holds a season; a step ahead for each 60 rows, from 1 to 5.
    """
    history, horizon = min(30, max(_MIN_HISTORY, n // 10)), min(5, max(1, n // 60))
    if season and history < season + beyond and season <= n // 5 and _has_room(n, season + beyond, horizon):
        history = season + beyond
    return Reach(history=history, horizon=horizon, season=season if season <= history else 0)


def _has_room(n: int, history: int, horizon: int) -> bool:
    return n - history - horizon + 1 >= _LEARN + _HOLDOUT + _CALIBRATION + 3 * horizon


def count_fewest_readings() -> int:
    """Fewest readings that a forecast takes."""
    plans = ((n, plan_reach(n, 0)) for n in count(1))
    return next(n for n, reach in plans if _has_room(n, reach.history, reach.horizon))


def count_fewest_records(*, labelled: bool) -> int:
    """Fewest records that a label or a number takes; numbers need intervals."""
    return _LEARN + _HOLDOUT + (0 if labelled else _CALIBRATION)


def plan_series_gate(n_windows: int) -> Gate:
    """A sixth of the windows as holdout and a fifth for calibration, up to what a gate takes by itself."""
    usual = Gate()
    return Gate(
        holdout=min(usual.holdout, max(_HOLDOUT, n_windows // 6)),
        calibration=min(usual.calibration, max(_CALIBRATION, n_windows // 5)),
    )


def plan_records_gate(n: int, *, labelled: bool) -> Gate:
    """A fifth of the records as holdout and, of numbers, another for calibration, 1000 at most."""
    holdout = min(1000, max(_HOLDOUT, n // 5))
    return (
        Gate(holdout=holdout) if labelled else Gate(holdout=holdout, calibration=min(1000, max(_CALIBRATION, n // 5)))
    )


def plan_drift(n: int) -> Drift:
    """As many new rows as fit five times into the old ones, so that drift can be judged from the beginning."""
    usual = Drift()
    return Drift(current=min(usual.current, max(usual.min_current, n // 5)))
