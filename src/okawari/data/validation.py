"""The quality verdict: which rows of a table are valid readings. `okawari.data.row_findings` writes the reasons.

A row that violates the case's schema is refused with its reasons, so it can neither cause drift nor be trained on; all
other rows pass unchanged. A table without the needed columns is refused as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

import pandas as pd

from okawari.case import Case, Column
from okawari.data.calendar_check import collect_off_calendar
from okawari.data.row_findings import Reasons, add_repeats, add_strange, add_unreadable, add_violations
from okawari.data.writing import Writing, find_writing
from okawari.errors import InvalidInput
from okawari.schema.calendar import Calendar


@dataclass(frozen=True)
class Checked:
    """A checked table: `good` readings, and `refused` rows unchanged, with a column `reason`.

    Columns are float64 numbers, words (`str`, or None) or dates. The readings of a series have a time, ascending and
    unique; records keep their order. `new_words` has, by column, the words that the case does not know, in the order of
    appearance, each with its number of valid rows. `notes` are sentences about how the table was read.
    """

    good: pd.DataFrame
    refused: pd.DataFrame
    new_words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def new_shares(self) -> dict[str, float]:
        """By column, the share of all rows that hold a word which the case does not know, 0 to 1."""
        n_rows = len(self.good) + len(self.refused)
        return {name: sum(words.values()) / n_rows for name, words in self.new_words.items()}

    @property
    def reason(self) -> str:
        """The verdict as one sentence with its numbers."""
        if self.refused.empty:
            return f"all {len(self.good)} rows are valid"
        first = self.refused["reason"].iloc[0]
        return f"{len(self.refused)} of {len(self.good) + len(self.refused)} rows refused; first: {first}"


def check_readings(
    raw: pd.DataFrame,
    case: Case,
    now: datetime,
    *,
    with_target: bool = True,
    broken: Mapping[int, str] = MappingProxyType({}),
    calendar: Calendar | None = None,
    writing: Writing | None = None,
    origins: Sequence[str] = (),
) -> Checked:
    """Split a table into valid and refused rows.

    Args:
        raw: any table with the case's columns; further columns are ignored.
        case: the schema.
        now: aware time; a reading with a later time is refused.
        with_target: whether records hold their target too; questions do not.
        broken: the reason for each broken line, by its number; these lines are refused as well.
        calendar: the calendar of the stored readings of a series, if there are any.
        writing: how the values are written; as in the case's source, if None.
        origins: the file of each row, for reasons; empty for a table from one file.

    Raises:
        InvalidInput: a needed column is missing.
    """
    names = case.reading_names if with_target else case.question_names
    require_columns(list(raw.columns), case, names)
    raw = raw[list(names)].reset_index(drop=True)
    typed, reasons = judge_rows(raw, case, now, writing)
    collect_off_calendar(reasons, case, typed.drop(index=list(reasons)), calendar)
    # Repeats are searched last and among valid rows only: a damaged row must not displace its repaired copy.
    add_repeats(reasons, typed.drop(index=list(reasons)), case)
    for row in reasons if origins else ():
        reasons[row].append(f"in {origins[row]}")
    parted = _part(raw, case.layout.sort(typed, case.time), reasons)
    checked = replace(parted, new_words=count_new_words(parted.good, case))
    if not broken:
        return checked
    lines = pd.DataFrame({"reason": [f"row {number}: {why}" for number, why in broken.items()]}, dtype=object)
    return replace(checked, refused=pd.concat([checked.refused, lines], ignore_index=True))


def _part(raw: pd.DataFrame, typed: pd.DataFrame, reasons: Reasons) -> Checked:
    rows = sorted(reasons)
    refused = raw.loc[rows].assign(reason=["; ".join(reasons[row]) for row in rows])
    good = typed.drop(index=list(reasons)).reset_index(drop=True)
    return Checked(good, refused.reset_index(drop=True))


def count_new_words(frame: pd.DataFrame, case: Case) -> dict[str, dict[str, int]]:
    """By column, the words that are not among its labels, in the order of appearance, each with its number of rows."""
    known = (column for column in case.known_columns if column.name in frame.columns)
    found = {column.name: column.list_new(frame[column.name]) for column in known}
    return {name: words for name, words in found.items() if words}


def require_columns(found: Sequence[object], case: Case, needed: Sequence[str]) -> None:
    """Check that a table has the needed columns.

    Raises:
        InvalidInput: a needed column is missing; the message names it.
    """
    missing = [name for name in needed if name not in found]
    if missing:
        raise InvalidInput(
            f"The table lacks {missing}; case {case.name} needs {list(needed)} and found {list(map(str, found))}. Add "
            "the missing columns."
        )


def list_unused(raw: pd.DataFrame, case: Case) -> tuple[str, ...]:
    """The columns of a table that the case does not use, neither as a value nor as time or key."""
    return tuple(str(name) for name in raw.columns if name not in (*case.reading_names, case.time, case.key))


def judge_rows(
    raw: pd.DataFrame, case: Case, now: datetime, writing: Writing | None = None
) -> tuple[pd.DataFrame, Reasons]:
    """Split valid rows from invalid ones, each row on its own; order and duplicates are not checked.

    Args:
        raw: columns of the case as found, rows numbered from 0; columns that it lacks are not checked.
        case: the schema.
        now: aware time; a reading with a later time is damaged.
        writing: how the values are written; as in the case's source, if None.

    Returns:
        All rows with time, float64 columns and columns of words (an unreadable value is missing), and the reasons by
        damaged row.
    """
    columns = tuple(column for column in case.known_columns if column.name in raw.columns)
    writing = writing or find_writing(case)
    cleared = _clear_missing(raw, case, columns, writing)
    typed = _convert(cleared, case, columns, writing)
    reasons: Reasons = defaultdict(list)
    add_unreadable(reasons, cleared, typed, case, writing)
    add_strange(reasons, typed, columns)
    add_violations(reasons, typed.drop(index=list(reasons)), case, columns, now)
    return typed, reasons


def _clear_missing(raw: pd.DataFrame, case: Case, columns: Sequence[Column], writing: Writing) -> pd.DataFrame:
    words = {column.name: column.missing_words for column in columns}
    names = [*case.time_columns, *words]
    return pd.DataFrame({name: writing.clear_missing(raw[name], words.get(name, ())) for name in names})


def _convert(raw: pd.DataFrame, case: Case, columns: tuple[Column, ...], writing: Writing) -> pd.DataFrame:
    times = {name: writing.read_times(raw[name]) for name in case.time_columns}
    parsed = {column.name: writing.read_column(raw[column.name], column) for column in columns}
    return pd.DataFrame({**times, **parsed})
