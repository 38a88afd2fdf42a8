"""The order in which independent records are assigned to parts and folds; the same for equal tables.

Records that repeat are different individuals: of m equal records, each part gets about its share, never all of them. So
are the labels: each part has about the shares of the whole table. Shapes: B records, N numbers that identify a record.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Places = NDArray[np.int64]
_RANGE = 2.0**64


def spread(values_BN: Values, strata_B: Places) -> Places:
    """Places of the records in an order in which every stretch is a sample of all.

    The j-th of m equal records stands at (j + u) / m, where u, from 0 to 1, comes from the digest of its values: equal
    records are evenly spaced, and different ones are mixed. Within each label, records are ranked by it; the ranks of
    every label are then spread over the whole order.

    Example:
        >>> spread(np.zeros((4, 1), np.float32), np.array([0, 0, 1, 1])).tolist()
        [3, 1, 2, 0]
    """
    draw_B, nth_B, count_B = _number(values_BN)
    key_B = (nth_B + draw_B) / count_B
    share_B = np.empty(len(key_B))
    for stratum in np.unique(strata_B):
        own = np.flatnonzero(strata_B == stratum)
        ranked = own[np.lexsort((own, draw_B[own], key_B[own]))]
        share_B[ranked] = (np.arange(len(own)) + 0.5) / len(own)
    return np.lexsort((np.arange(len(share_B)), draw_B, share_B))[::-1].astype(np.int64)


def deal(values_BN: Values, strata_B: Places, n_folds: int) -> Places:
    """The fold of each record, 0 to n_folds - 1. Folds differ by at most one record in size, and so do the numbers of
    each label and of equal records in them.

    Example:
        >>> deal(np.zeros((4, 1), np.float32), np.array([0, 0, 1, 1]), 2).tolist()
        [0, 1, 0, 1]
    """
    draw_B, nth_B, _ = _number(values_BN)
    fold_B = np.empty(len(draw_B), dtype=np.int64)
    fold_B[np.lexsort((nth_B, draw_B, strata_B))] = np.arange(len(draw_B)) % n_folds
    return fold_B


def _number(values_BN: Values) -> tuple[NDArray[np.float64], Places, Places]:
    """For each record: a number from 0 to 1 from its digest, its place among equal ones, and how many they are."""
    rows_BN = np.ascontiguousarray(values_BN, dtype=np.float32)
    rows_B = rows_BN.view(np.dtype((np.void, rows_BN.shape[1] * rows_BN.itemsize))).reshape(-1)  # equal bytes are equal
    kinds, kind_B = np.unique(rows_B, return_inverse=True)
    digests = [hashlib.sha256(row.tobytes()).digest() for row in kinds]
    draws = np.array([int.from_bytes(digest[:8], "big") / _RANGE for digest in digests])
    counts = np.bincount(kind_B, minlength=len(kinds))
    order = np.argsort(kind_B, kind="stable")
    nth_B = np.empty(len(kind_B), dtype=np.int64)
    nth_B[order] = np.arange(len(kind_B)) - np.repeat(np.cumsum(counts) - counts, counts)
    return draws[kind_B], nth_B, counts[kind_B].astype(np.int64)
