"""The row filter: which rows of a long file may be answered from, chunk by chunk, and why the others may not.

A row is judged by the case's schema (`okawari.data.validation`) and, where rows are answered from those before them, by
its time: it has to come after every good row before it, in this chunk or in an earlier one. So the time of the last
good row is all that has to be remembered. A refused row has no say in the order: it cannot push out its repaired twin.

One wrong time far ahead would make all later rows late. So a row that runs ahead is itself refused if the two good rows
after it go on, in order, where the rows before it ended; a chunk shows the first rows of the next one for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.data.chunked_reader import Chunk
from okawari.data.validation import judge_rows
from okawari.schema.time_order import find_disorder


@dataclass(frozen=True)
class Sifted:
    """A chunk after the sieve: `good` readings (time and float64 columns, indexed by row number) and the reason for
    each other row or broken line, by its number.
    """

    good: pd.DataFrame
    reasons: dict[int, str]


def sift(
    chunk: Chunk, case: Case, now: datetime, *, last_at: pd.Timestamp | None = None, ordered: bool = True
) -> Sifted:
    """Tell the good rows of a chunk from the others.

    Args:
        chunk: the case's time and number columns as found.
        case: the schema.
        now: aware time; a reading from later than this is refused.
        last_at: time of the last good row before this chunk; None where there is none.
        ordered: whether times have to ascend.
    """
    rows = pd.concat([chunk.rows, chunk.following]) if len(chunk.following) else chunk.rows
    numbers = rows.index.to_numpy()
    typed, found = judge_rows(rows.reset_index(drop=True), case, now)
    reasons = {int(numbers[row]): "; ".join(why) for row, why in found.items()}
    good = typed.set_axis(numbers).drop(index=list(reasons))
    reasons |= _find_too_large(good, case)
    good = good.drop(index=list(reasons), errors="ignore")
    reasons |= _find_late(good[case.time], last_at) if ordered else {}
    own = numbers[: len(chunk.rows)]
    good = good.loc[good.index.isin(own) & ~good.index.isin(list(reasons))]
    return Sifted(good, {row: reasons[row] for row in map(int, own) if row in reasons} | dict(chunk.broken))


def show_refused(chunk: Chunk, reasons: dict[int, str]) -> pd.DataFrame:
    """The rows with a reason as a table of text, in the order of the file: row, the columns as they came, reason."""
    numbers = sorted(reasons)
    came = chunk.rows.loc[chunk.rows.index.isin(numbers)].astype(object).reindex(numbers)
    text = {name: came[name].map(str).astype(object).mask(came[name].isna(), None) for name in came.columns}
    return pd.DataFrame({"row": numbers, **text, "reason": [reasons[number] for number in numbers]}, index=numbers)


def _find_too_large(good: pd.DataFrame, case: Case) -> dict[int, str]:
    """Rows whose numbers are finite, but not in the 32 bits that every graph reads."""
    reasons: dict[int, str] = {}
    for name in case.column_names:
        too_large = good[name].abs() > np.finfo(np.float32).max
        reasons |= {int(row): f"{name} is too large, came {good[name][row]}" for row in good.index[too_large]}
    return reasons


def _find_late(times: pd.Series[pd.Timestamp], last_at: pd.Timestamp | None) -> dict[int, str]:
    """Rows whose time does not come after the rows before them, or runs ahead of the rows after them."""
    at_ns = times.to_numpy().astype("datetime64[ns]").astype(np.int64)
    newest = np.iinfo(np.int64).min if last_at is None else int(last_at.value)
    if len(at_ns) == 0 or (at_ns[0] > newest and find_disorder(at_ns) is None):
        return {}
    reasons: dict[int, str] = {}
    known = at_ns.tolist()
    for place, came in enumerate(known):
        reason = _tell(newest, came, known[place + 1 : place + 3])
        if reason:
            reasons[int(times.index[place])] = f"{times.name} {reason}, came {pd.Timestamp(came)}"
        else:
            newest = came
    return reasons


def _tell(newest: int, came: int, after: list[int]) -> str:
    """What is wrong with a time, given the newest good one before it and the next two; nothing, if empty."""
    if came == newest:
        return "appears more than once"
    if came < newest:
        return f"does not come after {pd.Timestamp(newest)}, a row before it"
    if len(after) == 2 and newest < after[0] < after[1] <= came:
        return f"runs ahead of {pd.Timestamp(after[0])} and {pd.Timestamp(after[1])}, the rows after it"
    return ""
