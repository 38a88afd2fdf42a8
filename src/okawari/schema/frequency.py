"""Frequencies: the names of the steps of a calendar, as pandas calls its offsets.

    h, min, s                      hours, minutes and seconds, which have the same length always
    D                              days
    B                              working days
    W-SUN                          weeks, by their weekday
    MS, ME; QS, QE; YS, YE         first and last days of months, quarters and years, with a month for the last two:
                                   QE-JAN are the ends of January, April, July and October
    BMS, BME; BQS, BQE; BYS, BYE   first and last working days of them

A number in front counts them: 15min, 2W.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from okawari.errors import InvalidInput
from okawari.schema.calendar_grids import EveryDay, Grid, Monthly, Weekly, WorkingDays

CLOCK_NS = {"h": 3_600_000_000_000, "min": 60_000_000_000, "s": 1_000_000_000}
"""Steps of constant length, in nanoseconds."""
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SPANS = {"M": 1, "Q": 3, "Y": 12}
_WRITTEN = re.compile(r"([1-9]\d{0,5})?(h|min|s|D|B|W|B?[MQY][SE])(?:-([A-Z]{3}))?")
_NOW_WRITTEN = {"H": "h", "T": "min", "S": "s", "d": "D", "b": "B", "w": "W", "BM": "BME", "BQ": "BQE", "BY": "BYE"}
_NOW_WRITTEN |= {"M": "ME", "Q": "QE", "A": "YE", "Y": "YE", "AS": "YS", "m": "min"}
_TITLES = {"h": "hour", "min": "minute", "s": "second", "D": "day", "B": "working day", "W": "week"}
_TITLES |= {"M": "month", "Q": "quarter", "Y": "year"}


@dataclass(frozen=True)
class Frequency:
    """A frequency: `count` steps of `unit`, with the weekday or month of its name in `suffix`."""

    count: int
    unit: str
    suffix: str

    @property
    def clock_ns(self) -> int | None:
        """Length of a step in nanoseconds, if it has the same length always."""
        return self.count * CLOCK_NS[self.unit] if self.unit in CLOCK_NS else None

    @property
    def skips_holidays(self) -> bool:
        """Whether its steps are working days."""
        return self.unit.startswith("B")

    @property
    def title(self) -> str:
        """One step in words, such as "month"."""
        noun = _TITLES.get(self.unit) or _TITLES[self.unit.lstrip("B")[0]]
        return noun if self.count == 1 else f"{self.count} {noun}s"

    def make_grid(self, place: str) -> Grid:
        """The days on which steps begin, with the holidays of `place`; not for clock steps."""
        assert self.unit not in CLOCK_NS
        if self.unit in ("D", "B"):
            return EveryDay() if self.unit == "D" else WorkingDays(place)
        if self.unit == "W":
            return Weekly(_WEEKDAYS.index(self.suffix or "SUN"))
        is_start, span = self.unit.endswith("S"), _SPANS[self.unit.lstrip("B")[0]]
        phase = _MONTHS.index(self.suffix or ("JAN" if is_start else "DEC")) % span
        return Monthly(span, phase, "start" if is_start else "end", working=self.skips_holidays, place=place)


def parse_frequency(text: str) -> Frequency:
    """A frequency by its name.

    Raises:
        InvalidInput: it is not one of the names above; the message suggests one.

    Example:
        >>> parse_frequency("2W-FRI")
        Frequency(count=2, unit='W', suffix='FRI')
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise _refuse(text)
    number, unit, suffix = found.groups()
    allowed = _WEEKDAYS if unit == "W" else _MONTHS if unit.lstrip("B")[:1] in ("Q", "Y") else ()
    if suffix and suffix not in allowed:
        raise _refuse(text)
    return Frequency(int(number or 1), unit, suffix or "")


def _refuse(text: str) -> InvalidInput:
    parts = re.fullmatch(r"(\d*)([A-Za-z]+)(-.*)?", text)
    wanted = _NOW_WRITTEN.get(parts[2]) if parts else None
    advice = f"Write {parts[1]}{wanted}{parts[3] or ''}." if parts and wanted else "Choose the step of the readings."
    return InvalidInput(
        f"The frequency is {text!r}; it is one of D, B, W-SUN, MS, ME, QS, QE, YS, YE, BMS, BME, h, min and s, as "
        f"pandas names them, also with a number in front, such as 15min or 2W. {advice}"
    )
