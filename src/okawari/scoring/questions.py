"""Turns rows of a table into questions, the inputs of a graph.

Shapes: N rows of F columns, oldest first; each row from number `n_before` on has a question.
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
    """Builds questions from rows."""

    @property
    def n_before(self) -> int:
        """Number of earlier rows in the question of a row; 0 if each row is answered by itself."""
        ...

    def build(self, x_NF: Numbers) -> Numbers:
        """The N - n_before questions of consecutive rows, as inputs of the graph; none if there are too few rows."""
        ...


@dataclass(frozen=True)
class Trailing:
    """The question of a row holds the `length` rows that end with it: questions [B, T, F] with T = `length`."""

    length: int

    @property
    def n_before(self) -> int:
        """All rows of the window except the last."""
        return self.length - 1

    def build(self, x_NF: Numbers) -> Numbers:
        """All windows as a view, which copies no rows."""
        if len(x_NF) < self.length:
            return np.empty((0, self.length, x_NF.shape[1]), dtype=x_NF.dtype)
        windows_BTF: Numbers = sliding_window_view(x_NF, self.length, axis=0).transpose(0, 2, 1)
        return windows_BTF


def choose_questions(case: Case) -> Questions:
    """The questions of a case: windows of a series; a record is a window of one row."""
    return Trailing(case.history)
