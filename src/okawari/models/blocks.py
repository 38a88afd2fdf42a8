"""Blocks of the train part, for choices by cross-validation within it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def list_blocks(n_rows: int, n_blocks: int) -> Iterator[tuple[NDArray[np.bool_], slice]]:
    """Consecutive blocks of nearly equal size, each with a mask of all rows outside of it.

    Example:
        >>> [(others.astype(int).tolist(), block) for others, block in list_blocks(3, 2)]
        [([0, 1, 1], slice(0, 1, None)), ([1, 0, 0], slice(1, 3, None))]
    """
    edges = np.linspace(0, n_rows, min(n_blocks, n_rows) + 1).astype(np.int64)
    for start, stop in pairwise(edges):
        others_B = np.ones(n_rows, dtype=bool)
        others_B[start:stop] = False
        yield others_B, slice(int(start), int(stop))
