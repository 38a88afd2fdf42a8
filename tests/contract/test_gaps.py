"""Every family keeps the contract where values are missing: on a series with gaps, and on records with holes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from okawari.case import Case
from okawari.models.auto_arima import AutoArima
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.croston import Croston
from okawari.models.dense import Mlp
from okawari.models.drift_walk import DriftWalk
from okawari.models.ets import Ets
from okawari.models.forest import RandomForest
from okawari.models.keras_lstm import KerasLstm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.mean_level import MeanLevel
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.theta import Theta
from okawari.schema.tasks.forecast import Forecast
from okawari.training.recipe_checks import check_recipe
from tests.combined import FixedCombination
from tests.unit.test_imputation import FLAGGED, LABELS, RECORDS

SERIES = (
    RandomWalk(), SeasonalNaive(season=7), Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 7)), Linear(),
    DriftWalk(), MeanLevel(window=7), Ets(season=7), Theta(season=7), Croston(), AutoArima(season=7),
    Mlp(hidden=(8,), epochs=2), Lstm(hidden=8, layers=1, epochs=2), KerasLstm(lstm=Lstm(hidden=8, layers=1, epochs=1)),
    RandomForest(n_trees=10, lags=5), Boosting(rounds=10, lags=5),
    FixedCombination((SeasonalNaive(season=7), Linear(), Boosting(rounds=5, lags=5))),
)  # fmt: skip
OF_RECORDS = (
    Constant(), Linear(), Linear(penalty=1.0), Mlp(hidden=(8,), epochs=2), RandomForest(n_trees=10, lags=1),
    Boosting(rounds=10, lags=1), FixedCombination((Linear(penalty=1.0), Mlp(hidden=(8,), epochs=2))),
)  # fmt: skip
GROWING = replace(
    FLAGGED,
    columns=tuple(replace(column, above=0) for column in FLAGGED.columns),
    task=Forecast(target="visits", history=14, horizon=2),
)


@pytest.mark.parametrize("recipe", SERIES, ids=lambda each: each.name)
def test_a_series_with_gaps(recipe: Recipe) -> None:
    assert check_recipe(recipe, FLAGGED).signed == (FLAGGED.name,)


def test_levels_with_gaps_for_a_network() -> None:
    recipe = PriceLevelLstm(lstm=Lstm(hidden=8, layers=1, epochs=1))
    assert check_recipe(recipe, GROWING).signed == (FLAGGED.name,)


@pytest.mark.parametrize("recipe", OF_RECORDS, ids=lambda each: each.name)
@pytest.mark.parametrize("case", [RECORDS, LABELS], ids=["numbers", "labels"])
def test_records_with_holes(case: Case, recipe: Recipe) -> None:
    assert check_recipe(recipe, case).signed == (case.name,)
