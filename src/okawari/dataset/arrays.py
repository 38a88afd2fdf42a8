"""From a frame of readings to the array that a graph takes: numbers, and words as their places in the case's labels.

A value that is neither raises with its column's name. The places are those of the case that is passed: in training and
serving, the case with the dictionary of the graph (`okawari.contract.case_words`).

Shapes: n readings, F columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case, Column
from okawari.dataset.calendar_features import append_calendar, compute_dates
from okawari.errors import InvalidInput
from okawari.schema.columns import find_dates, find_words
from okawari.schema.imputation import fill_forward

_FEWEST_STEPS = 10
"""Steps of float32 within one standard deviation of a record's column; fewer distort what a model learns from it."""


def to_array(frame: pd.DataFrame, case: Case) -> NDArray[np.float64]:
    """The readings as a new array [n, F], columns as `Case.input_columns`; NaN for a missing value.

    Raises:
        InvalidInput: a column is missing, is not numeric, holds an infinite value, or lacks a value that the case does
            not allow to be missing; or the case takes the logarithm of a column that holds a value that is not
            positive. The message names the column.
    """
    missing = [name for name in case.column_names if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"The readings lack {missing}; case {case.name} reads {list(case.column_names)}. Add these columns."
        )
    frame, further = _measure_dates(encode_words(frame, case), case)
    readings = np.column_stack(
        [to_numbers(frame, column.name, may_miss=case.may_miss(column)) for column in case.columns]
    )
    _require_positive(readings, case)
    readings = np.concatenate([readings, *further], axis=1)
    return append_calendar(readings, frame[case.time].to_numpy(), case) if case.calendar_features else readings


def _measure_dates(frame: pd.DataFrame, case: Case) -> tuple[pd.DataFrame, list[NDArray[np.float64]]]:
    """The readings with years in the place of dates, and the further numbers of each column of dates."""
    dates = find_dates(case.columns)
    measured = {column.name: compute_dates(read_dates(frame, column.name), column.name, case) for column in dates}
    years = {name: numbers[:, 0] for name, numbers in measured.items()}
    return frame.assign(**years), [numbers[:, 1:] for numbers in measured.values()]


def read_dates(frame: pd.DataFrame, name: str) -> NDArray[np.datetime64]:
    """A column of dates, UTC.

    Raises:
        InvalidInput: it holds other values.
    """
    if frame[name].dtype.kind != "M":
        raise InvalidInput(
            f"Column {name} has type {frame[name].dtype}; it must hold dates. Convert it when the data is read."
        )
    return frame[name].to_numpy(dtype="datetime64[ns]")


def to_numbers(frame: pd.DataFrame, name: str, *, may_miss: bool = False) -> NDArray[np.float64]:
    """One column as new numbers [n]; raises like `to_array`."""
    try:
        numbers: NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"Column {name} has type {frame[name].dtype}; it must hold numbers. Convert it when the data is read."
        ) from error
    bad = np.flatnonzero(np.isinf(numbers) if may_miss else ~np.isfinite(numbers))
    if bad.size:
        raise InvalidInput(
            f"Column {name} holds {numbers[bad[0]]} in row {bad[0]} ({bad.size} such rows); every reading must be "
            "a finite number. Remove or repair these rows before windows are cut, or write missing='allow' for the "
            "column."
        )
    return numbers


def find_levels(x_BTF: NDArray[np.floating[Any]], case: Case) -> list[float | None]:
    """The last known level of each window; None if the case has no levels, NaN if none is known."""
    if case.level_index is None:
        return [None] * len(x_BTF)
    levels_BT = x_BTF[:, :, case.level_index].astype(np.float64)
    return [float(level) for level in fill_forward(levels_BT, np.nan)[:, -1]]


def is_absent(level: float | None) -> bool:
    """Whether none of the levels of a window is known."""
    return level is not None and isnan(level)


def _require_positive(readings: NDArray[np.float64], case: Case) -> None:
    logged = case.logged_columns
    for name, values in zip(case.column_names, readings.T, strict=True):
        bad = np.flatnonzero(values <= 0) if name in logged else np.empty(0, dtype=np.int64)
        if bad.size:
            raise InvalidInput(
                f"Column {name} holds {values[bad[0]]} in row {bad[0]} ({bad.size} such rows); the case takes its "
                "logarithm, so it must be above 0. Remove these rows before windows are cut."
            )


def encode_words(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The readings with each word as its place in the labels of `case`, float64; `len(labels)` for another word.

    Columns that the frame lacks are skipped. Raises `InvalidInput` where a column of words holds numbers.
    """
    found = [column for column in find_words(case.known_columns) if column.name in frame.columns]
    return frame.assign(**{column.name: column.encode(frame[column.name]) for column in found})


def decode_places(frame: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The readings with words in the place of numbers in labelled columns, as state of version 2 stored labels."""
    return frame.assign(**{column.name: column.decode(frame[column.name]) for column in find_places(frame, case)})


def find_places(frame: pd.DataFrame, case: Case) -> list[Column]:
    """The columns of words for which the frame has numbers."""
    found = (column for column in case.known_columns if column.name in frame.columns)
    return [column for column in found if column.holds_places(frame[column.name])]


def format_time(time: pd.Timestamp) -> str:
    """ISO 8601; midnight is a date without a time."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else time.isoformat()


def require_resolution(values_NF: NDArray[np.float64], names: Sequence[str]) -> None:
    """Check that float32, in which models read records, resolves how each column varies.

    Raises:
        InvalidInput: the steps of float32 at a column's level are more than a tenth of its standard deviation.
    """
    for name, values_N in zip(names, values_NF.T, strict=True):
        known = values_N[np.isfinite(values_N)]
        spread = float(known.std()) if known.size else 0.0
        step = float(np.spacing(np.float32(np.abs(known).max()))) if known.size else 0.0
        if 0 < spread < _FEWEST_STEPS * step:
            raise InvalidInput(
                f"Column {name} lies near {float(np.median(known)):.10g} and varies by {spread:.3g}; models read "
                f"records in float32, whose steps are {step:g} there, so its variation would be lost. Subtract a "
                "constant from the column where the data is made."
            )
