"""The calendar days of a forecast's steps, after the known readings."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from okawari.clients.wire import Prediction
from ui.view_model import Facts


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A forecast's steps for a chart; step 0 is the last known value. `days` are expected days."""

    numbers: list[int]
    days: list[pd.Timestamp]
    mean: list[float]
    lower: list[float] | None
    upper: list[float] | None


def lay_out_steps(forecast: Prediction, history: pd.Series) -> Steps:
    """Assign days to a forecast's steps, following the last reading."""
    n_steps = len(forecast.mean)
    start = find_start(forecast)
    band = forecast.interval
    return Steps(
        numbers=list(range(n_steps + 1)),
        days=[start, *expect_days(start, n_steps, history)],
        mean=[forecast.level, *forecast.mean],
        lower=[forecast.level, *band.lower] if band else None,
        upper=[forecast.level, *band.upper] if band else None,
    )


def find_start(forecast: Prediction) -> pd.Timestamp:
    """Time of the last known reading, step 0."""
    assert forecast.as_of is not None, "a forecast from stored readings has the time of the last one"
    return pd.Timestamp(forecast.as_of)


def expect_days(start: pd.Timestamp, n_steps: int, history: pd.Series) -> list[pd.Timestamp]:
    """Days of the next readings: business days if no reading was on a weekend, else days at the median distance.

    >>> days = expect_days(pd.Timestamp("2013-03-01"), 2, pd.Series(pd.bdate_range("2013-02-01", "2013-03-01")))
    >>> [f"{day:%a %d}" for day in days]
    ['Mon 04', 'Tue 05']
    """
    if skips_weekends(history):
        return list(pd.bdate_range(start + pd.Timedelta(days=1), periods=n_steps))
    usual = pd.Timedelta(history.diff().median())
    return [start + usual * step for step in range(1, n_steps + 1)]


def skips_weekends(history: pd.Series) -> bool:
    """Whether readings are daily or more frequent, with none on a weekend. True if there are fewer than two."""
    if len(history) < 2:
        return True
    usual = pd.Timedelta(history.diff().median())
    return usual <= pd.Timedelta(days=1) and not (history.dt.dayofweek >= 5).any()


def list_days(facts: Facts) -> pd.Series:
    """Times of the loaded readings, ascending; empty if there are none."""
    return pd.Series([], dtype="datetime64[ns]") if facts.recent is None else facts.recent[facts.case.time]
