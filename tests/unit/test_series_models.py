"""ETS, Theta and AutoArima: like their library, from a window as from the whole series, and on short tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from statsforecast.models import ARIMA, AutoETS
from statsforecast.theta import auto_theta, forecast_theta

from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.graph.quantizer import build_variants
from okawari.models.auto_arima import ArimaOrder, AutoArima, build_arima
from okawari.models.ets import Ets, build_smoothing
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.theta import Theta
from okawari.models.windows import WindowSet
from tests.drawn_series import Array, draw_seasonal, frame_series

SEASONAL: tuple[Any, ...] = (Ets(season=12), Theta(season=12), AutoArima(season=12))
PLAIN: tuple[Any, ...] = (Ets(), Theta(), AutoArima())
CHOOSING: tuple[Any, ...] = (Ets(season=12), Ets(), AutoArima(season=12), AutoArima())


def _cut(series: Array, *, history: int, horizon: int, learns: str = "growth") -> WindowSet:
    case = frame_series(series, history=history, horizon=horizon, learns=learns)
    return cut_windows(case.source.read(), case)


def _fit(recipe: Any, windows: WindowSet) -> Any:
    return recipe.fit(TrainingData(windows, windows[:0], seed=7), no_progress)


def _draw_months(n: int = 144, seed: int = 4) -> Array:
    """Months that grow, with a season that multiplies."""
    random = np.random.default_rng(seed)
    season_S = random.normal(0, 0.2, 12)
    return np.exp(5 + 0.004 * np.arange(n) + np.resize(season_S, n) + random.normal(0, 0.05, n))


@pytest.mark.parametrize(
    ("model", "damped"), [("AAA", False), ("ANA", False), ("AAA", True), ("AAN", True), ("AAN", False), ("ANN", False)]
)
def test_smoothing_is_statsforecasts_state_by_state(model: str, damped: bool) -> None:
    y_N = np.log(_draw_months())
    fit = AutoETS(season_length=12, model=model, damped=damped).fit(y_N).model_
    alpha, beta, gamma, phi = np.nan_to_num(fit["par"][:4])
    smoothing = build_smoothing(
        alpha=alpha,
        beta=beta if model[1] == "A" else None,
        gamma=gamma if model[2] == "A" else None,
        phi=phi if damped else 1.0,
        season=12,
    )
    errors, ends = smoothing.follow(y_N[:, None], fit["states"][0][:, None])
    np.testing.assert_allclose(errors[:, 0], fit["residuals"], atol=1e-10)
    np.testing.assert_allclose(ends[:, 0], fit["states"][-1], atol=1e-10)


def test_an_arima_is_its_difference_equation() -> None:
    """(1 - 0.5 B)(1 - B^4) y_t = (1 + 0.3 B) e_t, term by term."""
    ar_L, ma_L = np.convolve([1, -0.5], [1, 0, 0, 0, -1]), np.array([1, 0.3])
    errors_N = np.random.default_rng(0).normal(size=40)
    y_N = np.zeros(40)
    for t in range(40):
        past = sum(-ar_L[lag] * y_N[t - lag] for lag in range(1, 6) if t >= lag)
        y_N[t] = past + errors_N[t] + (0.3 * errors_N[t - 1] if t else 0.0)
    followed, _ = build_arima(ar_L=ar_L, ma_L=ma_L).follow(y_N[:, None], np.zeros((5, 1)))
    np.testing.assert_allclose(followed[:, 0], errors_N, atol=1e-10)


@pytest.mark.parametrize(
    "order",
    [
        ArimaOrder(plain=(1, 1, 1), seasonal=(0, 1, 1), has_constant=False),
        ArimaOrder(plain=(0, 1, 2), seasonal=(0, 0, 0), has_constant=True),
    ],
)
def test_an_arima_over_the_whole_series_forecasts_as_statsforecast_does(order: ArimaOrder) -> None:
    series = _draw_months()
    windows = _cut(series, history=120, horizon=6)
    ahead_H = _fit(AutoArima(season=12, order=order), windows).predict(windows)[-1]
    log_N = np.log(series[:-6])
    library = ARIMA(
        order=order.plain, season_length=12, seasonal_order=order.seasonal, include_drift=order.has_constant
    )
    expected_H = library.fit(np.log(series)).forward(log_N, h=6)["mean"]
    np.testing.assert_allclose(log_N[-1] + ahead_H, expected_H, atol=0.1 * 0.05)  # a tenth of the noise


def test_theta_over_the_whole_series_forecasts_as_statsforecast_does() -> None:
    series = _draw_months()
    windows = _cut(series, history=100, horizon=6)
    at_the_end = replace(windows[-1:], x_BTF=series[None, -100:, None], level_B=series[-1:])
    ahead_H = _fit(Theta(season=12), windows).predict(at_the_end)[0]
    log_N = np.log(series)
    mean, unit = log_N.mean(), np.diff(log_N).std()
    fit = auto_theta((log_N - mean) / unit, 12, model="OTM", decomposition_type="additive")
    expected_H = mean + unit * forecast_theta(fit, 6)["mean"]
    np.testing.assert_allclose(log_N[-1] + ahead_H, expected_H, atol=0.1 * 0.05)  # a tenth of the noise


@pytest.mark.parametrize("recipe", SEASONAL, ids=lambda each: each.name)
def test_a_window_of_a_season_and_a_month_is_forecast_as_well_as_noise_allows(recipe: Any) -> None:
    """The last 48 windows were not seen. Without the fitted season, a window would have 1.4 times the noise."""
    windows = _cut(_draw_months(), history=13, horizon=6)
    model = _fit(recipe, windows[: -48 - 6])
    error_BH = model.predict(windows[-48:]) - windows.r_BH[-48:]
    assert np.sqrt(np.mean(error_BH**2)) < 1.35 * 0.05


@pytest.mark.parametrize("recipe", [*SEASONAL, *PLAIN], ids=lambda each: each.name)
@pytest.mark.parametrize("learns", ["growth", "difference"])
def test_the_unit_of_the_series_changes_nothing(recipe: Any, learns: str) -> None:
    answers = []
    for unit in (1.0, 1e-5):
        windows = _cut(_draw_months() / unit, history=13, horizon=3, learns=learns)
        model = _fit(recipe, windows[:100])
        answers.append(model.predict(windows[100:]) * (unit if learns == "difference" else 1.0))
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-3 * np.abs(answers[0]).max())


@pytest.mark.parametrize("recipe", CHOOSING, ids=lambda each: each.name)
def test_a_settled_recipe_fits_the_same_model_under_the_same_name(recipe: Any) -> None:
    windows = _cut(_draw_months(), history=13, horizon=3)
    model = _fit(recipe, windows)
    settled = model.settle()
    assert settled != recipe and settled.name == recipe.name
    again = _fit(settled, windows)
    assert again.settle() == settled
    np.testing.assert_allclose(again.predict(windows), model.predict(windows), atol=1e-6)


@pytest.mark.parametrize("recipe", [*SEASONAL, *PLAIN], ids=lambda each: each.name)
@pytest.mark.parametrize("n", [20, 27, 40])
def test_a_short_series_gets_a_simpler_model(recipe: Any, n: int) -> None:
    windows = _cut(_draw_months(n), history=6, horizon=2)
    answer_BH = _fit(recipe, windows).predict(windows)
    assert np.isfinite(answer_BH).all() and np.abs(answer_BH).max() < 3


@pytest.mark.parametrize("recipe", [*SEASONAL, *PLAIN], ids=lambda each: each.name)
def test_a_series_that_never_changes_stays(recipe: Any) -> None:
    windows = _cut(np.full(60, 5.0), history=13, horizon=2)
    np.testing.assert_allclose(_fit(recipe, windows).predict(windows), 0.0, atol=1e-6)


def test_too_few_readings_are_refused_by_their_number() -> None:
    windows = _cut(_draw_months(9), history=3, horizon=1)
    for recipe in PLAIN:
        with pytest.raises(InvalidInput, match="was given 9 train readings and needs"):
            _fit(recipe, windows)


@pytest.mark.parametrize("recipe", [*SEASONAL, *PLAIN], ids=lambda each: each.name)
def test_a_long_season_is_taken_off_and_put_back(recipe: Any) -> None:
    weekly = draw_seasonal(260, season=52, level=100.0, trend=0.0, swing=20.0, noise=1.0, seed=8)
    windows = _cut(
        weekly, history=27, horizon=26, learns="difference"
    )  # half a season: the phase is known all the same
    model = _fit(replace(recipe, season=52), windows[:-60])
    error_BH = model.predict(windows[-34:]) - windows.r_BH[-34:]
    assert np.sqrt(np.mean(error_BH**2)) < 2.0  # a random walk: 20


def test_a_graph_in_8_bits_keeps_the_phases_as_they_are() -> None:
    weekly = draw_seasonal(300, season=52, level=100.0, trend=0.0, swing=20.0, noise=1.0, seed=8)
    case = frame_series(weekly, history=60, horizon=26)
    windows = cut_windows(case.source.read(), case)
    contents = build_variants(build_graph(_fit(Ets(season=52), windows).core(), case, None)).contents
    assert set(contents) == {"fp32", "uint8", "int8"}
    exact_BH = Graph.load(contents["fp32"]).answer(windows.x_BTF).mean_BH
    for variant in ("uint8", "int8"):
        np.testing.assert_allclose(Graph.load(contents[variant]).answer(windows.x_BTF).mean_BH, exact_BH, rtol=0.01)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Theta(season=-1), "Theta.season is -1"),
        (lambda: AutoArima(season=-1), "AutoArima.season is -1"),
        (lambda: Ets(season=-1), "Ets.season is -1"),
        (lambda: Ets(form="MAM"), "Ets.form is 'MAM'; it is one of ANN"),
    ],
)
def test_impossible_settings_are_refused(build: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        build()
