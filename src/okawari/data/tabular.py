"""Steps shared by all table readers: rename columns, refuse repeated names, and cut at a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable

import pandas as pd

from okawari.case.source import Source
from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.time_format import ISO, parse_times
from okawari.errors import InvalidInput

Names = tuple[tuple[str, str], ...]
"""Pairs of a column's name in the table and its name in the case, which has letters, digits and _."""


@dataclass(frozen=True)
class RawTable:
    """A table as found: its rows, and the reason for each broken line, by its number (1 is the first).

    `format` and `time_format` say how its values are written. `assumed` are sentences about what was found out while
    reading, `notes` about what differs from the source's own settings. `ends_cut` says that the last line of a text
    file has no line end, while all others have one. `origins` has the file of each row, if there are several.
    """

    frame: pd.DataFrame
    broken: Mapping[int, str] = field(default_factory=dict)
    format: FileFormat = PLAIN
    time_format: str = ISO
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ends_cut: bool = False
    origins: tuple[str, ...] = ()


@runtime_checkable
class TableReader(Protocol):
    """A source that also returns its broken lines."""

    def read_table(self, until: date | None = None, numbers: Sequence[str] = ()) -> RawTable:
        """All readings up to and including `until`, and the broken lines. `numbers` are the columns that hold numbers,
        by their names in the case; all of them may, if empty.
        """
        ...


def read_table(source: Source, until: date | None = None, numbers: Sequence[str] = ()) -> RawTable:
    """The table of a source, with its broken lines if the source returns them."""
    if isinstance(source, TableReader):
        return source.read_table(until, numbers)
    return RawTable(source.read(until), time_format=getattr(source, "time_format", ISO))


class NamedColumns(Protocol):
    """Settings of a reader: the time column by its name in the case, and new names for columns."""

    @property
    def time(self) -> str | None:
        """The time column; None for records."""
        ...

    @property
    def time_format(self) -> str:
        """How times are written."""
        ...

    @property
    def rename(self) -> Names:
        """Pairs of names in the table and in the case."""
        ...


def find_repeats(names: Iterable[object]) -> list[str]:
    """The names that occur more than once, sorted."""
    return sorted(str(name) for name, n in Counter(names).items() if n > 1)


def refuse_repeats(names: Iterable[object], what: str) -> None:
    """Refuse a table with a repeated column name.

    Raises:
        InvalidInput: a name repeats; the message calls the table `what`.
    """
    if twice := find_repeats(names):
        raise InvalidInput(f"{what} names the columns {twice} more than once; give each column its own name.")


def name_columns(frame: pd.DataFrame, table: NamedColumns, what: str, until: date | None = None) -> pd.DataFrame:
    """The table with the case's column names, up to and including `until`; raises `InvalidInput` without its time."""
    frame = frame.rename(columns=dict(table.rename))
    refuse_repeats(frame.columns, f"{what}, renamed,")
    if table.time is None:
        return frame
    if table.time not in frame.columns:
        raise InvalidInput(f"{what} has no column {table.time!r}; it has {list(map(str, frame.columns))}. Rename it.")
    return keep_until(frame, until, table.time, table.time_format)


def keep_until(frame: pd.DataFrame, until: date | None, time: str = "date", time_format: str = ISO) -> pd.DataFrame:
    """The readings up to and including a day (all of them, if None), numbered from 0."""
    if until is None:
        return frame.reset_index(drop=True)
    # A row with an unreadable time is kept, so that the checks refuse it with a reason.
    return frame[find_until(frame[time], until, time_format)].reset_index(drop=True)


def find_until(times: pd.Series, until: date, time_format: str = ISO) -> pd.Series:
    """Whether each time is readable and after a day, negated: these rows are kept."""
    at = parse_times(times, time_format)
    return at.isna() | (at < pd.Timestamp(until) + pd.Timedelta(days=1))
