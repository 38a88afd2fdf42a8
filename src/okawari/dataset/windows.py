"""From a frame of readings to windows with their truth.

Shapes: B windows, T readings in a window, F columns, K features, S feature steps, D columns of an answer, n readings.
A frame has the case's time column, unique and ascending, and columns of numbers and words. A record is a window of one
reading. Features come from the feature graph (`okawari.graph.feature_graph`); this module computes none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import encode_words, find_levels, is_absent, require_resolution, to_array, to_numbers
from okawari.dataset.splits import count_train, order_windows
from okawari.errors import InvalidInput
from okawari.graph.feature_graph import compute_features, compute_standing
from okawari.models.windows import Values, WindowSet
from okawari.schema.imputation import Imputation, fit_imputation
from okawari.schema.tasks.classification import Classify
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate
from okawari.schema.tasks.regression import Regress
from okawari.schema.tasks.task import Task
from okawari.schema.time_order import find_disorder


def cut_windows(frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of the frame with complete truth, oldest first: at most n - T - H + 1 of a series, n of records.

    Models learn the truth `r_BH`. For a forecast, it is the move from `level[t]` to `level[t + h]`, where t is the last
    reading of the window (`okawari.schema.transforms`). For several targets, it is their values at the next reading.
    For records, it is the number or its logarithm, or 1 for the true label and 0 for all others.

    A window whose truth or last level is missing is left out; one with other missing values is not. Their medians, for
    `WindowSet.imputation`, are those of the windows that `split_windows` assigns to train.

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


def is_complete(values_NC: Values) -> NDArray[np.bool_]:
    """Whether no value of a row is missing, [n]."""
    complete_N: NDArray[np.bool_] = np.all(~np.isnan(values_NC), axis=1)
    return complete_N


def frame_windows(series: Series, case: Case, has_truth_N: NDArray[np.bool_]) -> tuple[WindowSet, NDArray[np.int64]]:
    """The windows that end in a reading with a level and a complete truth, and the places of these readings.

    The caller fills in the truth itself.

    Args:
        series: the readings.
        case: defines the length of a window.
        has_truth_N: whether all that follows each reading, as far as it is the truth, is known.
    """
    can_end_N = has_truth_N & ~np.isnan(series.level_N)
    can_end_N[: case.history - 1] = False
    place_B = np.flatnonzero(can_end_N)
    if not len(place_B):
        raise InvalidInput(
            f"None of {len(series.x_NF)} readings ends a window: each window needs a known last level and all of its "
            f"{case.horizon} true values. Ingest more readings."
        )
    x_BTF = _slide(series.x_NF, case.history, place_B - case.history + 1)
    known = series.x_NF[: place_B[count_train(len(place_B), case) - 1] + 1]
    imputation = fit_imputation(known, case.input_columns) if case.may_have_gaps else None
    windows = WindowSet(
        x_BTF=x_BTF,
        z_BSK=compute_features(case, x_BTF, imputation),
        r_BH=np.empty((len(place_B), 0), dtype=np.float32),
        level_B=series.level_N[place_B],
        at_B=series.at_N[place_B],
        target_index=series.target_index,
        imputation=imputation,
        place_B=place_B,
    )
    return windows, place_B


def _slide(series_NF: Values, length: int, first_B: slice | NDArray[np.int64] = slice(None)) -> Values:
    """The windows of `length` consecutive rows that begin at these places (all by default), [B, length, F]."""
    return np.ascontiguousarray(sliding_window_view(series_NF, length, axis=0)[first_B].transpose(0, 2, 1))


@singledispatch
def cut_for_task(task: Task, frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of a frame with the truth of this kind of task; each kind registers its own function."""
    raise NotImplementedError(f"No windows are defined for {type(task).__name__}; register them here.")


@cut_for_task.register
def _cut_forecast(task: Forecast, frame: pd.DataFrame, case: Case) -> WindowSet:
    """The truth is the next H levels, learned as moves from the last one."""
    series = read_series(frame, case)
    ahead_NH = _look_ahead(series.level_N, case.horizon)
    windows, place_B = frame_windows(series, case, is_complete(ahead_NH))
    ahead_BH = ahead_NH[place_B]
    moves_BH = task.transform.forward(windows.level_B[:, None], ahead_BH)
    return replace(windows, r_BH=moves_BH.astype(np.float32), transform=task.transform, ahead_BH=ahead_BH)


def _look_ahead(level_N: Values, horizon: int) -> Values:
    """The next `horizon` levels of each reading [n, horizon]; NaN after the last reading."""
    return sliding_window_view(np.concatenate([level_N[1:], np.full(horizon, np.nan)]), horizon)


@cut_for_task.register
def _cut_anticipated(task: Anticipate, frame: pd.DataFrame, case: Case) -> WindowSet:
    """The truth of a window is the values of the targets in the next one."""
    series = read_series(frame, case)
    measured_NV = np.column_stack([target.measure(series.level_N) for target in task.targets])
    windows, place_B = frame_windows(series, case, np.append(is_complete(measured_NV)[1:], False))
    now_NH = compute_standing(case, _slide(series.x_NF, case.history), windows.imputation)
    first_B = place_B - case.history + 1
    return replace(windows, r_BH=now_NH[first_B + 1], now_BH=now_NH[first_B])


@cut_for_task.register(Regress)
@cut_for_task.register(Classify)
def _cut_records(task: Regress | Classify, frame: pd.DataFrame, case: Case) -> WindowSet:
    """Each record is a window of one reading and holds its own truth."""
    times, target = read_times(frame, case), case.target
    truth_N = to_numbers(encode_words(frame, case), target.name, may_miss=target.allows_missing)
    row_B = np.flatnonzero(~np.isnan(truth_N))
    [head] = task.heads
    truth_BH = head.encode(truth_N[row_B])
    x_B1F = to_array(frame, case)[row_B, None]
    require_resolution(x_B1F[:, 0, : len(case.columns)], case.column_names)
    require_resolution(task.transform.forward(truth_BH, truth_BH), [target.name] * truth_BH.shape[1])
    windows = WindowSet(
        x_BTF=x_B1F,
        z_BSK=np.empty((len(row_B), 1, 0), dtype=np.float32),
        r_BH=task.transform.forward(truth_BH, truth_BH).astype(np.float32),
        level_B=truth_N[row_B],
        at_B=times[row_B],
        target_index=None,
        transform=task.transform,
        ahead_BH=truth_BH,
    )
    imputation = _fit_on_train(windows, case) if case.may_have_gaps else None
    return replace(windows, z_BSK=compute_features(case, x_B1F, imputation), imputation=imputation)


def _fit_on_train(records: WindowSet, case: Case) -> Imputation:
    train = records.pick(order_windows(records, case))[: count_train(len(records), case)]
    return fit_imputation(train.x_BTF[:, -1], case.input_columns)


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
        InvalidInput: there are fewer than T readings, none of them has a level, or `to_array` refuses them.
    """
    newest = frame.iloc[-case.history :]
    if len(newest) < case.history:
        raise InvalidInput(f"There are {len(newest)} readings; case {case.name} needs {case.history}. Send more.")
    read_times(newest, case)
    window = to_array(newest, case)[None]
    _require_level(window, case)
    return window


def _require_level(window: Values, case: Case) -> None:
    if is_absent(find_levels(window, case)[0]):
        raise InvalidInput(
            f"None of the newest {case.history} readings of case {case.name} has a {case.target.name}, so there is no "
            "level to forecast from. Ingest newer readings."
        )
