"""How the values of a table are written: its numbers, its times and its empty fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from okawari.case import Case, Column
from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.number_format import parse_numbers
from okawari.data.tabular import RawTable
from okawari.data.time_format import ISO, parse_times


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How numbers (`format`) and times (`time_format`, `zone`) of a table are written.

    Values that are numbers or times already, as in a Parquet file, can be read by every writing.
    """

    format: FileFormat = PLAIN
    time_format: str = ISO
    zone: str = "UTC"

    def read_numbers(self, values: pd.Series) -> pd.Series:
        """The values as float64; what is no number is missing."""
        return parse_numbers(values, self.format)

    def read_times(self, values: pd.Series) -> pd.Series:
        """The values as UTC times without zone; what is no time is missing."""
        return parse_times(values, self.time_format, self.zone)

    def read_column(self, values: pd.Series, column: Column) -> pd.Series:
        """The values of a column: float64, words, or UTC times to the microsecond, as they are stored."""
        if column.date:
            times: pd.Series = self.read_times(values).dt.floor("us")
            return times
        return column.parse(values, self.read_numbers)

    def clear_missing(self, values: pd.Series, words: Sequence[str] = ()) -> pd.Series:
        """The values with None for each empty field: nothing, only spaces, or one of the words that mean that."""
        if values.dtype.kind != "O":
            return values
        meanings = {"", *self.format.missing_words, *words}
        is_empty = values.map(lambda value: isinstance(value, str) and value.strip() in meanings).astype(bool)
        return values.mask(is_empty, None) if is_empty.any() else values


def read_writing(raw: RawTable, case: Case) -> Writing:
    """How a table that was read is written."""
    return Writing(format=raw.format, time_format=raw.time_format, zone=case.zone)


def find_writing(case: Case) -> Writing:
    """How the case's own source is written; plainly, unless it is a file that says otherwise."""
    return Writing(
        format=getattr(case.source, "format", PLAIN),
        time_format=getattr(case.source, "time_format", ISO),
        zone=case.zone,
    )
