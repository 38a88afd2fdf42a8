"""What stands for a missing value where a model needs a number.

    records     the median of the training part; a missing word is no word, so all its one-hot features are 0
    a series    the value before it in the window; before the first value, the median of the training part

A graph holds the medians as constants (`okawari.graph.imputation_stage`); service, scoring and training impute alike.

Shapes: n readings, B windows, T readings in a window, F columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.schema.columns import Column

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Imputation:
    """The medians of the columns in the training part, in the order of the columns; NaN for columns of words.

    Example:
        >>> columns = (Column(name="age", missing="allow"), Column(name="plan", labels=("free", "paid")))
        >>> fit_imputation(np.array([[30.0, 0], [40, 1], [np.nan, 1]]), columns).medians
        (35.0, nan)
    """

    medians: tuple[float, ...]

    def fill_levels(self, levels_BT: Values, column: int) -> Values:
        """Levels of one column without missing values, as the graph fills them."""
        return fill_forward(levels_BT, self.medians[column])


def fit_imputation(x_NF: Values, columns: Sequence[Column]) -> Imputation:
    """The medians of the readings of the training part.

    A column without any value has the number of its range that is nearest to 0, or 1 if it is above 0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        medians_F = np.nanmedian(x_NF, axis=0) if len(x_NF) else np.full(len(columns), np.nan)
    return Imputation(tuple(map(_choose_median, medians_F.tolist(), columns)))


def start_imputation(columns: Sequence[Column]) -> Imputation:
    """The imputation of a case without training readings."""
    return fit_imputation(np.empty((0, len(columns))), columns)


def _choose_median(median: float, column: Column) -> float:
    if column.labels:
        return float("nan")
    if not np.isnan(median):
        return median
    lowest = column.minimum if column.above is None else column.above + 1.0
    return float(np.clip(0.0, lowest, column.maximum))


def fill_forward(levels_BT: Values, first: float) -> Values:
    """Each missing value replaced by the one before it, or by `first` where there is none.

    >>> fill_forward(np.array([[np.nan, 2.0, np.nan]]), 7.0).tolist()
    [[7.0, 2.0, 2.0]]
    """
    is_known_BT = ~np.isnan(levels_BT)
    if is_known_BT.all():
        return levels_BT
    steps = np.where(is_known_BT, np.arange(levels_BT.shape[1]), -1)
    source_BT = np.maximum.accumulate(steps, axis=1)
    filled_BT: Values = np.take_along_axis(levels_BT, np.maximum(source_BT, 0), axis=1)
    return np.where(source_BT < 0, first, filled_BT)
