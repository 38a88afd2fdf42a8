"""Default candidates of a new case: a baseline, some simple models, one network."""

from __future__ import annotations

from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.dense import Mlp
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.scaffold.reach import Reach

_LONGEST_SEASON = 24
"""Longest season of a SARIMA; its state and the time of its fit grow with the season."""
_BOOSTED, _NETWORKED = 300, 1000
"""Fewest readings for boosting and for a network. In drawn series of 150 and 700 readings with a season, both lost to
regression and SARIMA and took most of the time."""


def list_forecasters(reach: Reach, n: int) -> tuple[Recipe, ...]:
    """Candidates for a series of `n` readings, the same for growth and for differences: growth adds to the logarithm of
    the level as differences add to the level. Trees see a whole season of moves. Boosting and networks need more
    readings than the others.
    """
    lags, leaf = min(max(20, reach.season), reach.history - 1), _size_leaf(n)
    seasonal = (SeasonalNaive(season=reach.season),) if reach.season > 1 else ()
    return (
        RandomWalk(),
        *seasonal,
        *_list_sarimas(reach),
        Linear(penalty=1.0),
        RandomForest(lags=lags, min_leaf=leaf),
        *((Boosting(lags=lags, min_leaf=leaf),) if n >= _BOOSTED else ()),
        *((Lstm(hidden=32),) if n >= _NETWORKED else ()),
    )


def _list_sarimas(reach: Reach) -> tuple[Sarima, ...]:
    """An airline model if a season is short enough and fits into the history, and a model whose season decays.

    Source of the former: Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th ed. 2015, section 9.2.
    """
    season = reach.season if 1 < reach.season <= _LONGEST_SEASON else 0
    decaying = Sarima(seasonal_order=(1 if season else 0, 0, 0, season))
    return (Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, season)), decaying) if season else (decaying,)


def list_modest_forecasters(reach: Reach) -> tuple[Recipe, ...]:
    """Candidates for a short series: naive forecasts, exponential smoothing, and a linear model whose penalty leaves
    little more than the mean move.
    """
    seasonal = (SeasonalNaive(season=reach.season),) if reach.season > 1 else ()
    smoothing = Sarima(order=(0, 1, 1), seasonal_order=(0, 0, 0, 0))
    return (RandomWalk(), *seasonal, smoothing, Linear(penalty=100.0))


def list_modest_record_models() -> tuple[Recipe, ...]:
    """Candidates for few records: the baseline and two penalised linear models."""
    return (Constant(), Linear(penalty=1.0), Linear(penalty=10.0))


def list_regressors(n: int) -> tuple[Recipe, ...]:
    """Candidates for a number, with `n` records; a record is one step, so trees get one lag."""
    leaf = _size_leaf(n)
    return (
        Constant(),
        Linear(),
        Linear(penalty=10.0),
        RandomForest(lags=1, min_leaf=leaf),
        Boosting(lags=1, min_leaf=leaf),
        Mlp(hidden=(64, 64), dropout=0.2),
    )


def list_labellers(n: int) -> tuple[Recipe, ...]:
    """Candidates for a label, with `n` records; leaves are small, because large ones would mix rare labels."""
    leaf = _size_leaf(n, most=5)
    return (
        Constant(),
        Linear(penalty=1.0),
        RandomForest(lags=1, min_leaf=leaf),
        Boosting(lags=1, min_leaf=leaf, learning_rate=0.1),
        Mlp(hidden=(64, 64), dropout=0.2),
    )


def _size_leaf(n: int, most: int = 20) -> int:
    """A fiftieth of the rows, from 2 to `most`: with few rows, large leaves would allow no split."""
    return min(most, max(2, n // 50))
