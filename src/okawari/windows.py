"""From a frame of readings to windows with their truth, and their chronological split.

Shapes: B windows, T readings in a window, F columns, K features, S = T - 1 feature steps, H steps ahead, n readings.
A frame has the case's time column, unique and ascending, and its columns as numbers. Features come from the feature
graph (`okawari.graph.compute_features`); this module computes none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case, Gate
from okawari.errors import InvalidInput
from okawari.graph import compute_features
from okawari.models.recipe import Floats, WindowSet

MIN_TRAIN = 30
"""Fewest windows to learn from: half a SARIMA season of history is no sample; below this nothing is estimated."""
MIN_VALIDATION = 5


@dataclass(frozen=True)
class Split:
    """Four parts in the order of time; no truth of one part overlaps the truth of the next."""

    train: WindowSet
    validation: WindowSet
    calibration: WindowSet
    holdout: WindowSet


def to_array(frame: pd.DataFrame, case: Case) -> NDArray[np.float64]:
    """The readings as a new array [n, F], columns in the case's order.

    Raises:
        InvalidInput: a column is missing, is not numeric, or holds a value that is no finite number; or a column
            that goes into a logarithm holds a value that is not positive. The message names the column.
    """
    missing = [name for name in case.column_names if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"The readings lack {missing}; case {case.name} reads {list(case.column_names)}. Add these columns."
        )
    readings = np.column_stack([_numbers(frame, name) for name in case.column_names])
    _require_finite(readings, case)
    _require_positive(readings, case)
    return readings


def _numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    try:
        numbers: NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"Column {name} has type {frame[name].dtype}; it holds numbers. Convert it when the data is read."
        ) from error
    return numbers


def _require_finite(readings: NDArray[np.float64], case: Case) -> None:
    for name, values in zip(case.column_names, readings.T, strict=True):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InvalidInput(
                f"Column {name} holds {values[bad[0]]} in row {bad[0]} ({bad.size} such rows); every reading is a "
                "finite number. Remove or repair these rows before windows are cut."
            )


def _require_positive(readings: NDArray[np.float64], case: Case) -> None:
    logged = {case.task.target, *(each.numerator for each in case.features), *(e.denominator for e in case.features)}
    for name, values in zip(case.column_names, readings.T, strict=True):
        bad = np.flatnonzero(values <= 0) if name in logged else np.empty(0, dtype=np.int64)
        if bad.size:
            raise InvalidInput(
                f"Column {name} holds {values[bad[0]]} in row {bad[0]} ({bad.size} such rows); the case takes its "
                "logarithm, so it must be above 0. Remove these rows before windows are cut."
            )


def _times(frame: pd.DataFrame, case: Case) -> NDArray[np.datetime64]:
    if case.time not in frame.columns:
        raise InvalidInput(f"The readings lack the time column {case.time!r}. Add it, one time for each reading.")
    times: NDArray[np.datetime64] = frame[case.time].to_numpy(dtype="datetime64[ns]")
    if np.any(np.diff(times) <= np.timedelta64(0, "ns")):
        raise InvalidInput(f"Column {case.time} is not strictly ascending; sort the readings and drop repeated times.")
    return times


def cut_windows(frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of the frame whose truth is complete: n - T - H + 1 of them, oldest first.

    `r_BH[b, h] = log(level[t + h + 1] / level[t])` with t the last reading of window b.

    Raises:
        InvalidInput: fewer than T + H readings, or readings that `to_array` refuses.
    """
    history, horizon = case.task.history, case.task.horizon
    readings, times = to_array(frame, case), _times(frame, case)
    n_windows = len(readings) - history - horizon + 1
    if n_windows < 1:
        raise InvalidInput(
            f"There are {len(readings)} readings; one window with its truth takes {history} + {horizon}. Ingest more."
        )
    target = case.column_names.index(case.task.target)
    levels = readings[:, target]
    last = slice(history - 1, history - 1 + n_windows)
    truth_BH = sliding_window_view(levels[history:], horizon)
    x_1NF = readings.astype(np.float32)[None]
    return WindowSet(
        x_BTF=_slide(x_1NF[0], history)[:n_windows],
        z_BSK=_slide(compute_features(case, x_1NF)[0], history - 1)[:n_windows],
        r_BH=np.log(truth_BH / levels[last, None]).astype(np.float32),
        level_B=levels[last].copy(),
        at_B=times[last].copy(),
        target_index=target,
    )


def _slide(series_NC: Floats, length: int) -> Floats:
    """Every run of `length` rows, as a copy [windows, length, C]."""
    return np.ascontiguousarray(sliding_window_view(series_NC, length, axis=0).transpose(0, 2, 1))


def last_window(frame: pd.DataFrame, case: Case) -> Floats:
    """The newest readings as a question `x_BTF` [1, T, F], float32.

    Raises:
        InvalidInput: fewer than T readings, or readings that `to_array` refuses.
    """
    newest = frame.iloc[-case.task.history :]
    if len(newest) < case.task.history:
        raise InvalidInput(
            f"There are {len(newest)} readings; case {case.name} answers from {case.task.history}. Send more."
        )
    _times(newest, case)
    return to_array(newest, case).astype(np.float32)[None]


def split_windows(windows: WindowSet, gate: Gate, horizon: int) -> Split:
    """Split in the order of time: train, validation, calibration, holdout; `horizon` windows are dropped between parts.

    The dropped windows keep the truth of one part out of the truth of the next (purging: Lopez de Prado, Advances in
    Financial Machine Learning, 2018, section 7.4.1).

    Raises:
        InvalidInput: too few windows; the message says how many there are and how many it takes.
    """
    n_learn = len(windows) - gate.holdout - gate.calibration - 3 * horizon
    n_validation = max(MIN_VALIDATION, round(gate.validation_share * n_learn))
    n_train = n_learn - n_validation
    if n_train < MIN_TRAIN:
        raise InvalidInput(_too_few(len(windows), gate, horizon))
    sizes = (n_train, n_validation, gate.calibration, gate.holdout)
    starts = np.cumsum((0, *(size + horizon for size in sizes[:-1])))
    return Split(*(windows[int(start) : int(start) + size] for start, size in zip(starts, sizes, strict=True)))


def _too_few(n_windows: int, gate: Gate, horizon: int) -> str:
    n_learn = max(MIN_TRAIN + MIN_VALIDATION, int(np.ceil((MIN_TRAIN - 0.5) / (1 - gate.validation_share))))
    needed = n_learn + gate.holdout + gate.calibration + 3 * horizon
    return (
        f"There are {n_windows} windows; a split takes at least {needed}: {n_learn} to learn from, {gate.calibration} "
        f"for calibration, {gate.holdout} as holdout and 3 gaps of {horizon}. Ingest more readings or make "
        "Gate.calibration and Gate.holdout smaller."
    )
