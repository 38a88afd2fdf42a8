"""The calendar of a series: the times of its steps. Pure.

A calendar numbers its steps, so the n-th step after a time is found by adding n. Days, weeks and months are those of
the calendar's zone: a daily step begins at the same time of each local day, so it lasts 23 or 25 hours where clocks
change, and a month end follows a month end. Hours, minutes and seconds have the same length always.

Times are UTC without zone (datetime64[ns]) everywhere. Shapes: N times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.schema.calendar_grids import Grid, Places
from okawari.schema.frequency import Frequency, parse_frequency
from okawari.schema.holiday_dates import Days, require_place

Times = NDArray[np.datetime64]
"""Times as datetime64[ns], UTC."""
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The steps of a series.

    `frequency` is a name of `okawari.schema.frequency`. Steps of working days leave out the holidays of `holidays`.
    `anchor` is the time of one step, in nanoseconds since 1970: it sets the time of day of all steps and, for 2W or
    3D, which weeks or days they are. Without it, steps begin at local midnight.

    Raises:
        InvalidInput: the frequency, the zone or the holidays are not known.

    Example:
        >>> month_ends = Calendar(frequency="ME")
        >>> [str(time)[:10] for time in month_ends.steps_after(np.datetime64("2023-12-31"), 3)]
        ['2024-01-31', '2024-02-29', '2024-03-31']
    """

    frequency: str
    zone: str = "UTC"
    holidays: str = ""
    anchor: int | None = None

    def __post_init__(self) -> None:
        frequency = parse_frequency(self.frequency)
        require_zone(self.zone)
        if self.holidays:
            require_place(self.holidays, "Case.holidays")
            require(
                frequency.skips_holidays,
                f"Case.holidays is {self.holidays!r} and Case.frequency {self.frequency!r}; only steps of working days "
                "(B, BME, ...) leave out holidays. Leave holidays out, or use frequency='B'.",
            )

    @property
    def title(self) -> str:
        """One step in words, such as "month"."""
        return self._step.title

    @property
    def is_daily(self) -> bool:
        """Whether steps are whole local days: they begin at midnight and a date names them."""
        return self._step.clock_ns is None and self._time_of_day == 0

    def anchored(self, times_N: Times) -> Calendar:
        """The calendar with the anchor that most of the times fit; the first of them for equal counts.

        Without times, the calendar is unchanged.
        """
        if not len(times_N):
            return self
        phases_N = self._find_phases(times_N)
        _, firsts, counts = np.unique(phases_N, axis=0, return_index=True, return_counts=True)
        first = min(firsts[counts == counts.max()])
        return replace(self, anchor=int(_to_ns(times_N)[first]))

    def number(self, times_N: Times) -> Places:
        """The number of each time's step; that of a step near it for times off the calendar."""
        length = self._step.clock_ns
        if length is not None:
            return (_to_ns(times_N) - (self.anchor or 0)) // length
        days_N = to_local(times_N, self.zone).astype("datetime64[D]")
        return (self._grid.number(days_N) - self._first_place) // self._step.count

    def at(self, numbers_N: Places) -> Times:
        """The time of each step."""
        length = self._step.clock_ns
        if length is not None:
            return _from_ns(numbers_N * length + (self.anchor or 0))
        days_N = self._grid.day(numbers_N * self._step.count + self._first_place)
        return to_utc(_from_ns(_to_ns(days_N) + self._time_of_day), self.zone)

    def is_step(self, times_N: Times) -> NDArray[np.bool_]:
        """Whether each time is that of a step."""
        found: NDArray[np.bool_] = self.at(self.number(times_N)) == times_N.astype("datetime64[ns]")
        return found

    def find_step(self, time: np.datetime64 | datetime | pd.Timestamp) -> int:
        """The number of the step at this time.

        Raises:
            InvalidInput: the time is not that of a step.
        """
        times = _to_times(time)
        if not self.is_step(times)[0]:
            raise InvalidInput(f"{self.explain_off(times[0])}. Correct the time or the frequency.")
        return int(self.number(times)[0])

    def steps_after(self, last: np.datetime64 | datetime | pd.Timestamp, n: int) -> Times:
        """The times of the `n` steps after a time."""
        times = _to_times(last)
        number = self.number(times)[0]
        # A time off the calendar may be numbered as the step after it.
        first = number + 1 if self.at(np.array([number]))[0] <= times[0] else number
        return self.at(first + np.arange(n))

    def steps_between(
        self, first: np.datetime64 | datetime | pd.Timestamp, last: np.datetime64 | datetime | pd.Timestamp
    ) -> Times:
        """The times of all steps from one time to another, both included."""
        low, high = _to_times(first), _to_times(last)
        times = self.at(np.arange(self.number(low)[0], self.number(high)[0] + 1))
        return times[(times >= low) & (times <= high)]

    def explain_off(self, time: np.datetime64) -> str:
        """Why a time is not a step, as a reason without full stop."""
        return self.explain_all_off(_to_times(time))[0]

    def explain_all_off(self, times_N: Times) -> list[str]:
        """Why each of these times is not a step, as reasons without full stop."""
        wanted = f"frequency {self.frequency!r}" + (f" with the holidays of {self.holidays}" if self.holidays else "")
        nearest = format_each(self.at(self.number(times_N)), self.zone)
        return [
            f"{came} is no step of {wanted} in zone {self.zone}; a step near it is {near}"
            for came, near in zip(format_each(times_N, self.zone), nearest, strict=True)
        ]

    # --- parts --------------------------------------------------------------------------------------------------------

    @property
    def _step(self) -> Frequency:
        return parse_frequency(self.frequency)

    @property
    def _grid(self) -> Grid:
        return self._step.make_grid(self.holidays)

    @property
    def _anchor_local(self) -> Times:
        return to_local(np.array([self.anchor or 0], dtype="datetime64[ns]"), self.zone)

    @property
    def _time_of_day(self) -> int:
        """Nanoseconds after local midnight at which steps begin."""
        return 0 if self.anchor is None else _find_time_of_day(self.anchor, self.zone)

    @property
    def _first_place(self) -> int:
        """Place in the grid of a step whose number is a multiple of the count."""
        if self.anchor is None:
            return 0
        return int(self._grid.number(self._anchor_local.astype("datetime64[D]"))[0]) % self._step.count

    def _find_phases(self, times_N: Times) -> NDArray[np.int64]:
        """What an anchor at each time would set [N, 3]: whether it is off the grid, time of day, place."""
        nothing, step = np.zeros(len(times_N), dtype=np.int64), self._step
        if step.clock_ns is not None:
            return np.stack([nothing, _to_ns(times_N) % step.clock_ns, nothing], axis=1)
        local_N = to_local(times_N, self.zone)
        days_N = local_N.astype("datetime64[D]")
        places_N = self._grid.number(days_N)
        is_off = self._grid.day(places_N) != days_N
        passed_N = _measure_time_of_day(times_N, self.zone)
        return np.stack([is_off.astype(np.int64), passed_N, places_N % step.count], axis=1)


