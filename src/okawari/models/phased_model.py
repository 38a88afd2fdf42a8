"""Forecasts of a linear model of a series from a window of its newest readings alone.

A window does not say where in the season it begins. So the fitted series is continued from each place of the season
(its *paths*); a window is read as one path plus deviations. Each path has a share, its posterior probability:

    share_p = softmax_p(-(w - path_p)' P (w - path_p) / 2)        r = sum_p share_p (path_ahead_p + W (w - path_p))

As P and W are the same for all paths, the exponent is linear in w but for a term that all paths share, and r is an
affine map of w plus the shares times one bias for each path: the whole of it is a few nodes of a graph.

Shapes: B windows, T readings of a window, H steps ahead, P paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from okawari.models.cores import AffineCore, PhaseCore
from okawari.models.innovations import Innovations, map_window
from okawari.models.level_series import Array
from okawari.models.windows import Floats, WindowSet


@dataclass(frozen=True, kw_only=True)
class PhasedModel:
    """A linear model of levels in units of `scale`, for windows of T readings.

    `path_PN` are the paths over T + H steps; `weight_HT` and `precision_TT` are those of `WindowMap`.
    """

    path_PN: Array
    weight_HT: Array
    precision_TT: Array
    scale: float
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`: the forecasts of all paths, weighted by how likely each path is."""
        length = self.weight_HT.shape[1]
        window_PT, ahead_PH = self.path_PN[:, :length], self.path_PN[:, length:]
        w_BT = windows.w_BT.astype(np.float32).astype(np.float64) / self.scale
        likely_PT = window_PT @ self.precision_TT
        exponent_BP = w_BT @ likely_PT.T - np.einsum("pt,pt->p", likely_PT, window_PT) / 2
        share_BP = np.exp(exponent_BP - exponent_BP.max(axis=1, keepdims=True))
        share_BP /= share_BP.sum(axis=1, keepdims=True)
        ahead_BH = share_BP @ ahead_PH + (w_BT - share_BP @ window_PT) @ self.weight_HT.T
        r_BH: Floats = (self.scale * ahead_BH).astype(np.float32)
        return r_BH

    def core(self) -> AffineCore | PhaseCore:
        """The same as an affine map, and the shares of the paths where there are several."""
        length = self.weight_HT.shape[1]
        bias_PH = self.scale * (self.path_PN[:, length:] - self.path_PN[:, :length] @ self.weight_HT.T)
        if len(bias_PH) == 1:
            return AffineCore(weight_HN=self.weight_HT, bias_H=bias_PH[0])
        mean_T = self.path_PN[:, :length].mean(axis=0)
        off_PT = self.path_PN[:, :length] - mean_T
        slope_PT = off_PT @ self.precision_TT
        return PhaseCore(
            weight_HN=self.weight_HT,
            bias_PH=bias_PH,
            share_weight_PN=slope_PT / self.scale,
            share_bias_P=-slope_PT @ mean_T - np.einsum("pt,pt->p", slope_PT, off_PT) / 2,
        )


@dataclass(frozen=True, kw_only=True)
class FittedSeries:
    """A model fitted to a series `y_N` in units of `scale`, with readings in seasons of `season` steps (1: none).

    `profile_S` is a season that was taken off the series, from the first step after it; None where none was. `drift` is
    the slope of a line that was taken off.
    """

    model: Innovations
    y_N: Array
    season: int
    scale: float
    profile_S: Array | None = None
    drift: float = 0.0

    def meet_windows(self, length: int, horizon: int, facts: Mapping[str, float]) -> PhasedModel:
        """The model for windows of `length` readings.

        The state before a window is the one at the end of the series a season later, or a window's length later where
        there is no season: what lasted is kept, and what fades has faded.
        """
        later = self.season if self.season > 1 else length
        before = self.model.skip(self.model.settle_on(self.y_N), later)
        mapped = map_window(self.model, before, length, horizon)
        steps = length + horizon
        path_N = self.model.forecast(before.state_K, self.season - 1 + steps)
        path_N = path_N + self.drift * np.arange(len(path_N))
        if self.profile_S is not None:
            path_N = path_N + np.resize(self.profile_S, len(path_N))
        path_PN = np.lib.stride_tricks.sliding_window_view(path_N, steps)
        return PhasedModel(
            path_PN=path_PN - path_PN[:, length - 1 : length],
            weight_HT=mapped.weight_HT,
            precision_TT=mapped.precision_TT,
            scale=self.scale,
            history=(facts,),
        )
