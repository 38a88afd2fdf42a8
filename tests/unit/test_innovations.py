"""Forecasts from a window, against statsmodels' Kalman filter with the same prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

from okawari.models.ets import build_smoothing
from okawari.models.innovations import Innovations, map_window
from okawari.models.phased_model import FittedSeries
from tests.drawn_series import Array, draw_seasonal

FORMS = {
    "level": build_smoothing(alpha=0.3, beta=None, gamma=None, phi=1.0, season=1),
    "damped": build_smoothing(alpha=0.6, beta=0.1, gamma=None, phi=0.9, season=1),
    "season": build_smoothing(alpha=0.4, beta=None, gamma=0.2, phi=1.0, season=4),
    "trend and season": build_smoothing(alpha=0.4, beta=0.05, gamma=0.001, phi=1.0, season=4),
}
SERIES = draw_seasonal(80, season=4, level=0.0, trend=0.2, swing=3.0, noise=1.0, seed=5)
FLAT = 1e7
"""Variance of a level of which nothing is known."""


def _filter(model: Innovations, sigma: float, mean_K: Array, cov_KK: Array, y_T: Array) -> Any:
    """The window filtered by statsmodels: the error of a reading is a state, because it also moves the other states."""
    n_states = len(model.gain_K)
    library = KalmanFilter(k_endog=1, k_states=n_states + 1, k_posdef=1)
    library["design"] = np.append(model.design_K, 1.0)[None]
    library["transition"] = np.zeros((n_states + 1, n_states + 1))
    library["transition", :n_states, :n_states] = model.transition_KK
    library["transition", :n_states, n_states] = model.gain_K
    library["selection"] = np.eye(n_states + 1)[:, [n_states]]
    library["state_cov"] = np.array([[sigma**2]])
    first_KK = np.zeros((n_states + 1, n_states + 1))
    first_KK[:n_states, :n_states] = cov_KK + FLAT * np.outer(model.find_shift(), model.find_shift())
    first_KK[n_states, n_states] = sigma**2
    library.initialize_known(np.append(mean_K, 0.0), first_KK)
    library.bind(y_T[:, None])
    return library.filter()


@pytest.mark.parametrize("form", FORMS)
def test_a_window_is_forecast_like_statsmodels_kalman_filter(form: str) -> None:
    model = FORMS[form]
    before = model.skip(model.settle_on(SERIES), 4)
    mapped = map_window(model, before, length=9, horizon=3)
    path_N, y_T = model.forecast(before.state_K, 12), SERIES[30:39]
    ahead_H = path_N[9:] + mapped.weight_HT @ (y_T - path_N[:9])
    filtered = _filter(model, before.sigma, before.state_K, before.cov_KK, y_T)
    np.testing.assert_allclose(ahead_H, filtered.predict(9, 12).forecasts[0], rtol=1e-5, atol=1e-5)


def test_the_likelihood_of_a_path_is_statsmodels_too() -> None:
    model = FORMS["season"]
    before = model.skip(model.settle_on(SERIES), 4)
    mapped, y_T = map_window(model, before, length=9, horizon=1), SERIES[30:39]
    mine, library = [], []
    for place in range(4):
        later_K = np.linalg.matrix_power(model.transition_KK, place) @ before.state_K
        off_T = y_T - model.forecast(later_K, 9)
        mine.append(-off_T @ mapped.precision_TT @ off_T / 2)
        library.append(_filter(model, before.sigma, later_K, before.cov_KK, y_T).llf)
    np.testing.assert_allclose(np.diff(mine), np.diff(library), rtol=1e-5)


def test_a_level_of_which_nothing_is_known_moves_the_forecast_with_it() -> None:
    for model in FORMS.values():
        mapped = map_window(model, model.skip(model.settle_on(SERIES), 4), length=6, horizon=2)
        np.testing.assert_allclose(mapped.weight_HT.sum(axis=1), 1.0, rtol=1e-9)
        np.testing.assert_allclose(mapped.precision_TT.sum(axis=1), 0.0, atol=1e-9)


def test_the_first_state_has_the_least_squares_of_the_errors() -> None:
    model = FORMS["trend and season"]
    errors_TT, from_state_TK = model.trace(len(SERIES))
    seed_K = np.linalg.lstsq(from_state_TK, errors_TT @ SERIES, rcond=None)[0]
    _, ends = model.follow(SERIES[:, None], seed_K[:, None])
    end = model.settle_on(SERIES)
    np.testing.assert_allclose(model.forecast(end.state_K, 8), model.forecast(ends[:, 0], 8), atol=1e-9)


def test_a_profile_is_known_at_every_place_of_the_season() -> None:
    """A series that repeats exactly is continued from any place, whatever its level."""
    profile_S = np.array([0.0, 3.0, -2.0, 5.0, 1.0])
    noise_N = np.random.default_rng(2).normal(0, 0.05, 60)
    level = build_smoothing(alpha=0.1, beta=None, gamma=None, phi=1.0, season=1)
    fitted = FittedSeries(model=level, y_N=noise_N, season=5, scale=1.0, profile_S=profile_S)
    model = fitted.meet_windows(length=6, horizon=4, facts={})
    assert model.path_PN.shape == (5, 10)
    for place in range(5):
        y_N = np.resize(np.roll(profile_S, -place), 10)
        off_PT = (y_N - y_N[5])[:6] - model.path_PN[:, :6]
        exponent_P = -np.einsum("pt,ts,ps->p", off_PT, model.precision_TT, off_PT)
        assert exponent_P.argmax() == place
        np.testing.assert_allclose(model.path_PN[place], y_N - y_N[5], atol=0.2)