def require_zone(zone: str) -> None:
    """Check that a time zone is known.

    Raises:
        InvalidInput: it is not.
    """
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise InvalidInput(
            f"Case.zone is {zone!r}, which is no time zone; write a name such as 'UTC' or 'Europe/Berlin'."
        ) from unknown


def to_local(times_N: Times, zone: str) -> Times:
    """UTC times as the times that clocks of the zone show."""
    if zone == "UTC":
        return times_N.astype("datetime64[ns]")
    shown = pd.DatetimeIndex(times_N).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return cast(Times, shown.to_numpy().astype("datetime64[ns]"))


def to_utc(local_N: Times, zone: str) -> Times:
    """Times that clocks of the zone show, as UTC.

    A time that the clocks skip is the moment of the change; of a time that they show twice, it is the first.
    """
    if zone == "UTC":
        return local_N.astype("datetime64[ns]")
    shown, first = pd.DatetimeIndex(local_N), np.ones(len(local_N), dtype=bool)
    aware = shown.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return cast(Times, aware.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]"))


def format_local(time: np.datetime64 | pd.Timestamp, zone: str = "UTC") -> str:
    """A UTC time in the zone, in ISO 8601: the begin of a day as a date; with its offset from UTC, unless that is the
    zone.

    Example:
        >>> format_local(np.datetime64("2024-05-01T22:00"), "Europe/Berlin")
        '2024-05-02'
        >>> format_local(np.datetime64("2024-05-01T22:30"), "Europe/Berlin")
        '2024-05-02T00:30:00+02:00'
    """
    return format_each(_to_times(time), zone)[0]


