"""Simulated series, each with a contest of cheap candidates and a later part: the gate's rule is settled on them.

Nothing here comes from a table, so public tables can confirm the rule. Every candidate forecasts at rolling origins:
its parameters are fitted before each of five blocks of judged origins, and on everything known for the later part.

Shapes: T readings, B origins, H steps ahead, P parameter sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Forecast = Callable[[Places, int], Array]
"""Origins [B] and the last reading that may be learned from -> forecasts [B, H]."""

N_BLOCKS = 5
_WARM_UP = 60
_PARAMETERS = tuple(product((0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0), (0.0, 0.05, 0.2), (0.0, 0.1, 0.3), (0.9, 1.0)))
"""Level, trend and season weights and damping of exponential smoothing."""


@dataclass(frozen=True, kw_only=True)
class SimulatedContest:
    """Squared errors [B, H] of each candidate at the judged origins, and its later RMSE over the random walk's."""

    kind: str
    losses: Mapping[str, Array]
    later: Mapping[str, float]


def simulate_contests(kinds: Mapping[str, Callable[..., Array]], n_each: int, seed: int) -> Iterator[SimulatedContest]:
    """`n_each` contests of each kind of series."""
    for kind, draw in kinds.items():
        for number in range(n_each):
            yield _hold_contest(kind, draw, np.random.default_rng([seed, number, *kind.encode()]))


