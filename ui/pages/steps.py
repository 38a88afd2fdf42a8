"""The steps of a forecast for a chart, each with the time that the service names."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from okawari.clients.wire import Prediction
from okawari.schema.calendar import to_local
from ui.view_model import Facts


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A forecast's steps for a chart; step 0 is the last known value. `days` are the times that clocks of the data's
    zone show; None where the answer names no times.
    """

    numbers: list[int]
    start: pd.Timestamp
    days: list[pd.Timestamp] | None
    mean: list[float]
    lower: list[float] | None
    upper: list[float] | None


def lay_out_steps(forecast: Prediction) -> Steps:
    """A forecast's steps, following the last reading."""
    start, band = find_start(forecast), forecast.interval
    times = forecast.times
    return Steps(
        numbers=list(range(len(forecast.mean) + 1)),
        start=start,
        days=None if times is None else [start, *map(read_local, times)],
        mean=[forecast.level, *forecast.mean],
        lower=[forecast.level, *band.lower] if band else None,
        upper=[forecast.level, *band.upper] if band else None,
    )


def find_start(forecast: Prediction) -> pd.Timestamp:
    """Time of the last known reading, step 0, as clocks of the data's zone show it."""
    assert forecast.as_of is not None, "a forecast from stored readings has the time of the last one"
    return read_local(forecast.as_of)


def read_local(text: str) -> pd.Timestamp:
    """A time of an answer as clocks of the data's zone show it.

    >>> read_local("2024-05-02T00:30:00+02:00")
    Timestamp('2024-05-02 00:30:00')
    """
    return pd.Timestamp(text).tz_localize(None)


def list_days(facts: Facts) -> pd.Series:
    """Times of the loaded readings as clocks of the data's zone show them, ascending; empty if there are none."""
    if facts.recent is None:
        return pd.Series([], dtype="datetime64[ns]")
    times = facts.recent[facts.case.time]
    return pd.Series(to_local(times.to_numpy(dtype="datetime64[ns]"), facts.case.zone), index=times.index)
