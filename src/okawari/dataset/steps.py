"""A series laid out on its calendar: one row for each step, also for steps without a reading.

A *missing step* is a step of the calendar without a stored reading; its row has no values (NaN, or None for words).
Without `Case.frequency`, readings have no calendar and frames stay as they are.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.schema.calendar import Calendar, Times

MAX_SPREAD = 100
"""A series may have this many steps for each reading; more come from a frequency that is not that of the readings."""
_FEW = 1000


def lay_out_steps(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The readings of a series with one row for each step from the first to the last reading, numbered from 0.

    Args:
        frame: readings with the case's time column (datetime64[ns], UTC), ascending.
        case: defines the calendar.

    Raises:
        InvalidInput: readings are off the calendar, or most of its steps have no reading.
    """
    if case.calendar is None or frame.empty:
        return frame
    times = frame[case.time].to_numpy(dtype="datetime64[ns]")
    calendar = case.calendar.anchored(times)
    _require_steps(times, calendar, case)
    places = calendar.number(times)
    steps = np.arange(places[0], places[-1] + 1)
    if len(steps) == len(frame):
        return frame.reset_index(drop=True)
    require_dense(len(frame), len(steps), case)
    laid_out = frame.set_index(places).reindex(steps).reset_index(drop=True).assign(**{case.time: calendar.at(steps)})
    words = laid_out.select_dtypes("object").columns
    return laid_out.assign(**{name: laid_out[name].mask(laid_out[name].isna(), None) for name in words})


def drop_missing_steps(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The rows of a laid-out frame that have a value in a column of the case."""
    names = [name for name in case.known_names if name in frame.columns]
    return frame if case.calendar is None else frame[frame[names].notna().any(axis=1)]


def take_window(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The newest readings that cover the `history` steps of a question, or all of them if they cover fewer.

    Rows of missing steps are left out; the first reading may be earlier than the first step, so that a missing first
    step is known as such.
    """
    if case.calendar is None or frame.empty:
        return frame.tail(case.history)
    came = drop_missing_steps(frame, case)
    times = came[case.time].to_numpy(dtype="datetime64[ns]")
    numbers = case.calendar.anchored(times).number(times)
    covers = np.flatnonzero(numbers <= numbers[-1] - case.history + 1)
    return came.iloc[covers[-1] if covers.size else 0 :]


def _require_steps(times: Times, calendar: Calendar, case: Case) -> None:
    off = np.flatnonzero(~calendar.is_step(times))
    if off.size:
        raise InvalidInput(
            f"{off.size} of {len(times)} readings of case {case.name} are off its calendar: "
            f"{calendar.explain_off(times[off[0]])}. Correct Case.frequency, Case.zone or Case.holidays; frequency="
            "None takes the readings one after another."
        )


def require_dense(n_readings: int, n_steps: int, case: Case) -> None:
    """Check that a series has enough readings for its steps.

    Raises:
        InvalidInput: it has not; the frequency is that of other readings.
    """
    if n_steps > _FEW and n_steps > MAX_SPREAD * n_readings:
        raise InvalidInput(
            f"Case {case.name} has {n_readings} readings and {n_steps} steps of frequency {case.frequency!r} from the "
            f"first to the last; at most {MAX_SPREAD} steps for each reading are allowed. Choose the frequency that "
            "the readings have, or None."
        )
