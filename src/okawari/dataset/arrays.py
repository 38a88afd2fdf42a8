"""From a frame of readings to the array that a graph takes; a value that is not a number raises with its column's name.

Shapes: n readings, F columns.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.errors import InvalidInput


def to_array(frame: pd.DataFrame, case: Case) -> NDArray[np.float64]:
    """The readings as a new array [n, F], columns in the case's order.

    Raises:
        InvalidInput: a column is missing, is not numeric, or holds a value that is not finite; or the case takes the
            logarithm of a column that holds a value that is not positive. The message names the column.
    """
    missing = [name for name in case.column_names if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"The readings lack {missing}; case {case.name} reads {list(case.column_names)}. Add these columns."
        )
    readings = np.column_stack([to_numbers(frame, name) for name in case.column_names])
    _require_positive(readings, case)
    return readings


def to_numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """One column as new numbers [n]; raises like `to_array`."""
    try:
        numbers: NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"Column {name} has type {frame[name].dtype}; it must hold numbers. Convert it when the data is read."
        ) from error
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise InvalidInput(
            f"Column {name} holds {numbers[bad[0]]} in row {bad[0]} ({bad.size} such rows); every reading must be "
            "a finite number. Remove or repair these rows before windows are cut."
        )
    return numbers


def _require_positive(readings: NDArray[np.float64], case: Case) -> None:
    logged = case.logged_columns
    for name, values in zip(case.column_names, readings.T, strict=True):
        bad = np.flatnonzero(values <= 0) if name in logged else np.empty(0, dtype=np.int64)
        if bad.size:
            raise InvalidInput(
                f"Column {name} holds {values[bad[0]]} in row {bad[0]} ({bad.size} such rows); the case takes its "
                "logarithm, so it must be above 0. Remove these rows before windows are cut."
            )


def spell_places(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The readings with each label as its word instead of its index; missing columns are skipped.

    Raises:
        InvalidInput: an index has no label, because the case had more labels when the reading was ingested.
    """
    found = [column for column in case.known_columns if column.name in frame.columns]
    return frame.assign(**{column.name: column.spell(frame[column.name]) for column in found})


def format_time(time: pd.Timestamp) -> str:
    """ISO 8601; midnight is a date without a time."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else time.isoformat()
