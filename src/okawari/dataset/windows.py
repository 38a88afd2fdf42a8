"""From a frame of readings to windows with their truth, and their split into parts.

Shapes: B windows, T readings in a window, F columns, K features, S feature steps, D columns of an answer, n readings.
A frame has the case's time column, unique and ascending, and its columns as numbers. A record is a window of one
reading. Features come from the feature graph (`okawari.graph.inference.compute_features`); this module computes none of
its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import to_array, to_numbers
from okawari.errors import InvalidInput
from okawari.graph.inference import compute_features, compute_standing
from okawari.models.recipe import Floats, WindowSet
from okawari.schema.transforms import measure_move

MIN_TRAIN = 30
"""Fewest windows to learn from: half a SARIMA season of history is no sample; below this nothing is estimated."""
MIN_VALIDATION = 5


@dataclass(frozen=True)
class Split:
    """Four parts; the truth of one part says nothing of the truth of another."""

    train: WindowSet
    validation: WindowSet
    calibration: WindowSet
    holdout: WindowSet


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


def split_windows(windows: WindowSet, case: Case) -> Split:
    """Split into train, validation, calibration and holdout.

    A series is split in the order of time, and `Case.horizon` windows are dropped between parts, which keeps the truth
    of one part out of the truth of the next (purging: Lopez de Prado, Advances in Financial Machine Learning, 2018,
    section 7.4.1).

    Records are ordered by a digest of their values; the smallest ones are the holdout, then come calibration,
    validation and train. So equal records stand side by side, and a record that has once been learned from never
    becomes a judge: with more records its rank in that order only grows.

    Raises:
        InvalidInput: too few windows; the message says how many there are and how many it takes.
    """
    sizes = size_parts(len(windows), case)
    starts = np.cumsum((0, *(size + case.horizon for size in sizes[:-1])))
    ordered = windows if case.is_series else windows.pick(_order_records(windows))
    return Split(*(ordered[int(start) : int(start) + size] for start, size in zip(starts, sizes, strict=True)))


def size_parts(n_windows: int, case: Case) -> tuple[int, int, int, int]:
    """Windows in train, validation, calibration and holdout.

    Raises:
        InvalidInput: too few windows, as in `split_windows`.
    """
    gap = case.horizon
    gate, calibration = case.gate, 0 if case.coverage_share is None else case.gate.calibration
    n_learn = n_windows - gate.holdout - calibration - 3 * gap
    n_validation = max(MIN_VALIDATION, round(gate.validation_share * n_learn))
    n_train = n_learn - n_validation
    if n_train < MIN_TRAIN:
        raise InvalidInput(_too_few(n_windows, case, calibration, gap))
    return n_train, n_validation, calibration, gate.holdout


def _order_records(windows: WindowSet) -> NDArray[np.int64]:
    """Places of the records, those with the largest digests first, so that the smallest ones end as the holdout."""
    values = np.concatenate([windows.x_BTF[:, 0], windows.r_BH], axis=1)
    digests = [hashlib.sha256(row.tobytes()).digest() for row in values]
    return np.array(
        sorted(range(len(digests)), key=lambda place: (digests[place], place), reverse=True), dtype=np.int64
    )


def _too_few(n_windows: int, case: Case, calibration: int, gap: int) -> str:
    gate = case.gate
    n_learn = max(MIN_TRAIN + MIN_VALIDATION, int(np.ceil((MIN_TRAIN - 0.5) / (1 - gate.validation_share))))
    needed = n_learn + gate.holdout + calibration + 3 * gap
    gaps = f" and 3 gaps of {gap}" if gap else ""
    return (
        f"There are {n_windows} windows; a split takes at least {needed}: {n_learn} to learn from, {calibration} "
        f"for calibration, {gate.holdout} as holdout{gaps}. Ingest more readings or make "
        "Gate.calibration and Gate.holdout smaller."
    )
