"""The frequency of a series, guessed from its times: a calendar on which they lie and that they nearly fill.

Shapes: N times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from okawari.schema.calendar import Calendar, Times, to_local

ON_SHARE = 0.95
"""Smallest share of times on the calendar; readings off it are refused."""
FILLED_SHARE = 0.7
"""Smallest share of steps that have a reading; with fewer, the series has no calendar."""
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DAY_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_QUARTERS = {"S": ("FEB", "MAR"), "E": ("JAN", "FEB")}
_MIN_WEEKS = 4
_OFFSET = r"[T ]\d{1,2}:\d{2}.*?(Z|[+-]\d{2}:?(?:\d{2})?)$"


@dataclass(frozen=True, kw_only=True)
class GuessedCalendar:
    """The calendar of a series, or None, the number of its steps and of those without a reading, and the reason."""

    calendar: Calendar | None
    n_steps: int
    n_missing: int
    text: str


def guess_calendar(times: pd.Series, zone: str, holidays: str = "") -> GuessedCalendar:
    """The calendar that the times fill best; none, if none has nearly all times and most of its steps are filled.

    Args:
        times: times in UTC without zone, ascending and unique.
        zone: the zone of the data.
        holidays: the place whose holidays are no working days.
    """
    times_N = times.to_numpy(dtype="datetime64[ns]")
    found = [_fit(times_N, frequency, zone, holidays) for frequency in _list_frequencies(times_N, zone)]
    fitting = [each for each in found if each is not None]
    if not fitting:
        return GuessedCalendar(
            calendar=None,
            n_steps=len(times_N),
            n_missing=0,
            text="The times have no common step, so readings are counted one after another; --frequency states one.",
        )
    return _leave_closed_days(min(fitting, key=lambda each: each.n_missing / each.n_steps), times_N, zone)


def describe_zone(values: pd.Series, zone: str) -> str:
    """The zone of a column of times, and what may be stated instead.

    Args:
        values: the times as they stand in the table.
        zone: the stated zone; empty if none is stated.
    """
    texts = values[values.map(lambda value: isinstance(value, str)).astype(bool)]
    offsets = sorted(set(texts.str.extract(_OFFSET, expand=False).dropna())) if len(texts) else []
    if zone:
        return f"Days and months are those of {zone}."
    if set(offsets) - {"Z", "+00:00", "+0000", "+00"}:
        return (
            f"Times have offsets such as {offsets[-1]}, and days are those of UTC; --zone states the zone whose days "
            "and months they are, such as Europe/Berlin."
        )
    return "Times are taken as UTC; --zone states another zone."


def state_calendar(times: pd.Series, frequency: str, zone: str, holidays: str) -> GuessedCalendar:
    """The calendar that the user has stated.

    Raises:
        InvalidInput: the frequency, the zone or the holidays are not known.
    """
    times_N = times.to_numpy(dtype="datetime64[ns]")
    calendar = Calendar(frequency=frequency, zone=zone, holidays=holidays).anchored(times_N)
    return _count(calendar, times_N[calendar.is_step(times_N)])


def _fit(times_N: Times, frequency: str, zone: str, holidays: str) -> GuessedCalendar | None:
    place = holidays if frequency.startswith("B") else ""
    calendar = Calendar(frequency=frequency, zone=zone, holidays=place).anchored(times_N)
    on_N = calendar.is_step(times_N)
    if on_N.mean() < ON_SHARE:
        return None
    found = _count(calendar, times_N[on_N])
    return found if found.n_missing <= (1 - FILLED_SHARE) * found.n_steps else None


def _count(calendar: Calendar, times_N: Times) -> GuessedCalendar:
    numbers = calendar.number(times_N)
    n_steps = int(numbers[-1] - numbers[0] + 1) if len(numbers) else 0
    n_missing = n_steps - len(np.unique(numbers))
    steps = "steps" if calendar.frequency[0].isdigit() else f"{calendar.title}s"
    which = f"{n_missing} of {n_steps} {steps} are missing" if n_missing else f"none of {n_steps} is missing"
    return GuessedCalendar(
        calendar=calendar,
        n_steps=n_steps,
        n_missing=n_missing,
        text=f"Frequency {calendar.frequency}, one step for each {calendar.title}; {which}.",
    )


def _leave_closed_days(found: GuessedCalendar, times_N: Times, zone: str) -> GuessedCalendar:
    """No calendar, if the missing days are those of a weekday that never occurs: pandas has no name for such steps."""
    assert found.calendar is not None
    weekdays = pd.DatetimeIndex(to_local(times_N, zone)).dayofweek
    absent = sorted(set(range(7)) - set(weekdays))
    if found.calendar.frequency != "D" or not absent or found.n_steps < 7 * _MIN_WEEKS:
        return found
    names = ", ".join(_DAY_NAMES[day] for day in absent)
    return GuessedCalendar(
        calendar=None,
        n_steps=len(times_N),
        n_missing=0,
        text=f"There is no reading on {names}, so readings are counted one after another; --frequency D makes these "
        "days steps without a value.",
    )


def _list_frequencies(times_N: Times, zone: str) -> Iterator[str]:
    steps = pd.Series(np.diff(times_N)).value_counts()
    usual = pd.Timedelta(steps.index[0])
    if usual < pd.Timedelta(hours=23):
        yield _name_clock(usual)
        return
    local = pd.DatetimeIndex(to_local(times_N, zone))
    yield "D"
    yield "B"
    if usual % pd.Timedelta(days=1) == pd.Timedelta(0) and usual.days not in (1, 7):
        yield f"{usual.days}D"
    yield f"W-{_WEEKDAYS[local.dayofweek.to_series().mode().iloc[0]]}"
    for edge in ("S", "E"):
        yield from (f"M{edge}", f"BM{edge}")
        yield f"Q{edge}"
        yield from (f"Q{edge}-{month}" for month in _QUARTERS[edge])
        yield f"Y{edge}-{_MONTHS[local.month.to_series().mode().iloc[0] - 1]}"


def _name_clock(step: pd.Timedelta) -> str:
    seconds = max(1, int(step.total_seconds()))
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}".removeprefix("1" if seconds == length else "")
    return f"{seconds}s".removeprefix("1" if seconds == 1 else "")
