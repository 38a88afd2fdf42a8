"""ARIMA whose order is chosen on the series, fitted by statsforecast (imported inside `fit`).

Where growth is learned, it models logarithms. `okawari.models.sarima` is the one of a given order.

Shapes: n readings of a series, K states.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from okawari.models.cores import Core
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.innovations import Innovations
from okawari.models.level_series import Array, read_straight, require_readings, require_season
from okawari.models.phased_model import FittedSeries, PhasedModel
from okawari.models.season_profile import PreparedSeries, prepare_series
from okawari.models.windows import Floats, WindowSet

_FEWEST_READINGS = 12
_MOST_READINGS = 1000
_LARGEST = {"max_p": 3, "max_q": 3, "max_P": 1, "max_Q": 1}
_TRIED = 40
"""Most orders that one search fits."""


@dataclass(frozen=True, kw_only=True)
class ArimaOrder:
    """An order (p, d, q)(P, D, Q), and whether the model has a constant: a drift, or a mean where nothing is
    differenced.
    """

    plain: tuple[int, int, int]
    seasonal: tuple[int, int, int]
    has_constant: bool


@dataclass(frozen=True, kw_only=True)
class AutoArima:
    """Recipe of a seasonal ARIMA: differences by unit root tests, the rest of the order by a stepwise search for the
    smallest AICc, with at most 3 plain and 1 seasonal lags of each kind.

    Args:
        season: readings of a season; 0 or 1 for none. One of more than 24 readings is taken off by STL first.
        order: an order to fit without a search.

    Order and parameters are those of the newest 1,000 train readings, at least four seasons.
    Source: Hyndman and Khandakar, Automatic Time Series Forecasting: The forecast Package for R, Journal of Statistical
    Software 27 (2008).

    Example:
        >>> AutoArima(season=12).name
        'auto_arima_12'
    """

    season: int = 0
    order: ArimaOrder | None = None

    def __post_init__(self) -> None:
        require_season("AutoArima", self.season)

    @property
    def name(self) -> str:
        """Short name of the candidate; it does not tell the order."""
        return f"auto_arima_{self.season}" if self.season > 1 else "auto_arima"

    def fit(self, data: TrainingData, progress: Progress) -> AutoArimaModel:
        """Choose the order and fit its parameters on the series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast, or the train part has fewer than 12 readings.
        """
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        straight_N = read_straight(data, "AutoArima")
        series = prepare_series(straight_N, self.season, _MOST_READINGS)
        require_readings("AutoArima", len(series.y_N), _FEWEST_READINGS)
        fit = _fit_order(series, self.order)
        fitted, order = _build_series(series, fit)
        facts = {"aicc": float(fit["aicc"]), **{name: float(value) for name, value in fit["coef"].items()}}
        progress(1, 1, facts)
        return AutoArimaModel(recipe=self, order=order, phased=fitted.meet_windows(history, horizon, facts))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "AutoArima", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class AutoArimaModel:
    """An ARIMA of one `order`, from windows."""

    recipe: AutoArima
    order: ArimaOrder
    phased: PhasedModel

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """AICc and the coefficients, in one step."""
        return self.phased.history

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`."""
        return self.phased.predict(windows)

    def core(self) -> Core:
        """An affine map, with a bias for each phase of a season."""
        return self.phased.core()

    def settle(self) -> AutoArima:
        """The recipe of the chosen order, for a fit on more readings."""
        return replace(self.recipe, order=self.order)


def _fit_order(series: PreparedSeries, order: ArimaOrder | None) -> Mapping[str, Any]:
    """The fit of an order, by likelihood or, where that has no optimum on this series, by conditional sums of squares;
    the best order where none is given, or where neither fits.
    """
    from statsforecast.models import ARIMA, AutoARIMA

    searches = AutoARIMA(season_length=series.season, nmodels=_TRIED, approximation=_is_long(series), **_LARGEST)
    if order is None:
        return _fit(searches, series)
    settings = {
        "order": order.plain,
        "season_length": series.season,
        "seasonal_order": order.seasonal if series.season > 1 else (0, 0, 0),
        "include_mean": order.has_constant,
        "include_drift": order.has_constant,
    }
    for method in ("CSS-ML", "CSS"):
        try:
            return _fit(ARIMA(method=method, **settings), series)
        except (ValueError, ArithmeticError):  # all residuals are NaN: the optimiser has left the finite numbers
            continue
    return _fit(searches, series)


