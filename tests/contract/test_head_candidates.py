"""What every candidate of records, and of several targets of a series, signs by being listed for a task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column, Gate, Regress
from okawari.cases.loader import load_case
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, parse_model
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.dense import Cnn, Mlp
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.light_gbm import LightGbm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.persistence import Persistence
from okawari.models.protocols import Recipe
from okawari.models.search.search import Search
from okawari.models.search.space import Range
from okawari.training.recipe_checks import CHECKS, Check, find_plain_problems
from okawari.training.recipe_trial import Trial, fit_trial, split_source
from tests.combined import FixedCombination, holds_trees

TOLERANCE = 3e-6
"""Largest difference between library and graph, as a share of the largest number: float32 arithmetic in another order.

Logits reach 30, so that each one is right to 1e-4.
"""
PIXELS = tuple(f"pixel_{number}" for number in range(16))


class Drawn:
    """A seeded table: sixteen numbers, a word, and targets that depend on them."""

    def read(self, until: object = None) -> pd.DataFrame:
        random = np.random.default_rng(3)
        pixels = random.normal(5, 2, (300, 16))
        kind = random.integers(0, 3, 300)
        number = 20 + pixels[:, 0] - 2 * pixels[:, 5] + 4 * kind + random.normal(0, 0.5, 300)
        label = np.where(pixels[:, 3] + pixels[:, 7] > 10, "high", "low")
        frame = pd.DataFrame(pixels, columns=list(PIXELS))
        return frame.assign(kind=np.array(["a", "b", "c"])[kind], number=number, label=label)


NUMBERS = tuple(Column(name=name) for name in PIXELS)
KIND = Column(name="kind", labels=("a", "b", "c"))
GATE = Gate(holdout=60, calibration=40)
NUMBER = Case(
    name="number", title="A number", source=Drawn(), time=ARRIVED, columns=(*NUMBERS, KIND),
    task=Regress(target=Column(name="number", unit="kg")), candidates=(Constant(),), gate=GATE,
)  # fmt: skip
LABEL = Case(
    name="label", title="A label", source=Drawn(), time=ARRIVED, columns=(*NUMBERS, KIND),
    task=Classify(target=Column(name="label", labels=("low", "high", "never"))), candidates=(Constant(),), gate=GATE,
)  # fmt: skip
PICTURE = replace(LABEL, name="picture", columns=NUMBERS)
TARGETS = load_case("cpi")

SIGNED: tuple[tuple[Case, Recipe], ...] = (
    *(
        (case, recipe)
        for case in (NUMBER, LABEL)
        for recipe in (Constant(), Linear(), Linear(penalty=3.0), Linear(penalty="cv"))
    ),
    *((case, Mlp(hidden=(8,), epochs=60, learning_rate=0.01)) for case in (NUMBER, LABEL)),
    *((case, RandomForest(n_trees=20, lags=1, min_leaf=4)) for case in (NUMBER, LABEL)),
    *((case, Boosting(rounds=20, lags=1, min_leaf=4, learning_rate=0.1)) for case in (NUMBER, LABEL)),
    *((case, LightGbm(rounds=40, lags=1, min_leaf=4, leaves=7)) for case in (NUMBER, LABEL)),
    (PICTURE, Cnn(channels=4, fc=8, epochs=2)),
    *(
        (case, Search(recipe=Linear(), space=(Range("penalty", 0.1, 10.0, log=True),), trials=3))
        for case in (NUMBER, LABEL, TARGETS)
    ),
    (TARGETS, Persistence()),
    (TARGETS, Constant()),
    (TARGETS, Linear(penalty=1.0)),
    (TARGETS, Linear(penalty="cv")),
    (TARGETS, Mlp(hidden=(8,), epochs=20, learning_rate=0.01)),
    (TARGETS, Lstm(hidden=8, layers=1, fc=4, epochs=20, learning_rate=0.01)),
    (TARGETS, RandomForest(n_trees=20, lags=8, min_leaf=4)),
    (TARGETS, Boosting(rounds=20, lags=8, min_leaf=4, learning_rate=0.1)),
    (TARGETS, LightGbm(rounds=20, lags=8, min_leaf=4, leaves=7)),
    *(
        (case, FixedCombination((Constant(), RandomForest(n_trees=5, lags=1), Linear(penalty=1.0))))
        for case in (NUMBER, LABEL)
    ),
    (TARGETS, FixedCombination((Persistence(), RandomForest(n_trees=5, lags=8), Linear(penalty=1.0)))),
)


def _sign(case: Case, recipe: Recipe) -> Any:
    """A candidate for a case; of the networks, whose export takes seconds, `make test-fast` checks one."""
    is_slow = isinstance(recipe, (Cnn, Lstm, Search)) or (isinstance(recipe, Mlp) and case is not LABEL)
    return pytest.param((case, recipe), id=f"{case.name}-{recipe.name}", marks=[pytest.mark.slow] if is_slow else [])


@pytest.fixture(scope="module", params=[_sign(case, recipe) for case, recipe in SIGNED])
def trial(request: pytest.FixtureRequest) -> Trial:
    case, recipe = request.param
    seeded = replace(case, seed=7)
    return fit_trial(recipe, seeded, split_source(seeded), TOLERANCE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Check, trial: Trial) -> None:
    assert list(check(trial)) == []


def test_answers_have_the_columns_of_the_task_and_intervals_of_numbers_have_a_width(trial: Trial) -> None:
    assert trial.said_BH.shape == (trial.case.gate.holdout, trial.case.task.width)
    numbers = [head for head in trial.case.task.heads if not head.labels]
    assert (trial.answer.lower_BH is None) == (not numbers)
    for head in numbers:
        assert trial.interval is not None and (trial.interval.half_width_H[head.columns] > 0).all()


def _answer(trial: Trial, said_BH: np.ndarray) -> np.ndarray:
    """What a model says as its graph answers it: labels as probabilities."""
    return np.concatenate([head.answer(said_BH[:, head.columns]) for head in trial.case.task.heads], axis=1)


def test_graph_is_of_plain_operators(trial: Trial) -> None:
    # Trees live in ONNX's second domain, which every ONNX Runtime has.
    trees = {"ai.onnx.ml"} if holds_trees(trial.model.core()) else set()
    assert {node.domain for node in parse_model(trial.graph).graph.node} == {"", *trees}


def test_describes_itself_in_plain_json(trial: Trial) -> None:
    assert find_plain_problems(trial.recipe) == []
    assert trial.recipe.describe()["recipe"] == type(trial.recipe).__name__


def test_all_but_the_baseline_learn_something(trial: Trial) -> None:
    if isinstance(trial.recipe, (Constant, Cnn)):
        pytest.skip("a constant is the floor itself, and two epochs teach a CNN nothing")
    split = trial.split
    floor = Constant().fit(trial.data, no_progress)
    truth_BH = split.train.r_BH
    gaps = [np.mean((_answer(trial, model.predict(split.train)) - truth_BH) ** 2) for model in (trial.model, floor)]
    assert gaps[0] < gaps[1]


def test_a_linear_model_is_the_closed_form_of_least_squares() -> None:
    split = split_source(NUMBER)
    model = Linear().fit(TrainingData(split.train, split.validation, seed=1, heads=NUMBER.task.heads), no_progress)
    x_BN = split.train.z_BSK.reshape(len(split.train), -1).astype(np.float64)
    design = np.column_stack([x_BN, np.ones(len(x_BN))])
    # One column of the word is the rest of the others, so the smallest of many equal solutions differs; answers do not.
    closed = design @ np.linalg.lstsq(design, split.train.r_BH[:, 0].astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(x_BN @ model.weight_HN[0] + model.bias_H[0], closed, rtol=0, atol=1e-8)


def test_a_label_that_never_came_gets_hardly_any_probability() -> None:
    split = split_source(LABEL)
    data = TrainingData(split.train, split.validation, seed=1, heads=LABEL.task.heads)
    for recipe in (
        Constant(),
        Linear(penalty=1.0),
        RandomForest(n_trees=5, lags=1),
        Boosting(rounds=5, lags=1),
        LightGbm(rounds=5, lags=1),
    ):
        graph = Graph.load(build_graph(recipe.fit(data, no_progress).core(), LABEL, None))
        assert graph.answer(split.holdout.x_BTF).mean_BH[:, 2].max() < 1e-5