def format_each(times_N: Times, zone: str = "UTC") -> list[str]:
    """Each UTC time as `format_local` writes it."""
    at = pd.DatetimeIndex(times_N)
    local = at if zone == "UTC" else at.tz_localize("UTC").tz_convert(zone)
    begins_N = begins_day(times_N, zone)
    return [f"{each:%Y-%m-%d}" if begins else each.isoformat() for each, begins in zip(local, begins_N, strict=True)]


def begins_day(times_N: Times, zone: str) -> NDArray[np.bool_]:
    """Whether each UTC time is the first of its local day: midnight, or the time after one that the clocks skip.

    Example:
        >>> midnight_is_skipped = np.array(["2024-03-30T22:00"], dtype="datetime64[ns]")
        >>> begins_day(midnight_is_skipped, "Asia/Beirut").tolist()
        [True]
    """
    local_N = to_local(times_N, zone)
    days_N = local_N.astype("datetime64[D]").astype("datetime64[ns]")
    is_midnight_N: NDArray[np.bool_] = local_N == days_N
    if zone == "UTC" or is_midnight_N.all():
        return is_midnight_N
    is_first_N: NDArray[np.bool_] = is_midnight_N | (to_utc(days_N, zone) == times_N)
    return is_first_N


def _measure_time_of_day(times_N: Times, zone: str) -> NDArray[np.int64]:
    """Nanoseconds after midnight on the zone's clocks; 0 for the begin of a day."""
    passed_N: NDArray[np.int64] = _to_ns(to_local(times_N, zone)) % _DAY_NS
    return np.where(begins_day(times_N, zone), 0, passed_N)


@lru_cache
def _find_time_of_day(anchor: int, zone: str) -> int:
    """The time of day of an anchor; each use of a calendar asks for it."""
    return int(_measure_time_of_day(np.array([anchor], dtype="datetime64[ns]"), zone)[0])


def format_times(times_N: Times, zone: str = "UTC") -> list[str]:
    """UTC times in the zone, in ISO 8601: dates if all begin a local day, else times with their offset, if any."""
    if begins_day(times_N, zone).all():
        days: list[str] = to_local(times_N, zone).astype("datetime64[D]").astype(str).tolist()
        return days
    at = pd.DatetimeIndex(times_N)
    return [time.isoformat() for time in (at if zone == "UTC" else at.tz_localize("UTC").tz_convert(zone))]


def _to_ns(times_N: Times) -> NDArray[np.int64]:
    return times_N.astype("datetime64[ns]").astype(np.int64)


def _from_ns(ns_N: NDArray[np.int64]) -> Times:
    return ns_N.astype("datetime64[ns]")


def _to_times(time: np.datetime64 | datetime | pd.Timestamp) -> Times:
    """One time as an array; an aware time is converted to UTC."""
    at = pd.Timestamp(time)
    return np.array([at.tz_convert("UTC").tz_localize(None) if at.tz is not None else at], dtype="datetime64[ns]")


__all__ = ["Calendar", "Days", "Times", "begins_day", "format_local", "require_zone", "to_local", "to_utc"]
