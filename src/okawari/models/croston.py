"""Intermittent demand: how often something is asked for, times how much, each smoothed by itself.

Shapes: B windows, T readings, n readings of a series, A pairs of smoothing parameters, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from okawari.models.cores import DemandCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.level_series import Array, join_levels
from okawari.models.windows import Floats, WindowSet
from okawari.schema.transforms import Transform

_TRIED = tuple(product((0.05, 0.1, 0.2, 0.3), (0.02, 0.05, 0.1, 0.2, 0.3)))
"""Smoothing parameters of size and share that are compared; the literature advises 0.05 to 0.3."""


@dataclass(frozen=True, kw_only=True)
class Croston:
    """Recipe of Croston's method in the form of Teunter, Syntetos and Babai: the share of readings with demand times
    the mean size of a demand, the same for all steps ahead. A reading of 0 is one without demand.

    Unlike Croston's own form it is unbiased, and it falls while nothing is asked for. The two smoothing parameters have
    the least squares of the errors one step ahead among 20 pairs. A window is smoothed from the share and the size at
    the end of the train readings.
    Source: Teunter, Syntetos and Babai, Intermittent demand: Linking forecasting to inventory obsolescence, European
    Journal of Operational Research 214 (2011), section 3.

    Example:
        >>> Croston().name
        'croston'
    """

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "croston"

    def fit(self, data: TrainingData, progress: Progress) -> CrostonModel:
        """Compare the pairs of parameters on the series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast.
        """
        transform = data.require_forecast("Croston")
        level_N = join_levels(data.train)
        core = _fit_core(level_N[~np.isnan(level_N)])
        facts = {"size_weight": core.size_weight, "share_weight": core.share_weight}
        progress(1, 1, facts)
        return CrostonModel(fitted=core, transform=transform, horizon=data.train.r_BH.shape[1], history=(facts,))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Croston"}


@dataclass(frozen=True, kw_only=True)
class CrostonModel:
    """Smoothed share and size of demand, as the move from the last level for all of `horizon` steps."""

    fitted: DemandCore
    transform: Transform
    horizon: int
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH` from the last level to the expected demand."""
        level_BT = windows.levels_BT.astype(np.float64)
        demand_B1 = smooth_demand(level_BT, self.fitted)[:, None]
        moves_B1 = self.transform.forward(level_BT[:, -1:], demand_B1)
        return np.repeat(moves_B1, self.horizon, axis=1).astype(np.float32)

    def core(self) -> DemandCore:
        """The parameters and the first share and size."""
        return self.fitted


def smooth_demand(level_BT: Array, core: DemandCore) -> Array:
    """The expected demand [B] after each window, reading by reading."""
    share_B, size_B = np.full(len(level_BT), core.first_share), np.full(len(level_BT), core.first_size)
    for level_B in level_BT.T:
        has_demand_B = level_B != 0
        share_B = share_B + core.share_weight * (has_demand_B - share_B)
        size_B = np.where(has_demand_B, size_B + core.size_weight * (level_B - size_B), size_B)
    demand_B: Array = share_B * size_B
    return demand_B


def _fit_core(level_N: Array) -> DemandCore:
    """The pair of the least squares, and the share and the size after the series with it."""
    size_weight_A, share_weight_A = np.array(_TRIED).T
    demands = level_N[level_N != 0]
    share_A = np.full(len(_TRIED), len(demands) / len(level_N))
    size_A = np.full(len(_TRIED), demands.mean() if len(demands) else 0.0)
    squares_A = np.zeros(len(_TRIED))
    for level in level_N:
        squares_A += (level - share_A * size_A) ** 2
        share_A = share_A + share_weight_A * (float(level != 0) - share_A)
        size_A = size_A + size_weight_A * (level - size_A) * float(level != 0)
    best = int(squares_A.argmin())
    return DemandCore(
        size_weight=float(size_weight_A[best]),
        share_weight=float(share_weight_A[best]),
        first_share=float(share_A[best]),
        first_size=float(size_A[best]),
    )
