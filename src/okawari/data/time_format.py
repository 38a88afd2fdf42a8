"""How times are written: reading a column by one format, and recognising the format of a column.

A *time format* is a name: `iso` (ISO 8601, with or without offset), `epoch_s` and `epoch_ms` (seconds and milliseconds
since 1970, UTC), `excel` (days since 1899-12-30), `quarter` (1990Q1, Q1 1990), or a pattern of strptime, such as
"%d.%m.%Y %H:%M". A column has one format; a value of another format is missing, never read some other way. Values that
are times already, as in Parquet files and spreadsheets, fit every format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from numbers import Number
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from okawari.data.number_format import are_texts
from okawari.data.wall_clock import localize
from okawari.errors import require

ISO: Final = "iso"
NUMBERED: Mapping[str, float] = MappingProxyType({"epoch_s": 1e3, "epoch_ms": 1.0, "excel": 86_400e3})
"""The formats that are numbers, and the milliseconds of their unit."""
_TITLES = {
    ISO: "ISO 8601, such as 2024-12-31",
    "epoch_s": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "excel": "days since 1899-12-30, as spreadsheets count",
    "quarter": "quarters, such as 1990Q1",
}
_EXAMPLE = datetime(2024, 12, 31, 18, 30)
_QUARTER = re.compile(r"(?:(\d{4})[- ]?Q([1-4])|Q([1-4])[- /]?(\d{4}))", re.IGNORECASE | re.ASCII)
_OFFSET = r"[T ]\d.*(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$"
_EXCEL_ORIGIN = pd.Timestamp("1899-12-30")
_DIGITS_ONLY = re.compile(r"(?:%[YmdHMS])+")
_WIDTHS = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2}


def require_time_format(text: str) -> str:
    """The text itself, if it names a time format.

    Raises:
        InvalidInput: it is neither a name nor a pattern with a year.
    """
    is_known = text in _TITLES or ("%Y" in text or "%y" in text)
    require(
        is_known,
        f"{text!r} is not a time format; use {', '.join(_TITLES)}, or a pattern of strptime such as %d/%m/%Y.",
    )
    return text


def describe_time_format(format: str) -> str:
    """A format in words.

    Example:
        >>> describe_time_format("%d/%m/%Y")
        '%d/%m/%Y, such as 31/12/2024'
    """
    return _TITLES.get(format) or f"{format}, such as {_EXAMPLE.strftime(format)}"


def parse_times(values: pd.Series, format: str = ISO, zone: str = "UTC") -> pd.Series:
    """Times in UTC (datetime64[ns], without zone) by one format; other values become missing.

    Args:
        values: texts, numbers or times; spaces around a text have no meaning.
        format: how texts and numbers are written.
        zone: the zone of times without offset. The hour that is repeated when clocks go back is resolved by the order
            of the values; a time that does not exist is missing.
    """
    if values.dtype.kind == "M":
        return _to_utc(values, zone)
    if values.dtype.kind in "iuf":
        return _read_numbers(values, format, zone)
    if are_texts(values):
        return _read_texts(values.str.strip(), format, zone)
    text, number, made = (_pick(values, kind) for kind in ("text", "number", "time"))
    found = pd.Series(np.datetime64("NaT", "ns"), index=values.index)
    if text.any():
        found = found.mask(text, _read_texts(values[text].map(str.strip), format, zone))
    if number.any():
        found = found.mask(number, _read_numbers(values[number].astype("float64"), format, zone))
    if made.any():
        found = found.mask(made, _read_made(values[made], zone))
    return found


def _pick(values: pd.Series, kind: str) -> pd.Series:
    """Whether each value is of a kind; truth values are of none."""
    types = {"text": str, "number": Number, "time": (date, np.datetime64)}[kind]
    wrong = (bool, np.bool_, type(pd.NaT))
    return values.map(lambda value: isinstance(value, types) and not isinstance(value, wrong)).astype(bool)  # type: ignore[arg-type]


def _read_made(values: pd.Series, zone: str) -> pd.Series:
    """Values that are times already, one by one where their zones differ."""
    return _localize_mixed(values.map(pd.Timestamp), values.map(_has_zone).astype(bool), zone)


def _has_zone(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _localize_mixed(times: pd.Series, has_zone: pd.Series, zone: str) -> pd.Series:
    aware = pd.to_datetime(times.where(has_zone), utc=True, errors="coerce")
    naive = pd.to_datetime(times.where(~has_zone), errors="coerce")
    return _to_utc(naive, zone).where(~has_zone, _to_utc(aware, zone))


def _to_utc(times: pd.Series, zone: str) -> pd.Series:
    """Times with or without a zone as UTC without a zone, in nanoseconds; times beyond their reach become missing."""
    is_aware = times.dt.tz is not None
    times = times.dt.tz_convert("UTC").dt.tz_localize(None) if is_aware else localize(times, zone)
    if times.dt.unit != "ns":  # coarser times reach years that nanoseconds do not
        times = times.where(times.between(pd.Timestamp.min, pd.Timestamp.max))
    return times.astype("datetime64[ns]")


# --- texts --------------------------------------------------------------------------------------------------------


def _read_texts(texts: pd.Series, format: str, zone: str) -> pd.Series:
    if format == ISO:
        return _read_iso(texts, zone)
    if format in NUMBERED:
        return _read_numbers(pd.to_numeric(texts, errors="coerce"), format, zone)
    if format == "quarter":
        texts, format = texts.map(_spell_quarter), "%Y-%m-%d"
    elif _DIGITS_ONLY.fullmatch(format):  # strptime would read 2024111 in several ways
        texts = texts.where(texts.str.len() == sum(_WIDTHS[part] for part in re.findall("%.", format)))
    if "%z" in format:
        return _to_utc(pd.to_datetime(texts, format=format, errors="coerce", utc=True), zone)
    return _to_utc(pd.to_datetime(texts, format=format, errors="coerce"), zone)


def _read_iso(texts: pd.Series, zone: str) -> pd.Series:
    texts = texts.where(texts.str.match(r"\d{4}[-/]\d"))  # a basic date, 20240131, is a format of its own
    if zone == "UTC":
        return _to_utc(pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True), zone)
    has_offset = texts.str.contains(_OFFSET, regex=True).eq(True)
    if not has_offset.any():
        return _to_utc(pd.to_datetime(texts, format="ISO8601", errors="coerce"), zone)
    aware = pd.to_datetime(texts.where(has_offset), format="ISO8601", errors="coerce", utc=True)
    naive = pd.to_datetime(texts.where(~has_offset), format="ISO8601", errors="coerce")
    return _to_utc(naive, zone).where(~has_offset, _to_utc(aware, zone))


def _spell_quarter(text: str) -> str | None:
    """The first day of a quarter."""
    found = _QUARTER.fullmatch(text)
    if found is None:
        return None
    year, quarter = found[1] or found[4], int(found[2] or found[3])
    return f"{year}-{3 * quarter - 2:02}-01"


# --- numbers ------------------------------------------------------------------------------------------------------

_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType({
    "epoch_s": (0.0, 9.2e9), "epoch_ms": (0.0, 9.2e12), "excel": (1.0, 100_000.0),
})  # fmt: skip
"""Numbers that are times at all; what lies outside is missing."""


def _read_numbers(numbers: pd.Series, format: str, zone: str) -> pd.Series:
    if format in NUMBERED:
        low, high = _RANGES[format]
        return _count_from_origin(numbers.astype("float64").where(numbers.between(low, high)), format, zone)
    if not _DIGITS_ONLY.fullmatch(format):
        return pd.Series(np.datetime64("NaT", "ns"), index=numbers.index)
    is_whole = np.isfinite(numbers) & (numbers % 1 == 0) & (numbers < 1e15)
    texts = numbers.where(is_whole, -1).astype("int64").astype(str).astype(object)
    return _read_texts(texts, format, zone)


def _count_from_origin(numbers: pd.Series, format: str, zone: str) -> pd.Series:
    passed = pd.to_timedelta((numbers * NUMBERED[format]).round(3), unit="ms")
    if format == "excel":  # a float of days holds no more than milliseconds
        return _to_utc(_EXCEL_ORIGIN + passed.dt.round("ms"), zone)
    return (pd.Timestamp(0) + passed).astype("datetime64[ns]")


def list_digits_only(formats: Sequence[str]) -> list[str]:
    """The formats whose values are digits only, so that they may be numbers too."""
    return [format for format in formats if format in NUMBERED or _DIGITS_ONLY.fullmatch(format)]