def _fit(library: Any, series: PreparedSeries) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of searches that end before they converge; AICc compares what they found
        fit: Mapping[str, Any] = library.fit(series.y_N).model_
    if not np.isfinite([*fit["coef"].values()]).all():
        raise ArithmeticError("a coefficient is not finite")
    return fit


def _is_long(series: PreparedSeries) -> bool:
    """Whether orders are compared by conditional sums of squares, the rule of Hyndman and Khandakar's own function."""
    return len(series.y_N) > 150 or series.season > 12


def _build_series(series: PreparedSeries, fit: Mapping[str, Any]) -> tuple[FittedSeries, ArimaOrder]:
    """The fitted model without its drift, which is taken off the series, and the order of the fit."""
    p, q, seasonal_p, seasonal_q, season, d, seasonal_d = (int(each) for each in fit["arma"])
    coefficients = {name: float(value) for name, value in fit["coef"].items()}
    drift = coefficients.get("drift", 0.0)
    model = build_arima(
        ar_L=_multiply(
            _read_lags(coefficients, "ar", p, 1, -1.0),
            _read_lags(coefficients, "sar", seasonal_p, season, -1.0),
            *[np.array([1.0, -1.0])] * d,
            *[_lag(season)] * seasonal_d,
        ),
        ma_L=_multiply(
            _read_lags(coefficients, "ma", q, 1, 1.0), _read_lags(coefficients, "sma", seasonal_q, season, 1.0)
        ),
    )
    fitted = FittedSeries(
        model=model if d + seasonal_d else add_constant(model),
        y_N=series.y_N - drift * np.arange(len(series.y_N)),
        season=series.period,
        scale=series.scale,
        profile_S=series.profile_S,
        drift=drift,
    )
    order = ArimaOrder(
        plain=(p, d, q),
        seasonal=(seasonal_p, seasonal_d, seasonal_q),
        has_constant=bool({"drift", "intercept"} & set(coefficients)),
    )
    return fitted, order


def _read_lags(coefficients: Mapping[str, float], name: str, n: int, step: int, sign: float) -> Array:
    """The polynomial `1 + sign * (c_1 B^step + ... + c_n B^(n step))`, lowest power first."""
    polynomial_L = np.zeros(n * step + 1)
    polynomial_L[0] = 1.0
    for place in range(1, n + 1):
        polynomial_L[place * step] = sign * coefficients[f"{name}{place}"]
    return polynomial_L


def _lag(season: int) -> Array:
    """`1 - B^season`, lowest power first."""
    return np.concatenate([[1.0], np.zeros(season - 1), [-1.0]])


def _multiply(*polynomials: Array) -> Array:
    product = np.array([1.0])
    for each in polynomials:
        product = np.convolve(product, each)
    return product


def build_arima(*, ar_L: Array, ma_L: Array) -> Innovations:
    """The state space of `ar(B) y_t = ma(B) e_t`, both lowest power first: state k is what is known of `y_{t+k}`."""
    n_states = max(len(ar_L), len(ma_L), 2) - 1
    lags_K, shocks_K = np.zeros(n_states), np.zeros(n_states)
    lags_K[: len(ar_L) - 1] = -ar_L[1:]
    shocks_K[: len(ma_L) - 1] = ma_L[1:]
    transition_KK = np.eye(n_states, k=1)
    transition_KK[:, 0] += lags_K
    return Innovations(design_K=np.eye(n_states)[0], transition_KK=transition_KK, gain_K=lags_K + shocks_K)


def add_constant(model: Innovations) -> Innovations:
    """The same model around a mean, which is one more state."""
    n_states = len(model.gain_K)
    transition_KK = np.eye(n_states + 1)
    transition_KK[:n_states, :n_states] = model.transition_KK
    return Innovations(
        design_K=np.append(model.design_K, 1.0), transition_KK=transition_KK, gain_K=np.append(model.gain_K, 0.0)
    )
