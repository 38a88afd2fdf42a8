"""Format numbers, shares and times for the page as plain text; the templates escape it for HTML."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import floor, log10
from typing import Any

import pandas as pd

from okawari import formats

_SMALLEST = 1e-8  # smaller amounts are how float64 rounds, and shown as 0
NONE = "–"  # shown if there is no value


def format_amount(value: float | None, unit: str = "USD", *, signed: bool = False) -> str:
    """A value in its unit, with two decimals or, below 1, with three digits that matter.

    >>> format_amount(1234.5), format_amount(-3.0), format_amount(2.5, "points"), format_amount(None)
    ('$1,234.50', '−$3.00', '2.50 points', '–')
    >>> format_amount(2.5, "units", signed=True), format_amount(0.001234, ""), format_amount(1e-9, "units", signed=True)
    ('+2.50 units', '0.00123', '0.00 units')
    """
    if value is None:
        return NONE
    number = f"{abs(value):,.{_count_decimals(value)}f}"
    sign = "−" if value < 0 else "+" if signed and number != "0.00" else ""
    return f"{sign}${number}" if unit == "USD" else f"{sign}{number} {unit}".rstrip()


def _count_decimals(value: float) -> int:
    size = abs(value)
    return 2 if size >= 0.0995 or size < _SMALLEST else 2 - floor(log10(size))


def format_share(share: float | None, *, signed: bool = False, digits: int = 1) -> str:
    """A share (0 to 1) as percent, with a typographic minus.

    >>> format_share(0.0123), format_share(0.9, digits=0), format_share(-0.02, signed=True)
    ('1.2%', '90%', '−2.0%')
    """
    return NONE if share is None else formats.format_share(share, digits, signed=signed).replace("-", "−")


def format_count(count: int | None, noun: str = "") -> str:
    """A whole number with thousands separated, and its noun.

    >>> format_count(3270, "reading"), format_count(1, "reading"), format_count(0)
    ('3,270 readings', '1 reading', '0')
    """
    if count is None:
        return NONE
    return f"{count:,} {noun}{'' if count == 1 else 's'}" if noun else f"{count:,}"


def format_p(p: float | None) -> str:
    """A p-value.

    >>> format_p(0.0312), format_p(0.00002), format_p(None)
    ('p = 0.031', 'p < 0.001', '–')
    """
    if p is None:
        return NONE
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def format_day(when: Any) -> str:
    """The day of a date, timestamp or ISO text.

    >>> format_day("2013-03-01T00:00:00"), format_day(None)
    ('1 Mar 2013', '–')
    """
    at = _to_datetime(when)
    return f"{at.day} {at:%b %Y}" if at else str(when) if when else NONE


def format_step_time(when: datetime, *, weekday: bool = False) -> str:
    """The time of a step: its day, and the hour unless it is midnight.

    >>> format_step_time(datetime(2024, 5, 2), weekday=True), format_step_time(datetime(2024, 5, 2, 6, 30))
    ('Thu 2 May 2024', '2 May 2024, 06:30')
    """
    day = f"{when:%a} {format_day(when)}" if weekday else format_day(when)
    return f"{day}, {when:%H:%M}" if (when.hour, when.minute) != (0, 0) else day


def format_moment(when: Any) -> str:
    """A moment in UTC, to the minute.

    >>> format_moment("2013-03-01T14:05:09+01:00")
    '1 Mar 2013, 13:05 UTC'
    """
    at = _to_datetime(when)
    if at is None:
        return str(when) if when else NONE
    if at.tzinfo is not None:
        at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def format_words(text: Any) -> str:
    """A value from outside, with spaces instead of underscores.

    >>> format_words("not_enough_data"), format_words(None)
    ('not enough data', '–')
    """
    return str(text).replace("_", " ") if text not in (None, "") else NONE


def _to_datetime(when: Any) -> datetime | None:
    if when is None or when == "":
        return None
    if isinstance(when, date) and not isinstance(when, datetime):
        return datetime(when.year, when.month, when.day)
    try:
        at = pd.Timestamp(when)
    except (ValueError, TypeError):
        return None
    return None if pd.isna(at) else at.to_pydatetime(warn=False)
