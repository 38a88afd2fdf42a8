"""SARIMA on the log level, or on the level itself where differences are learned, fitted by maximum likelihood with
statsmodels (imported inside `fit`).

Shapes: B windows, T readings, H steps ahead, n readings of the whole series.

The forecast from a window is an affine map of that window: with fixed parameters neither the gain of the Kalman
filter nor its state transition depends on the data (Durbin and Koopman, Time Series Analysis by State Space Methods,
2nd ed. 2012, section 4.3). So filtering the zero window gives the bias, filtering each unit impulse gives its column of
the weight, and the graph needs no filter. Windows are centred on their last level, so the diffuse initial state works
for any level. How diffuse the state is depends on the unit, so levels without logarithm are scaled by the standard
deviation of their changes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet

_log = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sarima:
    """Recipe of a SARIMA (p, d, q)(P, D, Q, s) on the log level, or on the level itself where differences are learned;
    `max_iterations` bounds the optimiser.

    Source: Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th ed. 2015, chapter 9.

    Example:
        >>> Sarima().name
        'sarima_211_1005'
    """

    order: tuple[int, int, int] = (2, 1, 1)
    seasonal_order: tuple[int, int, int, int] = (1, 0, 0, 5)
    max_iterations: int = 100

    def __post_init__(self) -> None:
        if self.order[1] < 1:
            raise InvalidInput(
                f"Sarima.order is {self.order}; its middle number counts differences and must be at least 1, because a "
                "growing level has no constant mean. Use (p, 1, q)."
            )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "sarima_" + "_".join("".join(map(str, numbers)) for numbers in (self.order, self.seasonal_order))

    def fit(self, data: TrainingData, progress: Progress) -> SarimaModel:
        """Fit on the one contiguous series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast.
        """
        transform = data.require_forecast("Sarima")
        straight_N = transform.straighten(join_levels(data.train))
        scale = transform.measure_unit(straight_N)
        parameters, facts = self._estimate(straight_N / scale)
        progress(1, 1, facts)
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        return SarimaModel(
            recipe=self, parameters=parameters, n_history=history, horizon=horizon, history=(facts,), scale=scale
        )

    def _estimate(self, series_N: Array) -> tuple[Array, dict[str, float]]:
        model = self.state_space(series_N)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `converged` below reports the same
            result = model.fit(disp=False, maxiter=self.max_iterations)
        if not result.mle_retvals["converged"]:
            _log.warning("%s did not converge in %d iterations", self.name, self.max_iterations)
        facts = {"log_likelihood": float(result.llf), "aic": float(result.aic)}
        return np.asarray(result.params, dtype=np.float64), facts

    def state_space(self, series_N: Array) -> Any:
        """The statsmodels model of this recipe over a series."""
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        return SARIMAX(series_N, order=self.order, seasonal_order=self.seasonal_order)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Sarima", **asdict(self)}


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


@dataclass(frozen=True, kw_only=True)
class SarimaModel:
    """A fitted SARIMA; `parameters` are in the order of statsmodels, for levels in units of `scale`."""

    recipe: Sarima
    parameters: Array
    n_history: int
    horizon: int
    history: tuple[Mapping[str, float], ...]
    scale: float = 1.0

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`: statsmodels filters each window and forecasts from it."""
        return self._forecast(windows.w_BT).astype(np.float32)

    def _forecast(self, w_BT: Array) -> Array:
        """Forecasts [B, H] from centred levels, with one Kalman filter for each window."""
        model = self.recipe.state_space(np.zeros(self.n_history))
        forecasts = np.empty((len(w_BT), self.horizon))
        for row, w_T in enumerate(w_BT / self.scale):
            forecasts[row] = model.clone(w_T).filter(self.parameters).forecast(self.horizon)
        return forecasts * self.scale

    def core(self) -> AffineCore:
        """The filter as an affine map: the bias from the zero window, each column of the weight from one impulse."""
        impulses = self.scale * np.eye(self.n_history)
        answers = self._forecast(np.vstack([np.zeros(self.n_history), impulses]))
        return AffineCore(weight_HN=(answers[1:] - answers[0]).T / self.scale, bias_H=answers[0])
