"""Recognising how the times of a column are written: one format for the column, or the two between which it is torn.

A few values choose the formats that may fit; each of these then reads the whole column, strictly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from okawari.data.time_format import ISO, NUMBERED, describe_time_format, list_digits_only, parse_times
from okawari.errors import InvalidInput

FIT_SHARE = 0.95
"""Smallest share of a column's values that its format reads; the checks refuse the others one by one."""
_N_LOOKED_AT = 50
"""Values that choose the formats that may fit."""
_CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M")
_DAYS = (
    *(order.replace("-", mark) for order in ("%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y") for mark in "/.-"),
    "%Y.%m.%d", "%y-%m-%d", "%d. %m. %Y", "%d %m %Y",
    "%d %b %Y", "%d. %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d-%b-%y", "%d %b %y", "%b %d, %Y", "%b %d %Y", "%Y %b %d",
    "%d %B %Y", "%d. %B %Y", "%d-%B-%Y", "%B %d, %Y", "%B %d %Y",
)  # fmt: skip
_MONTHS = ("%Y-%m", "%m/%Y", "%m.%Y", "%m-%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y", "%Y %b", "quarter")
_COMPACT = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H", "%Y%m", "%Y")
_FIELDS = {
    "%Y": r"(?:1[89]|20|21)\d\d", "%y": r"\d\d", "%m": r"(?:0?[1-9]|1[0-2])", "%d": r"(?:0?[1-9]|[12]\d|3[01])",
    "%H": r"(?:[01]?\d|2[0-3])", "%I": r"(?:0?[1-9]|1[0-2])", "%M": r"[0-5]\d", "%S": r"[0-5]\d", "%f": r"\d{1,6}",
    "%p": r"[AaPp]\.?[Mm]\.?", "%b": r"[A-Za-z]{3}", "%B": r"[A-Za-z]{3,9}",
}  # fmt: skip
_SPECIAL = {
    ISO: r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[T ].*)?",
    "quarter": r"(?:\d{4}[- ]?[Qq][1-4]|[Qq][1-4][- /]?\d{4})",
    "epoch_s": r"\d{9,10}(?:\.\d+)?",
    "epoch_ms": r"\d{12,13}(?:\.\d+)?",
    "excel": r"[2-7]\d{4}(?:\.\d+)?",
}
_RANGES = {"epoch_s": (6.3e8, 4.2e9), "epoch_ms": (6.3e11, 4.2e12), "excel": (25_000, 75_000)}
"""Numbers that look like times: from about 1990 to 2100, for spreadsheets from 1968 to 2105."""


@dataclass(frozen=True)
class RecognisedTimes:
    """How the times of a column are written.

    `format` reads the column; None if none does, or if two do. `two_ways` are the formats that read the column with
    different results. `share` of the values is read by `format`, or by the first of `two_ways`. `from_numbers` says
    that the values are numbers, which may be amounts. `example` is a value of the column.
    """

    format: str | None
    two_ways: tuple[str, ...] = ()
    share: float = 0.0
    from_numbers: bool = False
    example: str = ""

    def refuse_two_ways(self, column: str) -> None:
        """Refuse a column that reads two ways.

        Raises:
            InvalidInput: it does; the message names both formats and the setting.
        """
        if self.two_ways:
            named = " or ".join(self.two_ways)
            given = " or ".join(f'--time-format "{format}"' for format in self.two_ways[:2])
            raise InvalidInput(
                f"Times of {column!r}, such as {self.example!r}, read in {len(self.two_ways)} ways: {named}; nothing "
                f"in the column decides it. Give {given}, or write times as 2024-12-31."
            )


def recognise_times(values: pd.Series) -> RecognisedTimes:
    """The format of a column of raw values; one for the whole column, never a mixture.

    Example:
        >>> recognise_times(pd.Series(["28/10/2023", "01/11/2023"])).format
        '%d/%m/%Y'
        >>> recognise_times(pd.Series(["02/10/2023", "01/11/2023"])).two_ways
        ('%d/%m/%Y', '%m/%d/%Y')
    """
    if values.dtype.kind == "M":
        return RecognisedTimes(ISO, share=float(values.notna().mean()) if len(values) else 0.0)
    kept = _drop_empty(values)
    if kept.empty or values.dtype.kind == "b":
        return RecognisedTimes(None)
    readings = {format: _read(kept, format) for format in _list_fitting(kept)}
    fitting = {format: read for format, read in readings.items() if read.notna().mean() >= FIT_SHARE}
    return _choose(fitting, kept)


def _drop_empty(values: pd.Series) -> pd.Series:
    kept = values.dropna()
    if kept.dtype.kind != "O":
        return kept
    return kept[~kept.map(lambda value: isinstance(value, str) and not value.strip()).astype(bool)]


