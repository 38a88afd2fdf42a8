"""Calendar features: weekday, month, hour and holidays of a time that is known ahead.

`ahead` counts steps of the calendar: with `ahead=1`, the feature of a reading describes the next step; with `ahead=0`,
the reading itself. Each feature has one or more parts, which are numbers.

These classes define the numbers for local times; `okawari.dataset.calendar_features` is the only caller.
Shapes: N times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.schema.calendar import Times
from okawari.schema.columns import NAME
from okawari.schema.holiday_dates import find_weekdays, list_holidays, require_place

Numbers = NDArray[np.float64]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CIRCLE = ("sin", "cos")


class CalendarFeature(Protocol):
    """A feature of a local time."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def ahead(self) -> int:
        """Steps from the reading to the time that it describes."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of its numbers."""
        ...

    def measure(self, local_N: Times) -> Numbers:
        """Its numbers for local times, [N, parts]."""
        ...


def _check(feature: CalendarFeature) -> None:
    kind = type(feature).__name__
    require(
        bool(NAME.match(feature.name)) and len(feature.name) <= 34,
        f"{kind} name is {feature.name!r}; use lower-case letters, digits and _, at most 34.",
    )
    require(feature.ahead >= 0, f"{kind}.ahead of {feature.name} is {feature.ahead}; it counts steps, 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Weekday:
    """The day of the week, one-hot from Monday to Sunday."""

    name: str = "weekday"
    ahead: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """One for each day."""
        return tuple(f"{self.name}_{day}" for day in _DAYS)

    def measure(self, local_N: Times) -> Numbers:
        """1 for the day, 0 for the others."""
        return np.eye(7)[find_weekdays(local_N.astype("datetime64[D]"))]


@dataclass(frozen=True, kw_only=True)
class Year:
    """The year as a number."""

    name: str = "year"
    ahead: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)

    def measure(self, local_N: Times) -> Numbers:
        """Such as 2024."""
        return local_N.astype("datetime64[Y]").astype(np.float64)[:, None] + 1970


@dataclass(frozen=True, kw_only=True)
class Month:
    """The month as a place on the circle of a year: sine and cosine."""

    name: str = "month"
    ahead: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """Sine and cosine."""
        return tuple(f"{self.name}_{part}" for part in _CIRCLE)

    def measure(self, local_N: Times) -> Numbers:
        """January is at angle 0."""
        return _place_on_circle(local_N.astype("datetime64[M]").astype(np.int64) % 12, 12)


@dataclass(frozen=True, kw_only=True)
class Hour:
    """The time of day as a place on the circle of 24 hours, to the minute: sine and cosine."""

    name: str = "hour"
    ahead: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def parts(self) -> tuple[str, ...]:
        """Sine and cosine."""
        return tuple(f"{self.name}_{part}" for part in _CIRCLE)

    def measure(self, local_N: Times) -> Numbers:
        """Midnight is at angle 0."""
        return _place_on_circle(local_N.astype("datetime64[m]").astype(np.int64) % 1440, 1440)


@dataclass(frozen=True, kw_only=True)
class Holiday:
    """Whether the day is a holiday of `country`: a country, a part of it or an exchange, as for `Case.holidays`."""

    country: str
    name: str = "holiday"
    ahead: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)
        require_place(self.country, f"Holiday.country of {self.name}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Itself."""
        return (self.name,)

    def measure(self, local_N: Times) -> Numbers:
        """1 on a holiday, else 0."""
        return np.isin(local_N.astype("datetime64[D]"), list_holidays(self.country)).astype(np.float64)[:, None]


def list_date_features(name: str) -> tuple[CalendarFeature, ...]:
    """The features of a column of dates, the year first."""
    kinds: dict[str, type[Year | Month | Weekday]] = {"year": Year, "month": Month, "weekday": Weekday}
    return tuple(kind(name=f"{name}_{part}", ahead=0) for part, kind in kinds.items())


def _place_on_circle(places_N: NDArray[np.int64], n_places: int) -> Numbers:
    angle_N = 2 * np.pi * places_N / n_places
    return np.stack([np.sin(angle_N), np.cos(angle_N)], axis=1)
