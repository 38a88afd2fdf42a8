"""SARIMA on the log level, or on the level itself where differences are learned, fitted by maximum likelihood with
statsmodels (imported inside `fit`).

Shapes: B windows, T readings, H steps ahead, K states, n readings of the whole series.

The forecast from a window is an affine map of that window: with fixed parameters neither the gain of the Kalman
filter nor its state transition depends on the data (Durbin and Koopman, Time Series Analysis by State Space Methods,
2nd ed. 2012, section 4.3). So filtering the zero window gives the bias, filtering each unit impulse gives its column of
the weight, and the graph needs no filter. Windows are centred on their last level, so the diffuse initial state works
for any level. Levels, or their logarithms, are divided by the standard deviation of their changes, because how diffuse
the state is depends on the unit, and so does what the optimiser takes for converged.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.level_series import Array, join_levels, measure_spread
from okawari.models.windows import Floats, WindowSet

_log = logging.getLogger(__name__)

_LARGEST_FIT = 1e8
"""Readings of a fit times the cube of the filter's states: one likelihood takes up to 0.02 s, a fit up to 250 of them
(measured on one thread: 3 to 8 s for states of 3 to 55)."""
_LONGEST_FIT, _FEWEST_SEASONS = 20_000, 4


@dataclass(frozen=True, kw_only=True)
class Sarima:
    """Recipe of a SARIMA (p, d, q)(P, D, Q, s) on the log level, or on the level itself where differences are learned;
    `max_iterations` bounds the optimiser.

    The parameters of a long series are those of its newest `most_readings`: 20,000, or fewer where a long season makes
    the filter slow (5,000 for the default order with a season of 24), but at least four seasons.

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
        """Fit on the newest `most_readings` of the one contiguous series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast.
        """
        transform = data.require_forecast("Sarima")
        straight_N = transform.straighten(join_levels(data.train)[-self.most_readings :])
        scale = measure_spread(straight_N)
        parameters, facts = self._estimate(straight_N / scale)
        progress(1, 1, facts)
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        return SarimaModel(
            recipe=self, parameters=parameters, n_history=history, horizon=horizon, history=(facts,), scale=scale
        )

    @property
    def most_readings(self) -> int:
        """The number of newest readings that a fit uses; it bounds the time of a fit."""
        (p, d, q), (seasonal_p, seasonal_d, seasonal_q, season) = self.order, self.seasonal_order
        remembered = max(p + seasonal_p * season, q + seasonal_q * season + 1)
        states = d + seasonal_d * season + remembered
        bounded = min(_LONGEST_FIT, int(_LARGEST_FIT / states**3))
        return max(bounded, _FEWEST_SEASONS * season)

    def _estimate(self, series_N: Array) -> tuple[Array, dict[str, float]]:
        model = self.state_space(series_N)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `converged` below reports the same
            result = model.fit(disp=False, maxiter=self.max_iterations, low_memory=True)
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
        return {"recipe": "Sarima", **asdict(self), "most_readings": self.most_readings}


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
        model.update(self.parameters)
        ahead_HK = _look_ahead(model.ssm["design"], model.ssm["transition"], self.horizon)
        forecasts = np.empty((len(w_BT), self.horizon))
        for row, w_T in enumerate(w_BT / self.scale):
            forecasts[row] = ahead_HK @ model.ssm.clone(w_T).filter().predicted_state[:, -1]
        return forecasts * self.scale

    def core(self) -> AffineCore:
        """The filter as an affine map: the bias from the zero window, each column of the weight from one impulse."""
        impulses = self.scale * np.eye(self.n_history)
        answers = self._forecast(np.vstack([np.zeros(self.n_history), impulses]))
        return AffineCore(weight_HN=(answers[1:] - answers[0]).T / self.scale, bias_H=answers[0])


def _look_ahead(design_1K: Array, transition_KK: Array, horizon: int) -> Array:
    """The map [H, K] from the predicted state of the next step to the forecasts of the next H steps."""
    rows = [design_1K]
    for _ in range(horizon - 1):
        rows.append(rows[-1] @ transition_KK)
    return np.vstack(rows)
