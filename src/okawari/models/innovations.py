"""Linear innovations state space models, and what they forecast from a short window.

    y_t = Z a_t + e_t        a_{t+1} = F a_t + g e_t        e_t independent, with variance sigma^2

Exponential smoothing, Theta and ARIMA all have this form (Hyndman, Koehler, Ord and Snyder, Forecasting with
Exponential Smoothing, 2008, chapters 3 and 11). Given the state before the first reading, `e` is a linear function of
the readings. So the state is estimated by least squares (chapter 12), from a series or from a window and a prior.

Shapes: T readings of a window, n of a series, H steps ahead, K states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from okawari.models.level_series import Array

_SMALLEST_SIGMA = 1e-4
"""Smallest standard deviation of errors, in units of the changes of the series: a model that fits a short series
exactly would trust its season more than any reading."""


@dataclass(frozen=True, kw_only=True)
class Innovations:
    """One model: `design_K` is Z, `transition_KK` is F, `gain_K` is g."""

    design_K: Array
    transition_KK: Array
    gain_K: Array

    def forecast(self, state_K: Array, horizon: int) -> Array:
        """The forecasts [H] from the state before the first of them."""
        forecasts = np.empty(horizon)
        for step in range(horizon):
            forecasts[step] = self.design_K @ state_K
            state_K = self.transition_KK @ state_K
        return forecasts

    def trace(self, length: int) -> tuple[Array, Array]:
        """The errors of `length` readings as `L y - D a`, for the state `a` before the first: L [T, T] and D [T, K]."""
        errors, _ = self.follow(np.eye(length), np.zeros((len(self.gain_K), length)))
        from_state, _ = self.follow(np.zeros((length, len(self.gain_K))), np.eye(len(self.gain_K)))
        return errors, -from_state

    def follow(self, y_TC: Array, state_KC: Array) -> tuple[Array, Array]:
        """The errors [T, C] of C series, each from its own state [K, C], and the states after them."""
        errors_TC = np.empty_like(y_TC)
        for place, y_C in enumerate(y_TC):
            errors_TC[place] = y_C - self.design_K @ state_KC
            state_KC = self.transition_KK @ state_KC + np.outer(self.gain_K, errors_TC[place])
        return errors_TC, state_KC

    def settle_on(self, y_N: Array) -> SeriesEnd:
        """The state after a whole series, its covariance, and the deviation of the errors.

        The first state is the one with the least squares of the errors.
        """
        n_states = len(self.gain_K)
        columns = np.hstack([y_N[:, None], np.zeros((len(y_N), n_states))])
        errors, ends = self.follow(columns, np.hstack([np.zeros((n_states, 1)), np.eye(n_states)]))
        seed_K, _, rank, _ = np.linalg.lstsq(-errors[:, 1:], errors[:, 0], rcond=1e-9)
        remaining = errors[:, 0] + errors[:, 1:] @ seed_K
        freedom = max(len(y_N) - int(rank), 1)
        sigma = max(float(np.sqrt(remaining @ remaining / freedom)), _SMALLEST_SIGMA)
        carried = ends[:, 1:]
        uncertain = carried @ np.linalg.pinv(errors[:, 1:].T @ errors[:, 1:], rcond=1e-9, hermitian=True) @ carried.T
        return SeriesEnd(state_K=ends[:, 0] + carried @ seed_K, cov_KK=sigma**2 * uncertain, sigma=sigma)

    def skip(self, end: SeriesEnd, steps: int) -> SeriesEnd:
        """The state `steps` later, with no reading in between: its mean, and a covariance that has grown."""
        state_K, cov_KK = end.state_K, end.cov_KK
        shaken_KK = end.sigma**2 * np.outer(self.gain_K, self.gain_K)
        for _ in range(steps):
            state_K = self.transition_KK @ state_K
            cov_KK = self.transition_KK @ cov_KK @ self.transition_KK.T + shaken_KK
        return SeriesEnd(state_K=state_K, cov_KK=cov_KK, sigma=end.sigma)

    def find_shift(self) -> Array:
        """The state of a series that is 1 for ever."""
        n_states = len(self.gain_K)
        rows = np.vstack([self.transition_KK - np.eye(n_states), self.design_K])
        shift_K: Array = np.linalg.lstsq(rows, np.append(np.zeros(n_states), 1.0), rcond=None)[0]
        return shift_K


@dataclass(frozen=True, kw_only=True)
class SeriesEnd:
    """What is known of the state after the last reading of a series: mean, covariance, deviation of the errors."""

    state_K: Array
    cov_KK: Array
    sigma: float


@dataclass(frozen=True, kw_only=True)
class WindowMap:
    """For a window whose expected readings are 0, the forecasts `weight_HT @ y` and the logarithm of its likelihood
    `-y' precision_TT y / 2`, up to a constant.
    """

    weight_HT: Array
    precision_TT: Array


def map_window(model: Innovations, before: SeriesEnd, length: int, horizon: int) -> WindowMap:
    """The map of windows of `length` readings; their first state has mean 0, the covariance of `before`, and any level.

    With L and D of `Innovations.trace` and the state `a = C q`, where the first column of C is the shift of the level
    with a flat prior and the other q are standard normal, the errors `L y - D C q` are a regression on q.
    """
    scaled_LT, from_state_TK = (part / before.sigma for part in model.trace(length))
    root_KC = np.hstack([model.find_shift()[:, None], _take_root(before.cov_KK)])
    regressors_TC = from_state_TK @ root_KC
    penalty_C = np.append(0.0, np.ones(root_KC.shape[1] - 1))
    estimate_CT = np.linalg.solve(regressors_TC.T @ regressors_TC + np.diag(penalty_C), regressors_TC.T @ scaled_LT)
    _, from_readings_KT = model.follow(np.eye(length), root_KC @ estimate_CT)
    weight_HT = np.apply_along_axis(model.forecast, 0, from_readings_KT, horizon)
    precision_TT = scaled_LT.T @ (scaled_LT - regressors_TC @ estimate_CT)
    return WindowMap(weight_HT=weight_HT, precision_TT=(precision_TT + precision_TT.T) / 2)


def _take_root(cov_KK: Array) -> Array:
    """A matrix C with `C C' = cov_KK`, which need not have full rank."""
    values, vectors = np.linalg.eigh((cov_KK + cov_KK.T) / 2)
    root_KK: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root_KK
