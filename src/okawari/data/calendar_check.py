"""The check that the readings of a series lie on the steps of its calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.schema.calendar import Calendar


def collect_off_calendar(
    reasons: dict[int, list[str]], case: Case, typed: pd.DataFrame, calendar: Calendar | None = None
) -> None:
    """Add a reason to each row whose time is no step of the calendar; a case without a calendar has none.

    Args:
        reasons: the reasons by row; further ones are added.
        case: defines the calendar.
        typed: valid rows, with the time column.
        calendar: the calendar of the stored readings; if None, most of the rows set the time of day of the steps.
    """
    if case.calendar is None or typed.empty:
        return
    times = typed[case.time].to_numpy(dtype="datetime64[ns]")
    steps = calendar or case.calendar.anchored(times)
    rows = typed.index.to_numpy()
    off = np.flatnonzero(~steps.is_step(times))
    for row, why in zip(rows[off].tolist(), steps.explain_all_off(times[off]), strict=True):
        reasons[row].append(f"{case.time}: {why}")