def _read(kept: pd.Series, format: str) -> pd.Series:
    """The column by one format; a number far from our time is no time."""
    read = parse_times(kept, format)
    if format not in NUMBERED:
        return read
    low, high = _RANGES[format]
    numbers = pd.to_numeric(kept.where(~kept.map(lambda value: isinstance(value, bool)).astype(bool)), errors="coerce")
    return read.where(numbers.between(low, high))


def _choose(fitting: dict[str, pd.Series], kept: pd.Series) -> RecognisedTimes:
    """The reading that reads all that any reads; several such readings agree, or the column reads two ways."""
    if not fitting:
        return RecognisedTimes(None)
    union = np.logical_or.reduce([read.notna().to_numpy() for read in fitting.values()])
    whole = {name: read for name, read in fitting.items() if (read.notna().to_numpy() == union).all()}
    different = _drop_agreeing(whole or fitting)
    first = next(iter(different))
    share = float(fitting[first].notna().mean())
    is_number = bool(list_digits_only([first])) and parse_times(kept.head(20), ISO).isna().all()
    if len(different) > 1:
        return RecognisedTimes(None, tuple(different), share, bool(is_number), str(kept.iloc[0]))
    return RecognisedTimes(first, (), share, bool(is_number), str(kept.iloc[0]))


def _drop_agreeing(readings: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """The readings without those that agree with an earlier one and have its order of day, month and year."""
    kept: dict[str, pd.Series] = {}
    for format, read in readings.items():
        same = (_list_order(format) == _list_order(other) and read.equals(kept[other]) for other in kept)
        if not any(same):
            kept[format] = read
    if "%Y%m%d%H" in kept:  # of ten random digits, one number in a hundred is an hour of a day of this kind
        kept.pop("epoch_s", None)
    return kept


def _list_order(format: str) -> list[str]:
    names = {"%B": "%m", "%b": "%m", "%y": "%Y"}
    return [names.get(part, part) for part in re.findall("%[YymdbB]", format)]


# --- candidates ---------------------------------------------------------------------------------------------------


def _list_fitting(kept: pd.Series) -> list[str]:
    """The formats that may read a column, by a few of its values."""
    few = kept.iloc[np.unique(np.linspace(0, len(kept) - 1, _N_LOOKED_AT).astype(int))]
    texts = [_spell(value) for value in few]
    if any(text is None for text in texts) and all(text in (None, "") for text in texts):
        return [ISO]  # times of Python
    clear = [text for text in texts if text]
    return [format for format in _list_formats() if _fit_share(format, clear) >= 0.5]


def _spell(value: Any) -> str | None:
    """A value as its text; None for a time, empty for what is never a time."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (bool, np.bool_)):
        return ""
    if isinstance(value, (int, float, np.number)):
        return str(int(value)) if float(value).is_integer() else str(float(value))
    return None


def _fit_share(format: str, texts: Sequence[str]) -> float:
    pattern = _compile(format)
    return sum(bool(pattern.fullmatch(text)) for text in texts) / max(1, len(texts))


@lru_cache(maxsize=1)
def _list_formats() -> tuple[str, ...]:
    return tuple(_generate_formats())


def _generate_formats() -> Iterator[str]:
    yield ISO
    yield from (day + clock for day in _DAYS for clock in _CLOCKS)
    yield from (*_MONTHS, *_COMPACT, *NUMBERED)


@lru_cache(maxsize=512)
def _compile(format: str) -> re.Pattern[str]:
    """The pattern of texts that a format may read; compact formats have no field with one digit."""
    if format in _SPECIAL:
        return re.compile(_SPECIAL[format], re.ASCII)
    parts = re.split("(%[A-Za-z])", format)
    pattern = "".join(_FIELDS.get(part, re.escape(part)) for part in parts)
    return re.compile(pattern.replace("0?", "0").replace("[01]?", "[01]") if format in _COMPACT else pattern, re.ASCII)


# --- a delivery ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChosenFormat:
    """The format by which a delivery's times are read, and what differs from the recorded one; empty if nothing."""

    format: str
    note: str = ""


def choose_time_format(values: pd.Series, recorded: str, column: str = "the time") -> ChosenFormat:
    """The format of a delivery: the recorded one if no other reads more of its values.

    Raises:
        InvalidInput: the recorded format does not read the values, and they read two ways.
    """
    kept = _drop_empty(values)
    n_read = int(parse_times(kept, recorded).notna().sum())
    if n_read == len(kept):
        return ChosenFormat(recorded)
    found = recognise_times(kept)
    if n_read >= found.share * len(kept):
        return ChosenFormat(recorded)
    if found.format is None:
        found.refuse_two_ways(column)
        return ChosenFormat(recorded)
    return ChosenFormat(
        found.format,
        f"times of {column} are written as {describe_time_format(found.format)}; the case says "
        f"{describe_time_format(recorded)}",
    )


def describe_two_ways(formats: Sequence[str]) -> str:
    """Formats between which a column is torn, in words."""
    return " or ".join(map(describe_time_format, formats))
