"""What every candidate of records, and of several targets of a series, signs by being listed for a task."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column, Gate, Regress
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import calibrate
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, parse_model
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.cores import Interval, TreesCore
from okawari.models.dense import Cnn, Mlp
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.persistence import Persistence
from okawari.models.protocols import Model, Recipe
from okawari.models.search.search import Search
from okawari.models.search.space import Range

TOLERANCE = 1e-4
"""Largest difference between library and graph, in training deviations: float32 arithmetic in another order."""
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
    *((case, recipe) for case in (NUMBER, LABEL) for recipe in (Constant(), Linear(), Linear(penalty=3.0))),
    *((case, Mlp(hidden=(8,), epochs=60, learning_rate=0.01)) for case in (NUMBER, LABEL)),
    *((case, RandomForest(n_trees=20, lags=1, min_leaf=4)) for case in (NUMBER, LABEL)),
    *((case, Boosting(rounds=20, lags=1, min_leaf=4, learning_rate=0.1)) for case in (NUMBER, LABEL)),
    (PICTURE, Cnn(channels=4, fc=8, epochs=2)),
    *(
        (case, Search(recipe=Linear(), space=(Range("penalty", 0.1, 10.0, log=True),), trials=3))
        for case in (NUMBER, LABEL, TARGETS)
    ),
    (TARGETS, Persistence()),
    (TARGETS, Constant()),
    (TARGETS, Linear(penalty=1.0)),
    (TARGETS, Mlp(hidden=(8,), epochs=20, learning_rate=0.01)),
    (TARGETS, Lstm(hidden=8, layers=1, fc=4, epochs=20, learning_rate=0.01)),
    (TARGETS, RandomForest(n_trees=20, lags=8, min_leaf=4)),
    (TARGETS, Boosting(rounds=20, lags=8, min_leaf=4, learning_rate=0.1)),
)


@dataclass(frozen=True)
class Fitted:
    """One candidate for one task, fitted once for all its tests."""

    case: Case
    recipe: Recipe
    model: Model
    data: TrainingData
    split: Split
    interval: Interval | None
    content: bytes


def _split(case: Case) -> Split:
    good = check_readings(case.source.read(), case, datetime.now(UTC)).good
    timed = good if case.layout.in_order else good.assign(arrived=pd.date_range("2020", periods=len(good)))
    return split_windows(cut_windows(timed, case), case)


@pytest.fixture(scope="module", params=SIGNED, ids=lambda each: f"{each[0].name}-{each[1].name}")
def fitted(request: pytest.FixtureRequest) -> Fitted:
    case, recipe = request.param
    split = _split(case)
    data = TrainingData(split.train, split.validation, seed=7, heads=case.task.heads)
    model = recipe.fit(data, no_progress)
    interval = calibrate(model, split.calibration, case)
    return Fitted(case, recipe, model, data, split, interval, build_graph(model.core(), case, interval))


def _answer(fitted: Fitted, said_BH: np.ndarray) -> np.ndarray:
    """What a model says as its graph answers it: labels as probabilities."""
    mean_BH = said_BH.copy()
    for head in fitted.case.task.heads:
        if head.labels:
            grown = np.exp(said_BH[:, head.columns] - said_BH[:, head.columns].max(axis=1, keepdims=True))
            mean_BH[:, head.columns] = grown / grown.sum(axis=1, keepdims=True)
    return mean_BH


def test_says_one_finite_number_per_question_and_column(fitted: Fitted) -> None:
    said_BH = fitted.model.predict(fitted.split.holdout)
    assert said_BH.shape == (fitted.case.gate.holdout, fitted.case.task.width)
    assert said_BH.dtype == np.float32 and np.isfinite(said_BH).all()


def test_one_at_a_time_equals_batched(fitted: Fitted) -> None:
    holdout = fitted.split.holdout[:7]
    single = [fitted.model.predict(holdout[row : row + 1]) for row in range(len(holdout))]
    np.testing.assert_allclose(np.concatenate(single), fitted.model.predict(holdout), atol=TOLERANCE, rtol=TOLERANCE)


def test_same_seed_gives_same_numbers_and_leaves_its_input_alone(fitted: Fitted) -> None:
    before = copy.deepcopy(fitted.data)
    again = fitted.recipe.fit(fitted.data, no_progress)
    np.testing.assert_array_equal(again.predict(fitted.split.holdout), fitted.model.predict(fitted.split.holdout))
    for name in ("x_BTF", "z_BSK", "r_BH"):
        np.testing.assert_array_equal(getattr(fitted.data.train, name), getattr(before.train, name))


def test_graph_equals_model(fitted: Fitted) -> None:
    holdout = fitted.split.holdout
    expected_BH = _answer(fitted, fitted.model.predict(holdout))
    mean_BH = Graph.load(fitted.content).answer(holdout.x_BTF).mean_BH
    np.testing.assert_allclose(mean_BH, expected_BH, atol=TOLERANCE, rtol=TOLERANCE)


def test_probabilities_are_shares_of_one_and_numbers_lie_in_their_interval(fitted: Fitted) -> None:
    answer = Graph.load(fitted.content).answer(fitted.split.holdout.x_BTF)
    for head in fitted.case.task.heads:
        mean_BC = answer.mean_BH[:, head.columns]
        if head.labels:
            assert (mean_BC >= 0).all()
            np.testing.assert_allclose(mean_BC.sum(axis=1), 1, atol=1e-5)
        else:
            assert answer.lower_BH is not None and answer.upper_BH is not None
            lower_BC, upper_BC = answer.lower_BH[:, head.columns], answer.upper_BH[:, head.columns]
            assert (lower_BC < mean_BC).all() and (mean_BC < upper_BC).all()
    assert (answer.lower_BH is None) == all(head.labels for head in fitted.case.task.heads)


def test_equal_models_give_equal_bytes_of_plain_operators(fitted: Fitted) -> None:
    assert build_graph(fitted.model.core(), fitted.case, fitted.interval) == fitted.content
    # Trees live in ONNX's second domain, which every ONNX Runtime has.
    trees = {"ai.onnx.ml"} if isinstance(fitted.model.core(), TreesCore) else set()
    assert {node.domain for node in parse_model(fitted.content).graph.node} == {"", *trees}


def test_describes_itself_in_plain_json(fitted: Fitted) -> None:
    assert json.loads(json.dumps(fitted.recipe.describe()))["recipe"] == type(fitted.recipe).__name__


def test_all_but_the_baseline_learn_something(fitted: Fitted) -> None:
    if isinstance(fitted.recipe, (Constant, Cnn)):
        pytest.skip("a constant is the floor itself, and two epochs teach a CNN nothing")
    split = fitted.split
    floor = Constant().fit(fitted.data, no_progress)
    truth_BH = split.train.r_BH
    gaps = [np.mean((_answer(fitted, model.predict(split.train)) - truth_BH) ** 2) for model in (fitted.model, floor)]
    assert gaps[0] < gaps[1]


def test_a_linear_model_is_the_closed_form_of_least_squares() -> None:
    split = _split(NUMBER)
    model = Linear().fit(TrainingData(split.train, split.validation, seed=1, heads=NUMBER.task.heads), no_progress)
    x_BN = split.train.z_BSK.reshape(len(split.train), -1).astype(np.float64)
    design = np.column_stack([x_BN, np.ones(len(x_BN))])
    # One column of the word is the rest of the others, so the smallest of many equal solutions differs; answers do not.
    closed = design @ np.linalg.lstsq(design, split.train.r_BH[:, 0].astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(x_BN @ model.weight_HN[0] + model.bias_H[0], closed, rtol=0, atol=1e-8)


def test_a_label_that_never_came_gets_hardly_any_probability() -> None:
    split = _split(LABEL)
    data = TrainingData(split.train, split.validation, seed=1, heads=LABEL.task.heads)
    for recipe in (Constant(), Linear(penalty=1.0), RandomForest(n_trees=5, lags=1), Boosting(rounds=5, lags=1)):
        graph = Graph.load(build_graph(recipe.fit(data, no_progress).core(), LABEL, None))
        assert graph.answer(split.holdout.x_BTF).mean_BH[:, 2].max() < 1e-5