def _hold_contest(kind: str, draw: Callable[..., Array], random: np.random.Generator) -> SimulatedContest:
    season = int(random.choice([4, 7, 12]))
    n = int(random.choice([90, 140, 200, 300, 600], p=[0.2, 0.3, 0.2, 0.2, 0.1]))
    horizon = int(random.choice([2, 5, season]))
    n_later = max(120, n // 6)
    level_T = draw(random, n + n_later, season)
    usable = n - season - 2 - horizon
    n_judged = max(15, min(120, int(0.16 * usable))) + max(15, min(250, int(0.2 * usable)))
    judged = np.array_split(np.arange(n - horizon - n_judged, n - horizon), N_BLOCKS)
    later = np.arange(n - 1, n + n_later - horizon)
    losses, later_losses = {}, {}
    for name, forecast in _prepare(level_T, season, horizon).items():
        losses[name] = np.concatenate([_square(level_T, block, forecast(block, int(block[0]))) for block in judged])
        later_losses[name] = _square(level_T, later, forecast(later, n - 1)).mean(axis=0)
    floor_H = later_losses["random_walk"]
    relative = {name: float(np.sqrt((loss_H / floor_H).mean())) for name, loss_H in later_losses.items()}
    return SimulatedContest(kind=kind, losses=losses, later=relative)


def _square(level_T: Array, origins: Places, forecast_BH: Array) -> Array:
    true_BH = level_T[origins[:, np.newaxis] + 1 + np.arange(forecast_BH.shape[1])]
    squared: Array = (forecast_BH - true_BH) ** 2
    return squared


# --- candidates ---------------------------------------------------------------------------------------------------


def _prepare(level_T: Array, season: int, horizon: int) -> dict[str, Forecast]:
    """The candidates of a series, the random walk first."""
    step_H, sums_T = np.arange(1, horizon + 1), np.cumsum(level_T)

    def walk(origins: Places, _: int) -> Array:
        return np.repeat(level_T[origins][:, np.newaxis], horizon, axis=1)

    def repeat_season(origins: Places, _: int) -> Array:
        back_H = season * (np.arange(horizon) // season + 1)
        seasons: Array = level_T[origins[:, np.newaxis] + step_H - back_H]
        return seasons

    def drift(origins: Places, _: int) -> Array:
        slope_B = (level_T[origins] - level_T[0]) / origins
        drifted: Array = level_T[origins][:, np.newaxis] + slope_B[:, np.newaxis] * step_H
        return drifted

    def mean(origins: Places, _: int) -> Array:
        return np.repeat((sums_T[origins] / (origins + 1))[:, np.newaxis], horizon, axis=1)

    return {
        "random_walk": walk,
        "seasonal_naive": repeat_season,
        "drift": drift,
        "mean": mean,
        "trend": _smooth(level_T, 1, horizon),
        "holt_winters": _smooth(level_T, season, horizon),
        "ridge_3": _regress(level_T, 3, 0.01, horizon),
        "ridge_season": _regress(level_T, season + 1, 0.01, horizon),
        "ridge_strong": _regress(level_T, season + 1, 0.3, horizon),
    }


def _smooth(level_T: Array, season: int, horizon: int) -> Forecast:
    """Additive damped exponential smoothing (season 1: without a season), with the parameters of the least error."""
    weights = np.array([each for each in _PARAMETERS if season > 1 or each[2] == 0])
    a_P, b_P, g_P, damping_P = weights.T
    start = level_T[: 2 * season].reshape(2, season)
    level_P, trend_P = np.full(len(weights), start[0].mean()), np.where(b_P > 0, np.ptp(start.mean(axis=1)) / season, 0)
    trend_P = trend_P * np.sign(start[1].mean() - start[0].mean())
    season_PS = np.tile((start - start.mean(axis=1, keepdims=True)).mean(axis=0), (len(weights), 1))
    reach_PH = np.cumsum(damping_P[:, np.newaxis] ** np.arange(1, horizon + 1), axis=1)
    forecast_TPH, error_TP = np.empty((len(level_T), len(weights), horizon)), np.zeros((len(level_T), len(weights)))
    for t, value in enumerate(level_T):
        place = t % season
        error_P = value - (level_P + damping_P * trend_P + season_PS[:, place])
        error_TP[t] = error_P if t >= 2 * season else 0
        level_P = level_P + damping_P * trend_P + a_P * error_P
        trend_P = damping_P * trend_P + a_P * b_P * error_P
        season_PS[:, place] += (1 - a_P) * g_P * error_P
        coming_H = (t + 1 + np.arange(horizon)) % season
        forecast_TPH[t] = level_P[:, np.newaxis] + reach_PH * trend_P[:, np.newaxis] + season_PS[:, coming_H]
    sums_TP = np.cumsum(error_TP**2, axis=0)
    return lambda origins, last: forecast_TPH[origins, np.argmin(sums_TP[last])]


def _regress(level_T: Array, n_lags: int, penalty: float, horizon: int) -> Forecast:
    """Ridge over the last changes, one step after the other."""
    change_T = np.diff(level_T, prepend=level_T[0])

    def forecast(origins: Places, last: int) -> Array:
        known_T = change_T[: last + 1]
        lags_BL = np.stack([known_T[n_lags - 1 - lag : len(known_T) - 1 - lag] for lag in range(n_lags)], axis=1)
        centre_L, target_B = lags_BL.mean(axis=0), known_T[n_lags:]
        gram = (lags_BL - centre_L).T @ (lags_BL - centre_L)
        ridge = gram + penalty * np.trace(gram) / n_lags * np.eye(n_lags)
        slopes_L = np.linalg.solve(ridge, (lags_BL - centre_L).T @ (target_B - target_B.mean()))
        recent_BL = np.stack([change_T[origins - lag] for lag in range(n_lags)], axis=1)
        ahead, at_B = [], level_T[origins]
        for _ in range(horizon):
            change_B = target_B.mean() + (recent_BL - centre_L) @ slopes_L
            at_B = at_B + change_B
            ahead.append(at_B)
            recent_BL = np.column_stack([change_B, recent_BL[:, :-1]])
        return np.stack(ahead, axis=1)

    return forecast


# --- series -------------------------------------------------------------------------------------------------------


def _walk(random: np.random.Generator, n: int, _: int) -> Array:
    return np.cumsum(random.standard_normal(n))


def _walk_heavy(random: np.random.Generator, n: int, _: int) -> Array:
    return np.cumsum(random.standard_t(3, n))


def _walk_garch(random: np.random.Generator, n: int, _: int) -> Array:
    shocks, step_T, variance = random.standard_normal(n), np.empty(n), 1.0
    for t in range(n):
        step_T[t] = np.sqrt(variance) * shocks[t]
        variance = 0.05 + 0.12 * step_T[t] ** 2 + 0.83 * variance
    return np.cumsum(step_T)


def _walk_volatile(random: np.random.Generator, n: int, _: int) -> Array:
    """Stochastic volatility."""
    return np.cumsum(np.exp(_autoregress(0.3 * random.standard_normal(n), 0.95) / 2) * random.standard_normal(n))


def _walk_drift(random: np.random.Generator, n: int, _: int) -> Array:
    return np.cumsum(random.standard_normal(n) + random.choice([0.02, 0.05, 0.1]))


def _autoregress(shock_T: Array, share: float) -> Array:
    level_T = shock_T.copy()
    for t in range(1, len(shock_T)):
        level_T[t] += share * level_T[t - 1]
    return level_T


def _stationary(random: np.random.Generator, n: int, _: int) -> Array:
    share = random.choice([0.3, 0.5, 0.7, 0.85, 0.95])
    return _autoregress(random.standard_normal(n + _WARM_UP), share)[_WARM_UP:]


def _smoothed(random: np.random.Generator, n: int, _: int) -> Array:
    """A random walk seen with noise: ARIMA(0, 1, 1)."""
    shock_T = random.standard_normal(n + 1)
    return np.cumsum(shock_T[1:] - random.choice([0.2, 0.4, 0.6, 0.8]) * shock_T[:-1])


def _cycle(random: np.random.Generator, n: int, _: int) -> Array:
    period, damping = random.uniform(8, 14), random.uniform(0.9, 0.98)
    level_T = random.standard_normal(n + _WARM_UP)
    for t in range(2, len(level_T)):
        level_T[t] += 2 * damping * np.cos(2 * np.pi / period) * level_T[t - 1] - damping**2 * level_T[t - 2]
    return level_T[_WARM_UP:]


def _trend(random: np.random.Generator, n: int, _: int) -> Array:
    slope_T = 0.09 * random.choice([0.05, 0.1, 0.2]) * np.cumsum(random.standard_normal(n)) + 0.3 * random.normal()
    noise_T = random.choice([0.3, 1, 2]) * random.standard_normal(n)
    level_T: Array = np.cumsum(slope_T + 0.3 * random.standard_normal(n)) + noise_T
    return level_T


def _seasonal(random: np.random.Generator, n: int, season: int) -> Array:
    pattern_S = random.standard_normal(season) * random.choice([0.3, 0.7, 1.5, 3])
    walk_T = np.cumsum(random.standard_normal(n)) * random.choice([0.3, 1])
    level_T: Array = walk_T + pattern_S[np.arange(n) % season] + random.standard_normal(n) * random.choice([0.3, 1])
    return level_T


def _airline(random: np.random.Generator, n: int, season: int) -> Array:
    """ARIMA(0, 1, 1)(0, 1, 1) on a pattern."""
    near, far, shock = random.uniform(0.2, 0.7), random.uniform(0.3, 0.8), random.standard_normal(n + season + 1)
    change_T = (
        shock[season + 1 :] - near * shock[season:-1] - far * shock[1:-season] + near * far * shock[: -season - 1]
    )
    level_T = np.cumsum(change_T)
    for t in range(season, n):
        level_T[t] += level_T[t - season]
    pattern_S = random.standard_normal(season) * random.choice([1, 3, 6])
    seasonal_T: Array = level_T + pattern_S[np.arange(n) % season] + 0.05 * np.arange(n) * random.choice([0, 1])
    return seasonal_T


def _growth(random: np.random.Generator, n: int, season: int) -> Array:
    pattern_S = random.standard_normal(season) * random.choice([0.05, 0.2])
    growth_T = np.cumsum(0.03 * random.standard_normal(n) + 0.003) + pattern_S[np.arange(n) % season]
    level_T: Array = 100 * np.exp(growth_T)
    return level_T


def _intermittent(random: np.random.Generator, n: int, _: int) -> Array:
    demand: Array = random.poisson(random.choice([0.2, 0.5, 1.0]), n) * (1.0 + random.poisson(1.5, n))
    return demand


def _shifting(random: np.random.Generator, n: int, _: int) -> Array:
    level_T = random.standard_normal(n)
    for place in random.integers(0, n, 3):
        level_T[place:] += 3 * random.normal()
    return level_T


WITHOUT_SIGNAL: Mapping[str, Callable[..., Array]] = {
    "walk": _walk,
    "heavy walk": _walk_heavy,
    "GARCH walk": _walk_garch,
    "volatile walk": _walk_volatile,
    "walk with drift": _walk_drift,
}
WITH_SIGNAL: Mapping[str, Callable[..., Array]] = {
    "stationary": _stationary,
    "smoothed walk": _smoothed,
    "cycle": _cycle,
    "trend": _trend,
    "seasonal": _seasonal,
    "airline": _airline,
    "growth": _growth,
    "intermittent": _intermittent,
    "shifting": _shifting,
}
