"""Forecasts of the models that a user might pick for a series, at every origin of its later part.

Each is fitted once, on all known rows; its state then moves on with the rows of the later part and its parameters
stay, as a served graph does. Statistical methods are those of statsforecast with their defaults, the others of
LightGBM and scikit-learn on lags and the calendar, one model for each step ahead.

Shapes: n rows, B origins, H steps ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.public_tables import PublicTable

Array = NDArray[np.float64]

_STEPS = {12: 12, 4: 8, 7: 28, 52: 13, 0: 5}
"""Steps ahead of the peers' forecasts by the season; a case's horizon is at most this."""


@dataclass(frozen=True)
class Peer:
    """Forecasts [B, H] at each origin of the later part, and the seconds of the fit."""

    mean_BH: Array
    fit_s: float


@dataclass(frozen=True)
class SeriesTask:
    """A series in the order of time: `value_N` without gaps, of which the first `n_known` are known."""

    value_N: Array
    inputs: pd.DataFrame
    n_known: int
    season: int
    horizon: int

    @property
    def known_N(self) -> Array:  # noqa: N802  (a tensor carries its shape in its name)
        return self.value_N[: self.n_known]

    @property
    def ends_B(self) -> range:  # noqa: N802
        """Rows known at each origin; the last origin has one row after it."""
        return range(self.n_known, len(self.value_N))


def prepare_series(table: PublicTable) -> SeriesTask:
    """The task of a series. Missing values of the known part are interpolated, later ones repeat the last value."""
    ordered = table.frame.sort_values("date").reset_index(drop=True)
    n_known = len(ordered) - len(table.later_B)
    values = pd.to_numeric(ordered[table.target]).astype(float)
    known = values.iloc[:n_known].interpolate(limit_direction="both")
    filled = pd.concat([known, values.iloc[n_known:]]).ffill()
    inputs = ordered.drop(columns=table.target)
    return SeriesTask(np.asarray(filled, dtype=np.float64), inputs, n_known, table.season, _STEPS[table.season])


def _forecast_with(build: Callable[[SeriesTask], Any], keep: int | None = None) -> Callable[[SeriesTask], Peer]:
    """A method of statsforecast. `keep` seasons of newest rows are filtered at each origin; all of them if None."""

    def forecast(task: SeriesTask) -> Peer:
        model = build(task)
        started = time.perf_counter()
        model.fit(task.known_N)
        fit_s = time.perf_counter() - started
        newest = None if keep is None else max(300, keep * task.season)
        pasts = (task.value_N[:end][-newest:] if newest else task.value_N[:end] for end in task.ends_B)
        return Peer(np.array([model.forward(past, h=task.horizon)["mean"] for past in pasts]), fit_s)

    return forecast


def _build(name: str, **settings: Any) -> Callable[[SeriesTask], Any]:
    def build(task: SeriesTask) -> Any:
        import statsforecast.models

        return getattr(statsforecast.models, name)(season_length=max(1, task.season), **settings)

    return build


def _build_arima(task: SeriesTask) -> Any:
    """R's default: approximate likelihoods in the search for long series and long seasons."""
    return _build("AutoARIMA", approximation=task.n_known > 150 or task.season > 12)(task)


def _build_mstl(task: SeriesTask) -> Any:
    """Exponential smoothing of what a seasonal decomposition leaves; without a season, of the values."""
    from statsforecast.models import MSTL, AutoETS

    smoothing = AutoETS(model="ZZN")
    return MSTL(season_length=task.season, trend_forecaster=smoothing) if task.season else smoothing


def _repeat_season(task: SeriesTask) -> Peer:
    season = max(1, task.season)
    steps_H = np.arange(task.horizon) % season
    return Peer(np.array([task.value_N[end - season + steps_H] for end in task.ends_B]), 0.0)


class _Regressor(Protocol):
    def fit(self, x: Array, y: Array) -> Any: ...

    def predict(self, x: Array) -> Array: ...


def _regress_with(build: Callable[[], _Regressor]) -> Callable[[SeriesTask], Peer]:
    """A regressor on lags and the calendar, one for each step; it learns the change from the last value."""

    def forecast(task: SeriesTask) -> Peer:
        x_NF, mean_HB, fit_s = build_lags(task), [], 0.0
        for step in range(1, task.horizon + 1):
            taught_N = np.arange(_count_lags(task), task.n_known - step)
            y_N = task.value_N[taught_N + step] - task.value_N[taught_N]
            started = time.perf_counter()
            model = build()
            model.fit(x_NF[taught_N], y_N)
            fit_s += time.perf_counter() - started
            last_B = np.array(task.ends_B) - 1
            mean_HB.append(task.value_N[last_B] + model.predict(x_NF[last_B]))
        return Peer(np.array(mean_HB).T, fit_s)

    return forecast


def _count_lags(task: SeriesTask) -> int:
    return max(12, min(task.season + 1, task.n_known // 4))


def build_lags(task: SeriesTask) -> Array:
    """Features of each row [n, F]: its value, differences to earlier values, its calendar, and the other columns."""
    lags = [pd.Series(task.value_N - np.roll(task.value_N, lag)) for lag in range(1, _count_lags(task) + 1)]
    times = pd.to_datetime(task.inputs["date"])
    calendar: list[pd.Series] = [times.dt.month, times.dt.dayofweek, times.dt.dayofyear]
    others: list[pd.Series] = [
        values if pd.api.types.is_numeric_dtype(values) else pd.Series(pd.factorize(values, sort=True)[0])
        for name, values in task.inputs.items()
        if name != "date"
    ]
    columns: list[pd.Series] = [pd.Series(task.value_N), *lags, *calendar, *others]
    return np.column_stack([column.to_numpy(dtype=float) for column in columns])


def _build_lightgbm() -> _Regressor:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_jobs=1, verbosity=-1)  # type: ignore[no-any-return]


def _build_histgb() -> _Regressor:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=7)  # type: ignore[no-any-return]


def _build_forest() -> _Regressor:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(random_state=7, n_jobs=1)  # type: ignore[no-any-return]


def _build_ridge() -> _Regressor:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 29)))  # type: ignore[no-any-return]


SERIES_PEERS: Mapping[str, Callable[[SeriesTask], Peer]] = {
    "AutoETS": _forecast_with(_build("AutoETS")),
    "AutoARIMA": _forecast_with(_build_arima, keep=10),
    "AutoTheta": _forecast_with(_build("AutoTheta")),
    "MSTL": _forecast_with(_build_mstl),
    "seasonal naive": _repeat_season,
    "LightGBM": _regress_with(_build_lightgbm),
    "HistGB": _regress_with(_build_histgb),
    "forest": _regress_with(_build_forest),
    "ridge CV": _regress_with(_build_ridge),
}
"""Peers of series by name."""
