"""A recipe of one's own is held to the contract that every recipe signs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import okawari
from okawari.models.boosting import Boosting
from okawari.models.cores import ConstantCore
from okawari.models.dense import Mlp
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.training.recipe_checks import RecipeBroken


@dataclass
class Faulty:
    """A constant model with one fault."""

    fault: str
    r_H: Any = None
    history: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return "My Model" if self.fault == "name" else "faulty"

    def describe(self) -> dict[str, Any]:
        return {"made": object()} if self.fault == "describe" else {}

    def fit(self, data: TrainingData, progress: Progress) -> Faulty:
        mean_H = data.train.r_BH.mean(axis=0, dtype=np.float64)
        if self.fault == "seed":
            mean_H = mean_H + random.random()
        if self.fault == "input":
            data.train.r_BH[0] += 1
        return Faulty(self.fault, mean_H)

    def predict(self, windows: Any) -> Any:
        said = np.tile(self.r_H.astype(np.float32), (len(windows), 1))
        if self.fault == "nan":
            said[0] = np.nan
        if self.fault == "shape":
            return said[:, :1]
        return said + len(windows) if self.fault == "batch" else said

    def core(self) -> ConstantCore:
        return ConstantCore(self.r_H + 5 if self.fault == "graph" else self.r_H)


@pytest.mark.parametrize(
    "recipe", [RandomWalk(), Linear(penalty=1.0), Boosting(rounds=5, lags=1), Mlp(hidden=(4,), epochs=1)], ids=str
)
def test_bundled_recipes_keep_the_contract(recipe: Any) -> None:
    found = okawari.check_recipe(recipe)
    assert set(found.signed) | set(found.refused) == {"drawn_series", "drawn_records"}


def test_a_recipe_may_refuse_a_task_with_its_reason() -> None:
    assert "drawn_records" in okawari.check_recipe(RandomWalk()).refused


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("name", "its name is 'My Model'"),
        ("describe", "not plain JSON"),
        ("nan", "not finite"),
        ("shape", r"predict gives \(\d+, 1\)"),
        ("batch", "predict of one window differs"),
        ("seed", "a second fit differs"),
        ("input", "fit changes its input r_BH"),
        ("graph", "the graph differs from the model"),
    ],
)
def test_a_fault_is_named(fault: str, told: str) -> None:
    with pytest.raises(RecipeBroken, match=told):
        okawari.check_recipe(Faulty(fault))  # type: ignore[arg-type]


def test_a_recipe_without_fault_passes() -> None:
    assert okawari.check_recipe(Faulty("none")).signed  # type: ignore[arg-type]


def test_the_public_names_are_imported_when_they_are_used() -> None:
    assert okawari.Client.__name__ == "Client"
    with pytest.raises(AttributeError, match="has no attribute 'Clinet'"):
        okawari.Clinet  # noqa: B018
