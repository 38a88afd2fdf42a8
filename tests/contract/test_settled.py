"""What a choice made on the validation part signs: fixed, it fits the same model without a validation window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.models.boosting import Boosting
from okawari.models.chosen import Chosen
from okawari.models.dense import Cnn, Mlp
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.keras_lstm import KerasLstm
from okawari.models.light_gbm import LightGbm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Recipe, Settled
from okawari.models.search.search import Search
from okawari.models.search.space import Range, Whole
from okawari.training.drawn_cases import draw_series
from okawari.training.recipe_checks import find_plain_problems
from okawari.training.recipe_trial import split_source
from tests.contract.test_head_candidates import LABEL, NUMBER, PICTURE, TARGETS

QUICK = Lstm(hidden=8, layers=1, fc=4, epochs=12, patience=2, learning_rate=0.03)
SERIES = draw_series()
SIGNED: tuple[tuple[Case, Recipe], ...] = (
    *((case, Boosting(rounds=60, patience=4, lags=1, learning_rate=0.3)) for case in (NUMBER, LABEL)),
    (TARGETS, Boosting(rounds=60, patience=4, lags=8, min_leaf=4, learning_rate=0.3)),
    *((case, LightGbm(rounds=60, patience=4, lags=1, learning_rate=0.3, row_share=0.7)) for case in (NUMBER, LABEL)),
    (TARGETS, LightGbm(rounds=60, patience=4, lags=8, min_leaf=4, learning_rate=0.3)),
    *((case, Mlp(hidden=(8,), epochs=40, patience=2, learning_rate=0.05)) for case in (NUMBER, LABEL)),
    *((case, RandomForest(n_trees=12, lags=1)) for case in (NUMBER, LABEL)),
    (TARGETS, RandomForest(n_trees=12, lags=8, min_leaf=(1, 5))),
    *((case, Linear(penalty="cv")) for case in (NUMBER, LABEL, TARGETS, SERIES)),
    (PICTURE, Cnn(channels=4, fc=8, epochs=6, patience=2)),
    (TARGETS, QUICK),
    (SERIES, PriceLevelLstm(lstm=QUICK)),
    (SERIES, KerasLstm(lstm=replace(QUICK, epochs=5))),
    (NUMBER, Search(recipe=Linear(), space=(Range("penalty", 0.1, 10.0),), trials=3)),
    (LABEL, Search(recipe=Boosting(rounds=30, patience=3, lags=1), space=(Whole("depth", 1, 3),), trials=2)),
)


@pytest.mark.parametrize(("case", "recipe"), SIGNED, ids=[f"{case.name}-{recipe.name}" for case, recipe in SIGNED])
def test_what_was_chosen_fits_the_same_model_without_validation_windows(case: Case, recipe: Recipe) -> None:
    split = split_source(case)
    data = TrainingData(split.train, split.validation, seed=7, heads=case.task.heads)
    model = recipe.fit(data, no_progress)
    assert isinstance(model, Settled)
    settled = model.settle()
    assert settled.name == recipe.name and find_plain_problems(settled) == []
    assert settled.describe() != recipe.describe()
    again = settled.fit(replace(data, validation=split.validation[:0]), no_progress)
    np.testing.assert_allclose(again.predict(split.holdout), model.predict(split.holdout), rtol=1e-6, atol=1e-7)
    assert not any("valid_loss" in numbers for numbers in again.history)
    if isinstance(again, Settled):  # nothing is left to choose
        assert again.settle() == (settled.recipe if isinstance(settled, Chosen) else settled)


@pytest.mark.parametrize("recipe", [Boosting(lags=1), Mlp(), Search(recipe=Mlp(), space=(Range("dropout", 0, 0.5),))])
def test_a_choice_without_validation_windows_is_refused(recipe: Recipe) -> None:
    split = split_source(NUMBER)
    data = TrainingData(split.train, split.validation[:0], seed=7, heads=NUMBER.task.heads)
    with pytest.raises(InvalidInput, match="validation part, which has no windows"):
        recipe.fit(data, no_progress)
