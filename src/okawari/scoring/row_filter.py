"""The row filter: selects the valid rows of a long file chunk by chunk, with a reason for each refused row.

A row is checked against the schema of the case (`okawari.data.validation`). If questions span several rows, its time
must also be later than that of every valid row before it, in this chunk or an earlier one, so the time of the last
valid row is the only state between chunks. Refused rows do not affect the order.

A single wrong time far ahead would make all later rows late. Therefore a row is refused if the two valid rows after it
continue, in order, from the rows before it. For this check a chunk includes the first rows of the next one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.data.calendar_check import collect_off_calendar
from okawari.data.chunked_reader import Chunk
from okawari.data.validation import judge_rows
from okawari.data.writing import Writing
from okawari.schema.columns import find_numbers
from okawari.schema.time_order import find_disorder


@dataclass(frozen=True)
class FilteredRows:
    """A filtered chunk: `good` readings (time, number and word columns, indexed by row number), and the reason for each
    refused row or malformed line by its number.
    """

    good: pd.DataFrame
    reasons: dict[int, str]


def filter_rows(
    chunk: Chunk,
    case: Case,
    now: datetime,
    *,
    last_at: pd.Timestamp | None = None,
    ordered: bool = True,
    writing: Writing | None = None,
) -> FilteredRows:
    """Separate the valid rows of a chunk from the refused ones.

    Args:
        chunk: the time and number columns of the case, as read.
        case: defines the schema.
        now: aware time; later readings are refused.
        last_at: time of the last valid row before this chunk; None if there is none.
        ordered: whether times must ascend.
        writing: how the values are written; as in the case's source, if None.
    """
    rows = pd.concat([chunk.rows, chunk.following]) if len(chunk.following) else chunk.rows
    numbers = rows.index.to_numpy()
    typed, found = judge_rows(rows.reset_index(drop=True), case, now, writing)
    reasons = {int(numbers[row]): "; ".join(why) for row, why in found.items()}
    good = typed.set_axis(numbers).drop(index=list(reasons))
    reasons |= _find_too_large(good, case)
    good = good.drop(index=list(reasons), errors="ignore")
    reasons |= _find_off_calendar(good, case)
    good = good.drop(index=list(reasons), errors="ignore")
    reasons |= _find_late(good[case.time], last_at) if ordered else {}
    own = numbers[: len(chunk.rows)]
    good = good.loc[good.index.isin(own) & ~good.index.isin(list(reasons))]
    return FilteredRows(good, {row: reasons[row] for row in map(int, own) if row in reasons} | dict(chunk.broken))


def show_refused(chunk: Chunk, reasons: dict[int, str]) -> pd.DataFrame:
    """The refused rows as a table of text, in the order of the file: row, the columns as read, reason."""
    numbers = sorted(reasons)
    came = chunk.rows.loc[chunk.rows.index.isin(numbers)].astype(object).reindex(numbers)
    text = {name: came[name].map(str).astype(object).mask(came[name].isna(), None) for name in came.columns}
    return pd.DataFrame({"row": numbers, **text, "reason": [reasons[number] for number in numbers]}, index=numbers)


def _find_off_calendar(good: pd.DataFrame, case: Case) -> dict[int, str]:
    """Rows of a series whose time is no step of the case's calendar."""
    found: dict[int, list[str]] = defaultdict(list)
    collect_off_calendar(found, case, good)
    return {row: "; ".join(why) for row, why in found.items()}


def _find_too_large(good: pd.DataFrame, case: Case) -> dict[int, str]:
    """Rows whose numbers are finite in float64, but not in float32, the type of every feature."""
    reasons: dict[int, str] = {}
    for name in (column.name for column in find_numbers(case.columns)):
        too_large = good[name].abs() > np.finfo(np.float32).max
        reasons |= {
            int(row): f"{name} is too large for float32, came {good[name][row]}" for row in good.index[too_large]
        }
    return reasons


def _find_late(times: pd.Series[pd.Timestamp], last_at: pd.Timestamp | None) -> dict[int, str]:
    """Rows whose time is not later than that of the rows before them, or is ahead of the rows after them."""
    at_ns = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    newest = np.iinfo(np.int64).min if last_at is None else int(last_at.value)
    if len(at_ns) == 0 or (at_ns[0] > newest and find_disorder(at_ns) is None):
        return {}
    reasons: dict[int, str] = {}
    known = at_ns.tolist()
    for place, came in enumerate(known):
        reason = _describe_disorder(newest, came, known[place + 1 : place + 3])
        if reason:
            reasons[int(times.index[place])] = f"{times.name} {reason}, came {pd.Timestamp(came)}"
        else:
            newest = came
    return reasons


def _describe_disorder(newest: int, came: int, after: list[int]) -> str:
    """What is wrong with a time, given the newest valid time before it and the next two; empty if nothing is."""
    if came == newest:
        return "appears more than once"
    if came < newest:
        return f"is not later than {pd.Timestamp(newest)}, an earlier row"
    if len(after) == 2 and newest < after[0] < after[1] <= came:
        return f"is ahead of {pd.Timestamp(after[0])} and {pd.Timestamp(after[1])}, the rows after it"
    return ""
