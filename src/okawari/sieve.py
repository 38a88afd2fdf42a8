"""The sieve: which rows of a long file may be answered from, chunk by chunk, and why the others may not.

A row is judged by the case's schema (`okawari.checks`) and, where rows are answered from those before them, by its
time: it has to come after every good row before it, in this chunk or in an earlier one. So the time of the last good
row is all that has to be remembered. A refused row has no say in the order: it cannot push out its repaired twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.checks import judge_rows
from okawari.chunks import Chunk


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
    numbers = chunk.rows.index.to_numpy()
    typed, found = judge_rows(chunk.rows.reset_index(drop=True), case, now)
    reasons = {int(numbers[row]): "; ".join(why) for row, why in found.items()}
    good = typed.set_axis(numbers).drop(index=list(reasons))
    for unfit in (_find_too_large(good, case), _find_late(good, case, last_at) if ordered else {}):
        reasons |= unfit
        good = good.drop(index=list(unfit))
    return Sifted(good, reasons | dict(chunk.broken))


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


def _find_late(good: pd.DataFrame, case: Case, last_at: pd.Timestamp | None) -> dict[int, str]:
    """Rows whose time does not come after all before them."""
    at = good[case.time].to_numpy().astype("datetime64[ns]")
    before = np.datetime64("NaT") if last_at is None else last_at.to_datetime64()
    # fmax passes over NaT, which stands for "no row before this one"; a comparison with NaT never holds.
    newest = np.fmax.accumulate(np.concatenate(([before], at)).astype("datetime64[ns]"))[:-1]
    is_late = at <= newest
    late = zip(good.index[is_late], at[is_late], newest[is_late], strict=True)
    return {int(row): f"{case.time} {_tell(came, known)}, came {pd.Timestamp(came)}" for row, came, known in late}


def _tell(came: np.datetime64, known: np.datetime64) -> str:
    return "appears more than once" if came == known else f"does not come after {pd.Timestamp(known)}, a row before it"
