"""Days and months that have changed places: the recorded format reads all times, but only the other order has steps.

From the first to the twelfth of a month both orders read, and the wrong one scatters a fortnight over a year.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from okawari.data.time_format import describe_time_format, parse_times
from okawari.schema.calendar import Calendar

_MIN_TIMES = 3
_MIN_CONSECUTIVE, _MAX_CONSECUTIVE = 0.9, 0.5
"""Shares of neighbouring times that are one step apart, in the other order and in the recorded one."""


def find_swapped_days(values: pd.Series, format: str, calendar: Calendar | None) -> str:
    """A sentence, if the times are consecutive steps of the calendar with day and month swapped only; else empty."""
    if calendar is None or "%d" not in format or "%m" not in format:
        return ""
    other = format.replace("%d", "%_").replace("%m", "%d").replace("%_", "%m")
    shares = [_measure_consecutive(values, each, calendar) for each in (format, other)]
    if shares[0] > _MAX_CONSECUTIVE or shares[1] < _MIN_CONSECUTIVE:
        return ""
    return (
        f"times such as {values.iloc[0]!r} are no consecutive steps as {describe_time_format(format)}, but are as "
        f"{describe_time_format(other)}"
    )


def _measure_consecutive(values: pd.Series, format: str, calendar: Calendar) -> float:
    """Share of neighbouring times that are one step apart; 0 if a value is no time in this format."""
    at = parse_times(values, format, calendar.zone)
    steps = np.unique(calendar.number(at.dropna().to_numpy()))
    if at.isna().any() or len(steps) < _MIN_TIMES:
        return 0.0
    return float(np.mean(np.diff(steps) == 1))
