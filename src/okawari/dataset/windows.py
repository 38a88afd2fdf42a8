"""From a frame of readings to windows with their truth.

Shapes: B windows, T readings in a window, F columns, K features, S feature steps, D columns of an answer, n readings.
A frame has the case's time column, unique and ascending, and its columns as numbers. A record is a window of one
reading. Features come from the feature graph (`okawari.graph.feature_graph`); this module computes none of its own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import to_array, to_numbers
from okawari.errors import InvalidInput
from okawari.graph.feature_graph import compute_features, compute_standing
from okawari.models.windows import Floats, WindowSet
from okawari.schema.transforms import measure_move


def cut_windows(frame: pd.DataFrame, case: Case) -> WindowSet:
    """All windows of the frame whose truth is complete, oldest first: n - T - H + 1 of a series, n records.

    The truth `r_BH` is what models learn: of a forecast the move from `level[t]` to `level[t + h]`, t the last reading
    of the window (`okawari.schema.transforms`); where several targets stand in the reading after it; the number itself
    of a record, or 1 for its label and 0 for all others.

    Raises:
        InvalidInput: too few readings, or readings that `to_array` refuses.
    """
    return _cut_series(frame, case) if case.is_series else _cut_records(frame, case)


def _cut_series(frame: pd.DataFrame, case: Case) -> WindowSet:
    history, horizon = case.history, case.horizon
    readings, times = to_array(frame, case), _times(frame, case)
    n_windows = len(readings) - history - horizon + 1
    if n_windows < 1:
        raise InvalidInput(
            f"There are {len(readings)} readings; one window with its truth takes {history} + {horizon}. Ingest more."
        )
    target = case.column_names.index(case.target.name)
    levels = readings[:, target]
    last = slice(history - 1, history - 1 + n_windows)
    x_1NF = readings.astype(np.float32)[None]
    x_BTF = _slide(x_1NF[0], history)
    # Where targets stand after the window is where they stand now in the next window.
    now_BH = compute_standing(case, x_BTF) if case.learns is None else None
    ahead_BH = sliding_window_view(levels[history:], horizon).copy()
    return WindowSet(
        x_BTF=x_BTF[:n_windows],
        z_BSK=_slide(compute_features(case, x_1NF)[0], history - 1)[:n_windows],
        r_BH=_measure_moves(levels[last], ahead_BH, case) if now_BH is None else now_BH[1:],
        level_B=levels[last].copy(),
        at_B=times[last].copy(),
        target_index=target,
        now_BH=None if now_BH is None else now_BH[:-1],
        learns=case.learns,
        ahead_BH=ahead_BH if now_BH is None else None,
    )


def _measure_moves(level_B: NDArray[np.float64], ahead_BH: NDArray[np.float64], case: Case) -> Floats:
    assert case.learns is not None, "only a forecast's models learn moves"
    return measure_move(level_B[:, None], ahead_BH, case.learns).astype(np.float32)


def _slide(series_NC: Floats, length: int) -> Floats:
    """Every run of `length` rows, as a copy [windows, length, C]."""
    return np.ascontiguousarray(sliding_window_view(series_NC, length, axis=0).transpose(0, 2, 1))


def _cut_records(frame: pd.DataFrame, case: Case) -> WindowSet:
    times = _times(frame, case)
    x_B1F = to_array(frame, case).astype(np.float32)[:, None]
    truth_B = to_numbers(frame, case.target.name)
    labels = case.target.labels
    truth_BD = truth_B[:, None] if not labels else truth_B[:, None] == np.arange(len(labels))
    return WindowSet(
        x_BTF=x_B1F,
        z_BSK=compute_features(case, x_B1F),
        r_BH=truth_BD.astype(np.float32),
        level_B=truth_B,
        at_B=times.copy(),
        target_index=None,
    )


def _times(frame: pd.DataFrame, case: Case) -> NDArray[np.datetime64]:
    if case.time not in frame.columns:
        raise InvalidInput(f"The readings lack the time column {case.time!r}. Add it, one time for each reading.")
    times: NDArray[np.datetime64] = frame[case.time].to_numpy(dtype="datetime64[ns]")
    if np.any(np.diff(times) <= np.timedelta64(0, "ns")):
        raise InvalidInput(f"Column {case.time} is not strictly ascending; sort the readings and drop repeated times.")
    return times


def last_window(frame: pd.DataFrame, case: Case) -> Floats:
    """The newest readings as a question `x_BTF` [1, T, F], float32.

    Raises:
        InvalidInput: fewer than T readings, or readings that `to_array` refuses.
    """
    newest = frame.iloc[-case.history :]
    if len(newest) < case.history:
        raise InvalidInput(
            f"There are {len(newest)} readings; case {case.name} answers from {case.history}. Send more."
        )
    _times(newest, case)
    return to_array(newest, case).astype(np.float32)[None]
