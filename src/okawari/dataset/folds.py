"""The fits behind the gate's evidence: which windows each one learns from, and which ones judge it.

    a series, timed records   the newest `calibration + holdout` windows are judged, in `origins` blocks; the model that
                              answers a block learned from windows whose truth was known before it (a rolling origin:
                              Tashman, Out-of-sample tests of forecasting accuracy, 2000)
    records                   `origins` folds, so that every record is judged once; with one origin, the last
                              `calibration + holdout` records in their order are judged
    a big table               one fit, whatever the gate's origins are

Shapes: N windows, J judged windows, T readings, F columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.splits import deal_windows, order_windows, size_parts, size_validation
from okawari.graph.feature_graph import compute_features
from okawari.models.windows import WindowSet
from okawari.schema.imputation import fit_imputation

BIG_TABLE = 20_000
"""Windows above which one fit replaces several: what is judged is then many, and a fit takes long."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """What one fit learns from (`train`), stops by (`validation`) and is judged on.

    `rows_J` are the places of the judged windows among all judged ones of the training.
    """

    train: WindowSet
    validation: WindowSet
    judged: WindowSet
    rows_J: Places


@dataclass(frozen=True)
class Folds:
    """The fits of a training.

    `judged` are the judged windows of all folds, in order of time or of arrival. The first `n_unpriced` of them only
    set intervals; the coverage of their own is not measured. `everything` are all windows, in the order of the split.
    """

    parts: tuple[Fold, ...]
    judged: WindowSet
    everything: WindowSet
    n_validation: int
    """Windows for early stopping of a fit on everything."""
    is_dealt: bool
    """Whether every window is judged, each by a model of the other folds."""
    n_unpriced: int
    gap: int
    """Windows after a window whose truth shares values with its own."""

    @property
    def n_fits(self) -> int:
        """Fits of each candidate."""
        return len(self.parts)


def plan_folds(windows: WindowSet, case: Case) -> Folds:
    """Plan the fits of a training.

    Raises:
        InvalidInput: there are too few windows, as in `split_windows`.
    """
    n, n_fits = len(windows), count_fits(len(windows), case)
    _, _, n_calibration, n_holdout = size_parts(n, case)
    order_N = np.arange(n)[order_windows(windows, case)]
    fold_N = deal_windows(windows, case, n_fits) if n_fits > 1 else None
    rolled = _roll(order_N, n_calibration + n_holdout, n_fits, case.horizon)
    pairs = list(rolled if fold_N is None else _deal(order_N, fold_N))
    places_J = np.sort(np.concatenate([judged for _, judged in pairs]))
    everything = impute_from(windows.pick(order_windows(windows, case)), slice(None), case)
    return Folds(
        parts=tuple(_cut(windows, learned, judged, places_J, case) for learned, judged in pairs),
        judged=windows.pick(places_J),
        everything=everything,
        n_validation=size_validation(n, case.gate.validation_share),
        is_dealt=fold_N is not None,
        n_unpriced=n_calibration if fold_N is None else 0,
        gap=case.horizon,
    )


def count_fits(n_windows: int, case: Case) -> int:
    """Fits of each candidate: the origins of the gate, or one for a big table."""
    return 1 if n_windows > BIG_TABLE else case.gate.origins


def _roll(order_N: Places, n_judged: int, n_fits: int, gap: int) -> Iterator[tuple[Places, Places]]:
    """The places that each fit learns from, and those that it is judged on: the last `n_judged`, in blocks."""
    first = len(order_N) - n_judged
    for block in np.array_split(np.arange(first, len(order_N)), n_fits):
        yield order_N[: block[0] - gap], np.sort(order_N[block])


def _deal(order_N: Places, fold_N: Places) -> Iterator[tuple[Places, Places]]:
    for fold in np.unique(fold_N):
        yield order_N[fold_N[order_N] != fold], np.flatnonzero(fold_N == fold)


def _cut(windows: WindowSet, learned: Places, judged: Places, places_J: Places, case: Case) -> Fold:
    n_validation = size_validation(len(learned) - case.horizon, case.gate.validation_share)
    n_train = len(learned) - case.horizon - n_validation
    # Windows are taken by slices where they can be, because a slice copies nothing.
    filled = impute_from(windows, _to_slice(learned[:n_train]), case)
    return Fold(
        train=filled.pick(_to_slice(learned[:n_train])),
        validation=filled.pick(_to_slice(learned[len(learned) - n_validation :])),
        judged=windows.pick(_to_slice(judged)),
        rows_J=np.searchsorted(places_J, judged),
    )


def _to_slice(places: Places) -> slice | Places:
    """A slice for places that follow each other."""
    first = int(places[0])
    return (
        slice(first, first + len(places)) if np.array_equal(places, np.arange(first, first + len(places))) else places
    )


def impute_from(windows: WindowSet, train: slice | Places, case: Case) -> WindowSet:
    """The windows with the medians of those of `train` for missing values; unchanged where no value can be missing."""
    if windows.imputation is None:
        return windows
    x_NTF = windows.x_BTF[train]
    known_NF = np.concatenate([x_NTF[0, :-1], x_NTF[:, -1]])
    imputation = fit_imputation(known_NF, case.input_columns)
    return replace(windows, z_BSK=compute_features(case, windows.x_BTF, imputation), imputation=imputation)
