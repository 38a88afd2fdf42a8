"""The holidays of a country, of a part of a country, or of an exchange. Only home of the `holidays` library.

A place is a country by its ISO code ("DE"), a part of it ("DE-BY"), or an exchange by its code ("NYSE", "XLON"). Days
are known from 1900 to 2100.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput

FIRST_YEAR, LAST_YEAR = 1900, 2100
Days = NDArray[np.datetime64]
"""Days as datetime64[D], ascending."""


def require_place(place: str, setting: str) -> str:
    """The place itself, if its holidays are known.

    Raises:
        InvalidInput: they are not; the message names the setting.
    """
    try:
        _load(place)
    except (NotImplementedError, KeyError) as unknown:
        raise InvalidInput(
            f"{setting} is {place!r}, whose holidays are not known; write a country such as 'DE', a part of it such as "
            "'DE-BY', or an exchange such as 'NYSE'."
        ) from unknown
    return place


@lru_cache(maxsize=16)
def list_holidays(place: str) -> Days:
    """All holidays of a place from 1900 to 2100."""
    return np.array(sorted(_load(place)), dtype="datetime64[D]")


@lru_cache(maxsize=16)
def list_working_days(place: str) -> Days:
    """All working days from 1900 to 2100: no weekend and no holiday of the place; Monday to Friday if it is empty.

    Weekends are those of the place, and working days that a country puts on a weekend are working days.
    """
    days = np.arange(f"{FIRST_YEAR}-01-01", f"{LAST_YEAR + 1}-01-01", dtype="datetime64[D]")
    weekdays = find_weekdays(days)
    if not place:
        return days[weekdays < 5]
    found = _load(place)
    is_weekend = np.isin(weekdays, sorted(found.weekend))
    made_up = np.array(sorted(found.weekend_workdays), dtype="datetime64[D]")
    return days[(~is_weekend | np.isin(days, made_up)) & ~np.isin(days, list_holidays(place))]


def find_weekdays(days: Days) -> NDArray[np.int64]:
    """The weekday of each day: 0 for Monday to 6 for Sunday."""
    weekdays: NDArray[np.int64] = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01: a Thursday
    return weekdays


@lru_cache(maxsize=16)
def _load(place: str) -> Any:
    """The holidays of a place as the library returns them."""
    import holidays  # imports one module per country, and most cases need none

    years = range(FIRST_YEAR, LAST_YEAR + 1)
    country, _, part = place.partition("-")
    with warnings.catch_warnings():  # the years of some places begin later, which the library warns of
        warnings.simplefilter("ignore", UserWarning)
        if country in holidays.list_supported_countries():
            return holidays.country_holidays(country, subdiv=part or None, years=years)
        if place in holidays.list_supported_financial():
            return holidays.financial_holidays(place, years=years)
    raise KeyError(place)
