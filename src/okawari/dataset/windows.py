"""From a frame of readings to windows with their truth.

Shapes: B windows, T readings in a window, F columns, K features, S feature steps, D columns of an answer, n readings.
A frame has the case's time column, unique and ascending, and columns of numbers and words. A record is a window of one
reading. Features come from the feature graph (`okawari.graph.feature_graph`); this module computes none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import encode_words, to_array, to_numbers
from okawari.errors import InvalidInput
from okawari.graph.feature_graph import compute_features, compute_standing
from okawari.models.windows import Values, WindowSet
from okawari.schema.tasks.classification import Classify
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate
from okawari.schema.tasks.regression import Regress
from okawari.schema.tasks.task import Task
from okawari.schema.time_order import find_disorder

Number = TypeVar("Number", bound=np.floating[Any])


def cut_windows(frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of the frame with complete truth, oldest first: n - T - H + 1 of a series, n of records.

    Models learn the truth `r_BH`. For a forecast, it is the move from `level[t]` to `level[t + h]`, where t is the last
    reading of the window (`okawari.schema.transforms`). For several targets, it is their values at the next reading.
    For records, it is the number, or 1 for the true label and 0 for all others.

    Raises:
        InvalidInput: there are too few readings, or `to_array` refuses them.
    """
    return cut_for_task(case.task, frame, case)


@dataclass(frozen=True)
class Series:
    """A whole series: readings, the target's levels, and times."""

    x_NF: Values
    level_N: Values
    at_N: NDArray[np.datetime64]
    target_index: int


def read_series(frame: pd.DataFrame, case: Case) -> Series:
    """The frame as a series; raises like `cut_windows`."""
    readings, times = to_array(frame, case), read_times(frame, case)
    history, horizon = case.history, case.horizon
    if len(readings) < history + horizon:
        raise InvalidInput(
            f"There are {len(readings)} readings; one window with its truth takes {history} + {horizon}. Ingest more."
        )
    target = case.column_names.index(case.target.name)
    return Series(readings, readings[:, target], times, target)


def frame_windows(series: Series, case: Case) -> WindowSet:
    """All windows with complete truth; the caller fills in the truth itself."""
    history = case.history
    n_windows = len(series.x_NF) - history - case.horizon + 1
    last = slice(history - 1, history - 1 + n_windows)
    return WindowSet(
        x_BTF=_slide(series.x_NF, history)[:n_windows],
        z_BSK=_slide(compute_features(case, series.x_NF[None])[0], history - 1)[:n_windows],
        r_BH=np.empty((n_windows, 0), dtype=np.float32),
        level_B=series.level_N[last].copy(),
        at_B=series.at_N[last].copy(),
        target_index=series.target_index,
    )


def _slide(series_NC: NDArray[Number], length: int) -> NDArray[Number]:
    """All windows of `length` consecutive rows, as a copy [windows, length, C]."""
    return np.ascontiguousarray(sliding_window_view(series_NC, length, axis=0).transpose(0, 2, 1))


@singledispatch
def cut_for_task(task: Task, frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of a frame with the truth of this kind of task; each kind registers its own function."""
    raise NotImplementedError(f"No windows are defined for {type(task).__name__}; register them here.")


@cut_for_task.register
def _cut_forecast(task: Forecast, frame: pd.DataFrame, case: Case) -> WindowSet:
    """The truth is the next H levels, learned as moves from the last one."""
    series = read_series(frame, case)
    ahead_BH = sliding_window_view(series.level_N[case.history :], case.horizon).copy()
    windows = frame_windows(series, case)
    moves_BH = task.transform.forward(windows.level_B[:, None], ahead_BH)
    return replace(windows, r_BH=moves_BH.astype(np.float32), transform=task.transform, ahead_BH=ahead_BH)


@cut_for_task.register
def _cut_anticipated(task: Anticipate, frame: pd.DataFrame, case: Case) -> WindowSet:
    """The truth of a window is the values of the targets in the next one."""
    series = read_series(frame, case)
    now_BH = compute_standing(case, _slide(series.x_NF, case.history))
    return replace(frame_windows(series, case), r_BH=now_BH[1:], now_BH=now_BH[:-1])


@cut_for_task.register(Regress)
@cut_for_task.register(Classify)
def _cut_records(task: Regress | Classify, frame: pd.DataFrame, case: Case) -> WindowSet:
    """Each record is a window of one reading and holds its own truth."""
    times = read_times(frame, case)
    x_B1F = to_array(frame, case)[:, None]
    truth_B = to_numbers(encode_words(frame, case), case.target.name)
    [head] = task.heads
    truth_BH = head.encode(truth_B)
    return WindowSet(
        x_BTF=x_B1F,
        z_BSK=compute_features(case, x_B1F),
        r_BH=truth_BH.astype(np.float32),
        level_B=truth_B,
        at_B=times.copy(),
        target_index=None,
        ahead_BH=truth_BH,
    )


def read_times(frame: pd.DataFrame, case: Case) -> NDArray[np.datetime64]:
    """The time of each reading; raises `InvalidInput` unless they are strictly ascending."""
    if case.time not in frame.columns:
        raise InvalidInput(f"The readings lack the time column {case.time!r}. Add it, one time for each reading.")
    times: NDArray[np.datetime64] = frame[case.time].to_numpy(dtype="datetime64[ns]")
    if find_disorder(times) is not None:
        raise InvalidInput(f"Column {case.time} is not strictly ascending; sort the readings and drop repeated times.")
    return times


def last_window(frame: pd.DataFrame, case: Case) -> Values:
    """The newest readings as a question `x_BTF` [1, T, F].

    Raises:
        InvalidInput: there are fewer than T readings, or `to_array` refuses them.
    """
    newest = frame.iloc[-case.history :]
    if len(newest) < case.history:
        raise InvalidInput(f"There are {len(newest)} readings; case {case.name} needs {case.history}. Send more.")
    read_times(newest, case)
    return to_array(newest, case)[None]
