"""The seam between rows and questions: what a row of a table is answered from. One small class for each kind of task.

Shapes: N rows of F columns, oldest first; a question belongs to each row from number `n_before` on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case

Numbers = NDArray[np.floating[Any]]


class Questions(Protocol):
    """How rows become questions."""

    @property
    def n_before(self) -> int:
        """Rows before a row that its question holds as well; 0 where each row is answered by itself."""
        ...

    def build(self, x_NF: Numbers) -> Numbers:
        """The N - n_before questions of consecutive rows, as the graph takes them; none where there are too few."""
        ...


@dataclass(frozen=True)
class Trailing:
    """A row is answered from the `length` rows that end with it: questions [B, T, F] with T = `length`."""

    length: int

    @property
    def n_before(self) -> int:
        """All rows of the window but its last."""
        return self.length - 1

    def build(self, x_NF: Numbers) -> Numbers:
        """Every window, as a view that takes no memory until a part of it is copied."""
        if len(x_NF) < self.length:
            return np.empty((0, self.length, x_NF.shape[1]), dtype=x_NF.dtype)
        windows_BTF: Numbers = sliding_window_view(x_NF, self.length, axis=0).transpose(0, 2, 1)
        return windows_BTF


def choose_questions(case: Case) -> Questions:
    """The questions of a case's task: windows of a series; a record is a window of one row."""
    return Trailing(case.history)
