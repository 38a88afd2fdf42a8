"""Numbers as texts: the ways to write them, and reading a column by one of them.

A *notation* is a decimal mark and a mark between thousands. A text that a notation does not allow is missing, so a
decimal comma is never taken for a mark between thousands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import pandas as pd

from okawari.data.file_format import PLAIN, FileFormat

Notation = tuple[str, str]
"""A decimal mark and the mark between thousands, empty for none."""
NOTATIONS: tuple[Notation, ...] = (
    (".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip
"""All notations, the simplest first."""
_MARKS: Mapping[str, str] = MappingProxyType(
    {" ": "  \u00a0\u202f\u2009", "'": "'\u2019", ",": ",", ".": r"\.", "": ""}
)


@lru_cache
def compile_notation(notation: Notation) -> re.Pattern[str]:
    """The pattern of a number in this notation; groups of thousands have three digits and no leading zero.

    Example:
        >>> [bool(compile_notation((".", ",")).fullmatch(text)) for text in ("1,234.5", "0.5", "1,23", "0,123")]
        [True, True, False, False]
    """
    decimal, thousands = notation
    mark = f"[{_MARKS[thousands]}]" if thousands else ""
    grouped = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|" if thousands else ""
    point = re.escape(decimal)
    return re.compile(rf"\s*[+-]?(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def parse_numbers(values: pd.Series, format: FileFormat = PLAIN) -> pd.Series:
    """Numbers (float64) as the checks read them; truth values, times and other values become missing.

    Args:
        values: numbers, or texts in the notation of `format`.
        format: how texts are written.
    """
    values = _blank_other_types(values)
    if values.dtype.kind in "fiu":
        return values.astype("float64")
    return _to_numbers(values if format.has_plain_numbers else _spell_plainly(values, format))


def are_texts(values: pd.Series) -> bool:
    """Whether all values are texts or missing; much faster than a look at each."""
    return values.dtype.kind == "O" and pd.api.types.infer_dtype(values, skipna=True) == "string"


def _spell_plainly(values: pd.Series, format: FileFormat) -> pd.Series:
    """Texts in the notation of `format` as texts with a decimal point; other texts become missing."""
    pattern = compile_notation((format.decimal, format.thousands))
    strip = str.maketrans(dict.fromkeys(_MARKS[format.thousands].replace("\\", ""), ""))
    strip[ord(format.decimal)] = "."

    def spell(value: object) -> object:
        if not isinstance(value, str):
            return value
        return value.translate(strip) if pattern.fullmatch(value) else None

    return values.map(spell)


def _to_numbers(values: pd.Series) -> pd.Series:
    """Numbers as float64, exact for texts: pandas' parser may be off by a digit, which would look like a revision."""
    found = pd.to_numeric(values, errors="coerce").astype("float64")
    is_text = found.notna()
    if not are_texts(values):
        is_text &= values.map(lambda value: isinstance(value, str)).astype(bool)
    return found.mask(is_text, values.where(is_text).astype("float64")) if is_text.any() else found


def _blank_other_types(values: pd.Series) -> pd.Series:
    """The values, with None for truth values, times and spans of time, which pandas would convert to wrong numbers."""
    if values.dtype.kind in "fiu" or are_texts(values):
        return values  # a column of one type needs no search, which would take most of a check's time
    unfit = values.map(lambda value: isinstance(value, (bool, np.bool_, date, timedelta))).astype(bool)
    return values.astype(object).mask(unfit, None) if unfit.any() else values
