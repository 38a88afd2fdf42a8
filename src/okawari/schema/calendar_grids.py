"""Grids: the days of a calendar, numbered by consecutive integers. One class per kind of day.

    EveryDay       all days
    WorkingDays    no weekends and no holidays
    Weekly         one weekday
    Monthly        the first or last day of every 1, 3 or 12 months; with `working`, the first or last working day

A grid is a pair of functions: `number` gives the place of each day, and `day` gives the day at each place. A day is on
the grid exactly if `day(number(day))` is the day itself; `number` of any other day is a place near it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from okawari.schema.holiday_dates import Days, list_working_days

Places = NDArray[np.int64]


class Grid(Protocol):
    """Numbered days."""

    def number(self, days: Days) -> Places:
        """The place of each day."""
        ...

    def day(self, places: Places) -> Days:
        """The day at each place."""
        ...


@dataclass(frozen=True)
class EveryDay:
    """All days."""

    def number(self, days: Days) -> Places:
        """Days since 1970."""
        return days.astype(np.int64)

    def day(self, places: Places) -> Days:
        """The inverse of `number`."""
        return places.astype("datetime64[D]")


@dataclass(frozen=True)
class WorkingDays:
    """Days from 1900 to 2100 that are neither a weekend nor a holiday of `place`."""

    place: str

    def number(self, days: Days) -> Places:
        """The place of the first working day on or after each day."""
        return np.searchsorted(list_working_days(self.place), days).astype(np.int64)

    def day(self, places: Places) -> Days:
        """The inverse of `number`; before 1900 and after 2100, the first and the last day."""
        known = list_working_days(self.place)
        return known[np.clip(places, 0, len(known) - 1)]


@dataclass(frozen=True)
class Weekly:
    """One day a week: `weekday` 0 is Monday."""

    weekday: int

    def number(self, days: Days) -> Places:
        """Weeks since 1970."""
        return (days.astype(np.int64) - self._first) // 7

    def day(self, places: Places) -> Days:
        """The inverse of `number`."""
        return (places * 7 + self._first).astype("datetime64[D]")

    @property
    def _first(self) -> int:
        return (self.weekday - 3) % 7  # 1970-01-01 was a Thursday


@dataclass(frozen=True)
class Monthly:
    """One day every `span` months: the first or last one of month `phase`, `phase + span`, ... (0 is January).

    With `working`, it is the first or last working day of `place`.
    """

    span: int
    phase: int
    edge: Literal["start", "end"]
    working: bool = False
    place: str = ""

    def number(self, days: Days) -> Places:
        """The place of the last named month up to that of each day."""
        return (days.astype("datetime64[M]").astype(np.int64) - self.phase) // self.span

    def day(self, places: Places) -> Days:
        """The inverse of `number`."""
        month = (places * self.span + self.phase).astype("datetime64[M]")
        is_start = self.edge == "start"
        day = month.astype("datetime64[D]") if is_start else (month + 1).astype("datetime64[D]") - 1
        return self._move(day, is_start) if self.working else day

    def _move(self, days: Days, is_start: bool) -> Days:
        """The working day at or after a month's first day, or at or before its last one."""
        known = list_working_days(self.place)
        places = np.searchsorted(known, days) if is_start else np.searchsorted(known, days, side="right") - 1
        return known[np.clip(places, 0, len(known) - 1)]
