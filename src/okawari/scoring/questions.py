"""Turns rows of a table into questions, the inputs of a graph.

Shapes: N rows of F columns, oldest first; each row from number `n_before` on has a question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.arrays import to_array
from okawari.dataset.calendar_features import append_calendar
from okawari.dataset.steps import require_dense
from okawari.schema.calendar_grids import Places

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


def build_questions(known: pd.DataFrame, case: Case, questions: Questions) -> tuple[Numbers, Places]:
    """The questions of valid rows, and the positions of these rows; rows with too few steps before them have none.

    Rows of a case with a calendar are laid out on it, and a missing step is a row of NaN. Their times are steps.
    """
    x_NF = to_array(known, case)
    places_N = _number_steps(known, case)
    if places_N is None or places_N[-1] + 1 == len(x_NF):
        return questions.build(x_NF), np.arange(min(questions.n_before, len(x_NF)), len(x_NF))
    require_dense(len(x_NF), int(places_N[-1]) + 1, case)
    laid_out = np.full((places_N[-1] + 1, x_NF.shape[1]), np.nan, dtype=x_NF.dtype)
    laid_out[places_N] = x_NF
    laid_out = _replace_calendar(laid_out, known, case)
    rows = np.flatnonzero(places_N >= questions.n_before)
    return questions.build(laid_out)[places_N[rows] - questions.n_before], rows


def _number_steps(known: pd.DataFrame, case: Case) -> Places | None:
    """The place of each row among the steps, counted from the first row; None without a calendar."""
    if case.calendar is None or known.empty:
        return None
    times = known[case.time].to_numpy(dtype="datetime64[ns]")
    numbers: Places = case.calendar.anchored(times).number(times)
    numbers -= numbers[0]
    return numbers


def _replace_calendar(laid_out: Numbers, known: pd.DataFrame, case: Case) -> Numbers:
    """The steps with the calendar features of all of them, also of missing ones."""
    times = known[case.time].to_numpy(dtype="datetime64[ns]")
    if not case.calendar_features or case.calendar is None:
        return laid_out
    calendar = case.calendar.anchored(times)
    steps = calendar.at(calendar.number(times[:1])[0] + np.arange(len(laid_out)))
    return append_calendar(laid_out[:, : len(case.columns)].astype(np.float64), steps, case)
