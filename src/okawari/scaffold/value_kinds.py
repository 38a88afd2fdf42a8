"""What the values of one column are: times, codes or empty fields. Numbers and words are what is left.

Independent of cases and tasks; `okawari.scaffold.column_profiles` describes a column by these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.number_format import parse_numbers
from okawari.data.time_format import ISO, parse_times
from okawari.data.time_recognition import recognise_times

DAMAGED_SHARE = 0.05
"""Largest share of damaged values in a column; the checks refuse such rows one by one. With more of them, the column is
of another kind."""
MISSING_MARKERS = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "?", "-", "--", ".", "..")
"""Texts, in lower case, that mean an empty field among numbers or times; among words they are words."""
_PADDED = re.compile(r"0\d+")
_DIGITS = re.compile(r"\d+")
_CODE = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9./_-]*")
_PADDED_SHARE = 0.01
"""Smallest share of values with a leading zero by which digits of different lengths are codes."""
_TIME_NAME = re.compile(
    r"(^|[^a-z])(ts|t|time|date|day|month|year|quarter|datum|tag|zeit|timestamp|datetime|epoch|at|when)($|[^a-z])"
)
"""Names of columns whose numbers are times where they can be."""
_CLOCK_SHARE = 0.6
"""Smallest share of equal steps by which a column of long numbers is a clock."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """How the fields of a table are written, as far as it is known.

    `time` names the column that is stated as times, and `target` one whose numbers are no times. `time_format` is
    stated by the user; empty if it is to be recognised.
    """

    format: FileFormat = PLAIN
    time: str = ""
    target: str = ""
    time_format: str = ""
    zone: str = "UTC"

    def read_numbers(self, values: pd.Series) -> pd.Series:
        """Finite numbers as float64; other values become missing."""
        numbers = parse_numbers(values, self.format)
        return numbers.where(np.isfinite(numbers))

    def states_times(self, values: pd.Series) -> bool:
        """Whether the user has named the column as times."""
        return bool(self.time) and str(values.name) == self.time


NO_HINTS = Hints()


@dataclass(frozen=True)
class Times:
    """Whether a column holds times, their format, and the formats between which nothing in the column decides."""

    is_time: bool
    format: str = ISO
    two_ways: tuple[str, ...] = ()


def find_times(kept: pd.Series, hints: Hints) -> Times:
    """The times of a column without empty fields; numbers are times only if the column is stated, named or ordered so.

    Counts such as 20240 to 20300 are serial numbers of a spreadsheet too, so these need a name.
    """
    stated = hints.time_format
    if stated and is_mostly(parse_times(kept, stated, hints.zone)):
        return Times(True, stated)
    found = recognise_times(kept)
    if found.format is None and not found.two_ways:
        return Times(False)
    if found.from_numbers and not (hints.states_times(kept) or _may_be_times(kept, found.format, hints)):
        return Times(False)
    if found.two_ways:
        return Times(True, found.two_ways[0], found.two_ways)
    return Times(True, found.format or ISO)


def _may_be_times(kept: pd.Series, format: str | None, hints: Hints) -> bool:
    return str(kept.name) != hints.target and (_is_named_time(kept) or _is_clock(kept, format))


def _is_named_time(kept: pd.Series) -> bool:
    return bool(_TIME_NAME.search(str(kept.name).lower())) and not kept.duplicated().any()


def _is_clock(kept: pd.Series, format: str | None) -> bool:
    """Whether long numbers grow by the same whole number in most rows, unlike the readings of a meter."""
    numbers = pd.to_numeric(kept, errors="coerce")
    if format in (None, "excel", "%Y", "%Y%m") or len(numbers) < 3 or (numbers % 1 != 0).any():
        return False
    steps = parse_times(kept, format or ISO).diff().dropna()
    return bool((steps > pd.Timedelta(0)).all() and steps.value_counts(normalize=True).iloc[0] >= _CLOCK_SHARE)


def drop_missing(values: pd.Series, hints: Hints) -> pd.Series:
    """The values without empty fields: missing, only spaces, or a word that means that in the whole table."""
    kept = values[values.notna()]
    if kept.dtype.kind != "O":
        return kept
    empty = {"", *hints.format.missing_words}
    return kept[~kept.map(lambda value: isinstance(value, str) and value.strip() in empty).astype(bool)]


def drop_markers(kept: pd.Series, hints: Hints) -> tuple[pd.Series, tuple[str, ...]]:
    """The values without markers of empty fields, and these markers; unchanged unless the others are no words."""
    is_text = kept.map(lambda value: isinstance(value, str)).astype(bool) if kept.dtype.kind == "O" else None
    if is_text is None or not is_text.any():
        return kept, ()
    is_marker = is_text & kept.map(lambda value: str(value).strip().lower() in MISSING_MARKERS).astype(bool)
    others = kept[~is_marker]
    if not is_marker.any() or others.empty or are_padded(others):
        return kept, ()
    if not (is_mostly(hints.read_numbers(others)) or find_times(others, hints).is_time):
        return kept, ()
    return others, tuple(sorted({value.strip() for value in kept[is_marker]}))


def are_padded(kept: pd.Series) -> bool:
    """Whether texts are digits with leading zeros, such as 00501."""
    if not _are_texts(kept):
        return False
    texts = kept.str.strip()
    padded = float(texts.str.fullmatch(_PADDED).mean())
    if not padded or texts.str.fullmatch(_DIGITS).mean() < 1 - DAMAGED_SHARE:
        return False
    return padded >= _PADDED_SHARE or texts.str.len().nunique() == 1


def are_mixed_codes(kept: pd.Series, numbers: pd.Series) -> bool:
    """Whether texts are numbers in some rows, and digits with different letters in others, such as 12A and B7."""
    if not _are_texts(kept):
        return False
    others = kept[numbers.isna()].str.strip()
    is_code = bool(others.str.fullmatch(_CODE).all())
    return is_code and others.str.replace(r"[\d.]", "", regex=True).nunique() > 1


def _are_texts(kept: pd.Series) -> bool:
    return kept.dtype.kind == "O" and bool(kept.map(lambda value: isinstance(value, str)).all())


def is_mostly(read: pd.Series) -> bool:
    """Whether nearly all values could be read."""
    return bool(read.isna().mean() <= DAMAGED_SHARE)
