"""What every reader of a table does: one name a column, no column twice, up to a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable

import pandas as pd

from okawari.case.source import Source
from okawari.errors import InvalidInput

Names = tuple[tuple[str, str], ...]
"""Pairs of what a table calls a column and what the case calls it, which is a name of letters, digits and _."""


@dataclass(frozen=True)
class RawTable:
    """A table as found: its rows, and the reason for each line that is no row, by its number (1 is the first)."""

    frame: pd.DataFrame
    broken: Mapping[int, str] = field(default_factory=dict)


@runtime_checkable
class TableReader(Protocol):
    """A source that knows which of its lines are no rows."""

    def read_table(self, until: date | None = None) -> RawTable:
        """All readings up to and including `until`, and the broken lines."""
        ...


def read_table(source: Source, until: date | None = None) -> RawTable:
    """What a source holds, with its broken lines, where it knows of any."""
    if isinstance(source, TableReader):
        return source.read_table(until)
    return RawTable(source.read(until))


class NamedColumns(Protocol):
    """Settings of a reader: the time column under the case's name, and other names for columns."""

    @property
    def time(self) -> str | None:
        """The time column; None for records."""
        ...

    @property
    def rename(self) -> Names:
        """The table's names with the case's."""
        ...


def find_repeats(names: Iterable[object]) -> list[str]:
    """The names that stand more than once, sorted."""
    return sorted(str(name) for name, n in Counter(names).items() if n > 1)


def refuse_repeats(names: Iterable[object], what: str) -> None:
    """Refuse a table with a column that stands in it twice.

    Raises:
        InvalidInput: one does; `what` names the table in the message.
    """
    if twice := find_repeats(names):
        raise InvalidInput(f"{what} names the columns {twice} more than once; give each column its own name.")


def name_columns(frame: pd.DataFrame, table: NamedColumns, what: str, until: date | None) -> pd.DataFrame:
    """The table under the case's names, up to and including `until`."""
    frame = frame.rename(columns=dict(table.rename))
    refuse_repeats(frame.columns, f"{what}, renamed,")
    if table.time is None:
        return frame
    if table.time not in frame.columns:
        raise InvalidInput(f"{what} has no column {table.time!r}; it has {list(map(str, frame.columns))}.")
    return keep_until(frame, until, table.time)


def keep_until(frame: pd.DataFrame, until: date | None, time: str = "date") -> pd.DataFrame:
    """The readings up to and including a day (all of them, if None), numbered from 0."""
    if until is None:
        return frame.reset_index(drop=True)
    # An unreadable time stays in: the checks will refuse it with a reason instead of losing it here.
    at = pd.to_datetime(frame[time], errors="coerce", utc=True, format="mixed")
    return frame[at.isna() | (at < pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1))].reset_index(drop=True)
