"""Windows split into train, validation, calibration and holdout."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.models.windows import Floats, WindowSet

MIN_TRAIN = 5
"""Fewest windows in train: enough for naive and strongly penalised models of a short series. Networks and trees need at
least 30."""
MIN_VALIDATION = 1
"""Fewest windows for early stopping."""
_WANTED_VALIDATION = 5
"""Windows for early stopping where a seventh of the windows to learn from are as many."""


@dataclass(frozen=True)
class Split:
    """Four parts without a common true value."""

    train: WindowSet
    validation: WindowSet
    calibration: WindowSet
    holdout: WindowSet


def split_windows(windows: WindowSet, case: Case) -> Split:
    """Split into train, validation, calibration and holdout.

    A series is split in the order of time. `Case.horizon` windows are dropped between parts, so that no true value is
    in two parts (purging: Lopez de Prado, Advances in Financial Machine Learning, 2018,
    section 7.4.1).

    Records are mixed (`okawari.schema.record_order`): each part has its share of every label, and of records that
    repeat.

    Raises:
        InvalidInput: there are too few windows; the message has their number and the number needed.
    """
    sizes = size_parts(len(windows), case)
    starts = np.cumsum((0, *(size + case.horizon for size in sizes[:-1])))
    ordered = windows.pick(order_windows(windows, case))
    return Split(*(ordered[int(start) : int(start) + size] for start, size in zip(starts, sizes, strict=True)))


def order_windows(windows: WindowSet, case: Case) -> slice | NDArray[np.int64]:
    """The order in which windows are assigned to the parts, train first."""
    return case.layout.order_split(*_identify(windows, case))


def deal_windows(windows: WindowSet, case: Case, n_folds: int) -> NDArray[np.int64] | None:
    """The fold of each record, [B]; None where the newest windows are judged."""
    return case.layout.deal_folds(*_identify(windows, case), n_folds)


def _identify(windows: WindowSet, case: Case) -> tuple[Floats, NDArray[np.int64]]:
    """The numbers that tell windows apart, [B, N], and their strata: the labels of the first head that has some."""
    truths = [head.identify(windows.r_BH[:, head.columns]) for head in case.task.heads]
    values_BN = np.concatenate([windows.x_BTF[:, -1], *truths], axis=1, dtype=np.float32)
    values_BN[np.isnan(values_BN)] = np.nan  # there are several bit patterns of NaN
    strata_BK = np.column_stack([head.stratify(windows.r_BH[:, head.columns]) for head in case.task.heads])
    return values_BN + 0.0, strata_BK[:, np.argmax(np.ptp(strata_BK, axis=0) > 0)]  # -0.0 + 0.0 is 0.0


def count_train(n_windows: int, case: Case) -> int:
    """Windows in train; all of them where they are too few for a split, so that nothing is trained."""
    try:
        return size_parts(n_windows, case)[0]
    except InvalidInput:
        return n_windows


def size_parts(n_windows: int, case: Case) -> tuple[int, int, int, int]:
    """Windows in train, validation, calibration and holdout.

    Raises:
        InvalidInput: there are too few windows, as in `split_windows`.
    """
    gap = case.horizon
    gate, calibration = case.gate, 0 if case.coverage_share is None else case.gate.calibration
    n_learn = n_windows - gate.holdout - calibration - 3 * gap
    n_validation = size_validation(n_learn, gate.validation_share)
    n_train = n_learn - n_validation
    if n_train < MIN_TRAIN:
        raise InvalidInput(_too_few(n_windows, case, calibration, gap))
    return n_train, n_validation, calibration, gate.holdout


def size_validation(n_learn: int, share: float) -> int:
    """Windows for early stopping, of `n_learn` to learn from."""
    return max(MIN_VALIDATION, min(_WANTED_VALIDATION, n_learn // 7), round(share * n_learn))


def _too_few(n_windows: int, case: Case, calibration: int, gap: int) -> str:
    gate = case.gate
    n_learn = next(n for n in count(MIN_TRAIN) if n - size_validation(n, gate.validation_share) >= MIN_TRAIN)
    needed = n_learn + gate.holdout + calibration + 3 * gap
    gaps = f" and 3 gaps of {gap}" if gap else ""
    return (
        f"There are {n_windows} windows; a split takes at least {needed}: {n_learn} to learn from, {calibration} "
        f"for calibration, {gate.holdout} as holdout{gaps}. Ingest more readings or make "
        "Gate.calibration and Gate.holdout smaller."
    )
