"""The series of levels that windows cover, as models of time series fit it.

Shapes: n readings of the series, B windows, T readings in a window, H steps ahead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.models.fit_context import TrainingData
from okawari.models.windows import WindowSet

Array = NDArray[np.float64]


def require_season(recipe: str, season: int) -> None:
    """Check the season of a recipe."""
    require(
        season >= 0,
        f"{recipe}.season is {season}; it counts readings of a season, or is 0 for none. Use 12 for months.",
    )


def require_readings(recipe: str, n: int, fewest: int) -> None:
    """Check the number of readings that a recipe is fitted on."""
    require(
        n >= fewest,
        f"{recipe} was given {n} train readings and needs {fewest}. Ingest more readings, or leave it out of the "
        "case's candidates.",
    )


def read_straight(data: TrainingData, recipe: str) -> Array:
    """The series that the train windows cover, on the scale on which moves are differences, [n].

    Raises:
        InvalidInput: the task is not a forecast.
    """
    return data.require_forecast(recipe).straighten(join_levels(data.train))


def join_levels(windows: WindowSet) -> Array:
    """The levels [n] from the first reading of the windows to their last truth; NaN where the series has a gap."""
    if windows.place_B is None:
        return np.concatenate([windows.exact_levels_BT[0, :-1], windows.level_B, windows.true_BH[-1]])
    history, horizon = windows.x_BTF.shape[1], windows.true_BH.shape[1]
    last_B = windows.place_B - windows.place_B[0] + history - 1
    levels_N = np.full(last_B[-1] + 1 + horizon, np.nan)
    for back in range(history):
        levels_N[last_B - back] = windows.read_levels_BT[:, history - 1 - back]
    for step in range(horizon):
        levels_N[last_B + 1 + step] = windows.true_BH[:, step]
    return levels_N


def measure_spread(straight_N: Array) -> float:
    """Standard deviation of the changes of a series; 1 where no two successive levels differ or are known.

    Models divide levels by it, because optimisers and diffuse initial states expect numbers near 1: on logarithms that
    change by a thousandth, maximum likelihood stops at its first parameters and reports that it converged.
    """
    changes = np.diff(straight_N)
    known = changes[~np.isnan(changes)]
    return (float(known.std()) if known.size else 0.0) or 1.0
