"""The penalty of a linear model, chosen by cross-validation within the train part.

Shapes: B windows, N features of a window, P penalties, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from okawari.models.blocks import list_blocks
from okawari.schema.heads import Head

Array = NDArray[np.float64]
FitPath = Callable[[Head, Array, Array, tuple[float, ...]], list[tuple[Array, Array]]]
"""Coefficients [H, N] and intercepts [H] of one head for each of several penalties."""

PENALTIES = tuple(float(f"{penalty:.3g}") for penalty in 10.0 ** np.arange(6, -2.5, -0.5))
"""Penalties to choose from, the strongest first: from nearly the mean alone to hardly any.

As the weight of squared coefficients against a sum over rows, the best penalty does not grow with the rows: for ridge
it is the variance of the noise over that of the coefficients.
"""
MOST_CHOOSING = 20_000
"""Largest number of rows to choose a penalty on; of more rows, as many that are evenly spaced."""
_BLOCKS = 5


def choose_penalty(head: Head, x_BN: Array, r_BH: Array, fit_path: FitPath) -> float:
    """The penalty with the smallest loss over five blocks, each predicted by a fit on the other four.

    Blocks are consecutive, so that overlapping windows of a series are mostly in the same one (Bergmeir and Benitez, On
    the use of cross-validation for time series predictor evaluation, 2012). Of equal losses the stronger penalty wins.
    """
    rows = np.unique(np.linspace(0, len(x_BN) - 1, min(len(x_BN), MOST_CHOOSING)).astype(np.int64))
    x_BN, r_BH = x_BN[rows], head.level(r_BH[rows])
    losses_P = np.zeros(len(PENALTIES))
    for others_B, block in list_blocks(len(x_BN), _BLOCKS):
        path = fit_path(head, x_BN[others_B], r_BH[others_B], PENALTIES)
        judged = [head.measure_loss(x_BN[block] @ weight.T + bias, r_BH[block]) for weight, bias in path]
        losses_P += (block.stop - block.start) * np.array(judged)
    return PENALTIES[int(losses_P.argmin())]
