"""A warm recipe starts from the weights of its last training, if the network is the same; else from random weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.dense import Mlp
from okawari.models.fit_context import TrainingData, Workbench, no_progress
from okawari.models.keras_lstm import KerasLstm
from okawari.models.lstm import Lstm
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Storable

RECIPES = (Mlp(hidden=(16,), epochs=6, warm=True), Lstm(hidden=8, layers=1, epochs=6, warm=True))


@pytest.fixture(scope="module")
def data(small_case: Case) -> TrainingData:
    split = split_windows(cut_windows(small_case.source.read(until=date(2001, 12, 31)), small_case), small_case)
    return TrainingData(split.train, split.validation, seed=7)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_warm_training_begins_with_a_lower_loss_than_a_cold_one(
    recipe: Mlp | Lstm, data: TrainingData, tmp_path: Path
) -> None:
    cold = recipe.fit(data, no_progress)
    assert isinstance(cold, Storable)
    cold.save_weights(tmp_path / "weights.pt")
    warm = recipe.fit(replace(data, bench=Workbench(start=tmp_path / "weights.pt")), no_progress)
    assert warm.history[0]["train_loss"] < cold.history[0]["train_loss"]
    assert warm.history[0]["valid_loss"] < cold.history[0]["valid_loss"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_scaling_is_that_of_the_new_data_whatever_the_start(
    recipe: Mlp | Lstm, data: TrainingData, tmp_path: Path
) -> None:
    recipe.fit(data, no_progress).save_weights(tmp_path / "weights.pt")
    later = replace(data, train=data.train[50:], bench=Workbench(start=tmp_path / "weights.pt"))
    state = recipe.fit(later, no_progress).network.state_dict()
    np.testing.assert_allclose(state["in_shift"], later.train.z_BSK.mean(axis=(0, 1)), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("stored", "begun"),
    [
        (Mlp(hidden=(17,), epochs=1), Mlp(hidden=(16,), epochs=2, warm=True)),
        (Mlp(hidden=(16,), epochs=1), Mlp(hidden=(16,), epochs=2, warm=False)),
        (Mlp(hidden=(16,), epochs=1), Lstm(hidden=8, layers=1, epochs=2, warm=True)),
    ],
    ids=["other sizes", "not warm", "other kind"],
)
def test_another_networks_weights_and_a_cold_recipe_change_nothing(
    stored: Mlp, begun: Mlp | Lstm, data: TrainingData, tmp_path: Path
) -> None:
    stored.fit(data, no_progress).save_weights(tmp_path / "weights.pt")
    told = begun.fit(replace(data, bench=Workbench(start=tmp_path / "weights.pt")), no_progress)
    np.testing.assert_array_equal(told.predict(data.validation), begun.fit(data, no_progress).predict(data.validation))


@pytest.mark.parametrize("recipe", [KerasLstm, PriceLevelLstm])
def test_what_cannot_start_warm_says_so(recipe: type[KerasLstm] | type[PriceLevelLstm]) -> None:
    with pytest.raises(InvalidInput, match="lstm is warm; only an Lstm recipe itself can be warm"):
        recipe(lstm=Lstm(warm=True))
