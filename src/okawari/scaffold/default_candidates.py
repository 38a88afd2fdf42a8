"""Default candidates of a new case: a baseline, simple models, trees, networks where there is enough to learn from, and
the combination of the best.

They were chosen on drawn series and on tables of R packages, which judge nothing else.
"""

from __future__ import annotations

from okawari.models.auto_arima import AutoArima
from okawari.models.combination import Combination
from okawari.models.constant import Constant
from okawari.models.croston import Croston
from okawari.models.dense import Mlp
from okawari.models.drift_walk import DriftWalk
from okawari.models.ets import Ets
from okawari.models.forest import RandomForest
from okawari.models.light_gbm import LightGbm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.mean_level import MeanLevel
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.theta import Theta
from okawari.scaffold.reach import Reach

_LONGEST_SEASON = 24
"""Longest season of a SARIMA; its state and the time of its fit grow with the season."""
_LONG = 1000
"""Fewest readings for boosting and for a network. In drawn series of 150 and 700 readings with a season, both lost to
exponential smoothing, regression and forest, and took most of the time: boosting fits each step ahead by itself."""
_MANY = 5000
"""Records from which on boosting reads all rows and columns in each round."""
_FEWEST_ORDERED = 30
"""Fewest readings that the first fit learns from, for an ARIMA whose orders are chosen."""
_FEWEST_SMOOTHED = 16
"""Fewest readings that the first fit learns from, for models with a trend and a season."""


def list_forecasters(reach: Reach, n: int, *, intermittent: bool = False) -> tuple[Recipe, ...]:
    """Candidates for a series of `n` readings, the same for growth and for differences: growth adds to the logarithm of
    the level as differences add to the level. Trees see a whole season of moves.

    `intermittent`: many readings are 0.
    """
    lags = min(max(20, reach.season), reach.history - 1)
    long = (LightGbm(lags=lags, min_leaf=_size_leaf(n), leaves=15, rounds=300), Lstm(hidden=32)) if n >= _LONG else ()
    return (
        *_list_naive(reach),
        *_list_smoothing(reach),
        *_list_demand(intermittent),
        AutoArima(season=reach.season),
        *_list_airlines(reach),
        Linear(penalty="cv"),
        RandomForest(lags=lags),
        *long,
        Combination(),
    )


def list_modest_forecasters(reach: Reach, *, intermittent: bool = False) -> tuple[Recipe, ...]:
    """Candidates for a short series: naive forecasts, exponential smoothing and a penalised linear model."""
    smoothing = _list_smoothing(reach) if reach.n_first >= _FEWEST_SMOOTHED else ()
    arima = (AutoArima(season=reach.season),) if reach.n_first >= _FEWEST_ORDERED else ()
    return (*_list_naive(reach), *smoothing, *_list_demand(intermittent), *arima, Linear(penalty="cv"), Combination())


def _list_naive(reach: Reach) -> tuple[Recipe, ...]:
    seasonal = (SeasonalNaive(season=reach.season),) if reach.season > 1 else ()
    return (RandomWalk(), *seasonal, MeanLevel(), DriftWalk())


def _list_smoothing(reach: Reach) -> tuple[Recipe, ...]:
    return (Ets(season=reach.season), Theta(season=reach.season))


def _list_demand(intermittent: bool) -> tuple[Recipe, ...]:
    return (Croston(),) if intermittent else ()


def _list_airlines(reach: Reach) -> tuple[Sarima, ...]:
    """The airline model, if a season is short enough and fits into the history.

    Source: Box, Jenkins, Reinsel and Ljung, Time Series Analysis, 5th ed. 2015, section 9.2.
    """
    if not 1 < reach.season <= _LONGEST_SEASON:
        return ()
    return (Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, reach.season)),)


def list_modest_record_models() -> tuple[Recipe, ...]:
    """Candidates for few records: the baseline and penalised linear models."""
    return (Constant(), Linear(penalty=10.0), Linear(penalty="cv"))


def list_regressors(n: int) -> tuple[Recipe, ...]:
    """Candidates for a number, with `n` records; a record is one step, so trees get one lag."""
    return (
        Constant(),
        Linear(penalty="cv"),
        RandomForest(lags=1),
        _choose_boosting(n, most_leaf=20),
        Mlp(hidden=(64, 64), dropout=0.2),
        Combination(),
    )


def list_labellers(n: int) -> tuple[Recipe, ...]:
    """Candidates for a label, with `n` records; leaves are small, because large ones would mix rare labels."""
    return (
        Constant(),
        Linear(penalty="cv"),
        RandomForest(lags=1),
        _choose_boosting(n, most_leaf=5),
        Mlp(hidden=(64, 64), dropout=0.2),
        Combination(),
    )


def _choose_boosting(n: int, most_leaf: int) -> LightGbm:
    """Boosting of records. Of few records, each round sees a part of the rows and columns, so that trees differ."""
    leaf = _size_leaf(n, most_leaf)
    if n >= _MANY:
        return LightGbm(lags=1, min_leaf=leaf)
    return LightGbm(lags=1, min_leaf=leaf, leaves=15, learning_rate=0.03, row_share=0.7, feature_share=0.5)


def _size_leaf(n: int, most: int = 20) -> int:
    """A fiftieth of the rows, from 2 to `most`: with few rows, large leaves would allow no split."""
    return min(most, max(2, n // 50))
