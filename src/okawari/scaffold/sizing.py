"""Sizes of a case's windows and parts, from the number of its rows and their frequency.

A table with fewer rows than `Plan.full` gets a *modest* plan: a short history, one step ahead and small
parts. Shapes: n rows, T readings in a window, H steps ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from okawari.case import Drift, Gate, Retrain
from okawari.case.rules import MIN_CALIBRATION, MIN_HOLDOUT
from okawari.dataset.splits import MIN_TRAIN, MIN_VALIDATION

_LEARN, _HOLDOUT, _CALIBRATION = 35, 20, 30
"""Fewest windows to learn from, in holdout and in calibration, of a plan that is not modest."""
_MODEST_WINDOWS = MIN_TRAIN + MIN_VALIDATION + MIN_HOLDOUT + MIN_CALIBRATION
"""Fewest windows of a modest plan, without the gaps between its parts."""
_MIN_HISTORY, _MODEST_HISTORY = 8, 3
FEWEST_RECORDS = 30
"""Fewest records of a case: 6 in the holdout, so that one of them is 17 % of the score."""
_FREQUENCIES = (
    # name of the interval, its shortest and longest length in hours, readings in a season
    ("hour", 0.9, 1.1, 24),
    ("day", 23, 25, 7),
    ("week", 160, 176, 52),
    ("month", 24 * 28, 24 * 31.5, 12),
    ("quarter", 24 * 89, 24 * 93, 4),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a plan counts, and the fewest of them (`full`) whose plan is not modest."""

    rows: str
    windows: str
    full: int
    modest_windows: str = ""


READINGS = Plan(rows="readings", windows="windows", full=97, modest_windows="a short history, one step ahead, ")
"""The plan of a series: 8 readings in a window, and 35 + 20 + 30 windows and 3 gaps."""
RECORDS = Plan(rows="rows", windows="rows", full=100)
"""The plan of records; a fifth of them is the holdout."""


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


def is_modest(n: int, plan: Plan) -> bool:
    """Whether `n` rows get a modest plan."""
    return n < plan.full


def plan_reach(n: int, season: int, beyond: int = 0) -> Reach:
    """The history is a tenth of the rows, from 8 to 30 readings, or a whole season and `beyond` readings if that is
    more and a fifth of the rows holds a season. The horizon is one step per 60 rows, from 1 to 5.

    In a modest plan, the history is a season if the smallest parts leave room for it, else an eighth of the rows, from
    3 to 8 readings; the horizon is one step.
    """
    if is_modest(n, READINGS):
        return _plan_modest_reach(n, season)
    history, horizon = min(30, max(_MIN_HISTORY, n // 10)), min(5, max(1, n // 60))
    if season and history < season + beyond and season <= n // 5 and _has_room(n, season + beyond, horizon):
        history = season + beyond
    return Reach(history=history, horizon=horizon, season=season if season <= history else 0)


def _plan_modest_reach(n: int, season: int) -> Reach:
    if season > 1 and count_modest_readings(season) <= n:
        return Reach(history=max(season, _MODEST_HISTORY), horizon=1, season=season)
    room = n - count_modest_readings(0)
    return Reach(history=min(_MIN_HISTORY, _MODEST_HISTORY + room, max(_MODEST_HISTORY, n // 8)), horizon=1, season=0)


def _has_room(n: int, history: int, horizon: int) -> bool:
    return n - history - horizon + 1 >= _LEARN + _HOLDOUT + _CALIBRATION + 3 * horizon


def count_modest_readings(season: int) -> int:
    """Fewest readings of a modest forecast by a window that holds a season, one step ahead."""
    return _MODEST_WINDOWS + 3 + max(season, _MODEST_HISTORY)


def count_fewest_readings() -> int:
    """Fewest readings for a forecast."""
    return count_modest_readings(0)


def plan_series_gate(n_windows: int, horizon: int = 1, *, modest: bool = False) -> Gate:
    """A sixth of the windows as holdout and a fifth for calibration, at most the defaults of `Gate`.

    In a modest plan: the fewest windows of each part, and of the windows that are left, a quarter more for the holdout
    and a third more for calibration, at most the fewest of a full plan.
    """
    if modest:
        room = max(0, n_windows - 3 * horizon - _MODEST_WINDOWS)
        return Gate(
            holdout=min(_HOLDOUT, MIN_HOLDOUT + room // 4), calibration=min(_CALIBRATION, MIN_CALIBRATION + room // 3)
        )
    default = Gate()
    return Gate(
        holdout=min(default.holdout, max(_HOLDOUT, n_windows // 6)),
        calibration=min(default.calibration, max(_CALIBRATION, n_windows // 5)),
    )


def plan_records_gate(n: int, *, labelled: bool) -> Gate:
    """A fifth of the records as holdout and, for numbers, another fifth for calibration, at most 1000 each."""
    is_small = is_modest(n, RECORDS)
    holdout = min(1000, max(MIN_HOLDOUT if is_small else _HOLDOUT, n // 5))
    if labelled:
        return Gate(holdout=holdout)
    return Gate(holdout=holdout, calibration=min(1000, max(MIN_CALIBRATION if is_small else _CALIBRATION, n // 5)))


def plan_drift(n: int) -> Drift:
    """A fifth of the rows as new rows, within the limits of `Drift`, so that drift can be tested from the start."""
    default = Drift()
    return Drift(current=min(default.current, max(default.min_current, n // 5)))


def plan_retrain(n: int, *, modest: bool) -> Retrain:
    """The default limits; in a modest plan, a twelfth of the rows, at least 3, is enough for another training."""
    return Retrain(cooldown_readings=max(3, n // 12)) if modest else Retrain()


def describe_modesty(n: int, gate: Gate, plan: Plan, *, with_intervals: bool) -> str:
    """The limits of a modest plan, for its owner."""
    intervals = f" and intervals from {gate.calibration}, which are wide and uncertain" * with_intervals
    return (
        f"A modest case, because there are {n} {plan.rows}: {plan.modest_windows}small parts and simple candidates "
        f"without networks and trees. Scores come from {gate.holdout} held-out {plan.windows}{intervals}. From "
        f"{plan.full} {plan.rows} on, `okawari new` plans more."
    )
