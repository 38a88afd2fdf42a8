"""A recipe of one's own is held to the contract that every recipe signs."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

import okawari
from okawari.case import Case, Change, Column, Forecast
from okawari.errors import InvalidInput
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.cores import ONNX_OPSETS, ConstantCore, OnnxCore
from okawari.models.dense import Mlp
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.training.drawn_cases import draw_records, draw_series
from okawari.training.recipe_checks import RecipeBroken, check_interval, check_probabilities
from okawari.training.recipe_trial import Trial, fit_trial, split_source
from tests.tables import draw_counts


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
        if self.fault == "draws":
            random.random()
        if self.fault == "seeds":
            np.random.seed(data.seed)
        if self.fault == "input":
            data.train.r_BH[0] += 1
        if self.fault == "times":
            data.validation.at_B[0] = data.validation.at_B[1]
        return Faulty(self.fault, mean_H)

    def predict(self, windows: Any) -> Any:
        said = np.tile(self.r_H.astype(np.float32), (len(windows), 1))
        if self.fault == "nan":
            said[0] = np.nan
        if self.fault == "shape":
            return said[:, :1]
        if self.fault == "dtype":
            return said.astype(np.float64)
        return said + len(windows) if self.fault == "batch" else said

    def core(self) -> ConstantCore | OnnxCore:
        if self.fault == "graph_batch":
            return _centre_on_the_batch(self.r_H)
        return ConstantCore(self.r_H + 5 if self.fault == "graph" else self.r_H)


def _centre_on_the_batch(r_H: np.ndarray) -> OnnxCore:
    """The constant, and how far the first feature of a window lies from the mean of all windows."""
    constants = {"first": [0], "two": [2], "zero": [0], "r": r_H.astype(np.float32)}
    nodes = [
        helper.make_node("Gather", ["z", "zero"], ["step"], axis=1),
        helper.make_node("Gather", ["step", "first"], ["feature"], axis=2),
        helper.make_node("Squeeze", ["feature", "two"], ["feature_B1"]),
        helper.make_node("ReduceMean", ["feature_B1", "zero"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["feature_B1", "mean"], ["centred"]),
        helper.make_node("Add", ["centred", "r"], ["r_BH"]),
    ]
    takes = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["B", None, None])
    gives = helper.make_tensor_value_info("r_BH", TensorProto.FLOAT, ["B", len(r_H)])
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "centred", [takes], [gives], held)
    opsets = [helper.make_opsetid("", ONNX_OPSETS[""])]
    return OnnxCore(helper.make_model(graph, opset_imports=opsets).SerializeToString())


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
        ("batch", "the prediction of single windows differs from that of a batch"),
        ("seed", "a second fit differs"),
        ("input", "fit changes its input r_BH"),
        ("graph", "the graph's answer differs from the model's"),
        ("dtype", "predict gives float64, not float32"),
        ("draws", "changes the global state of random"),
        ("seeds", r"changes the global state of numpy\.random"),
        ("times", "fit changes its input at_B of the validation part"),
        ("graph_batch", "the graph's answer to single windows differs from that to a batch"),
    ],
)
def test_a_fault_is_named(fault: str, told: str) -> None:
    with pytest.raises(RecipeBroken, match=told):
        okawari.check_recipe(Faulty(fault))  # type: ignore[arg-type]


@dataclass(frozen=True)
class NoGraph:
    """A model that predicts, but whose core is no model."""

    model: Any

    def predict(self, windows: Any) -> Any:
        return self.model.predict(windows)

    def core(self) -> OnnxCore:
        return OnnxCore(b"garbage")


@dataclass(frozen=True)
class BrokenGraph:
    """A constant whose core is no model, for one of the tasks alone."""

    name: str = "broken_graph"

    def describe(self) -> dict[str, object]:
        return {"recipe": "BrokenGraph"}

    def fit(self, data: TrainingData, progress: Progress) -> Any:
        model = Constant().fit(data, progress)
        return NoGraph(model) if data.heads[0].is_share else model


def test_a_graph_that_cannot_be_built_is_a_fault_and_no_refusal() -> None:
    with pytest.raises(RecipeBroken, match=r"drawn_records: its graph cannot be built and run: .* not an ONNX model"):
        okawari.check_recipe(BrokenGraph())


def test_a_recipe_without_fault_passes() -> None:
    assert okawari.check_recipe(Faulty("none")).signed  # type: ignore[arg-type]


def test_an_address_in_memory_in_the_case_record_is_named() -> None:
    with pytest.raises(RecipeBroken, match=r"its repr is Faulty\(.*<object object at 0x.*case\.json"):
        okawari.check_recipe(Faulty("none", r_H=object()))  # type: ignore[arg-type]


def _try(case: Case) -> Trial:
    return fit_trial(Constant(), case, split_source(case))


def test_another_interval_than_the_models_is_named() -> None:
    trial = _try(draw_series())
    answer = trial.answer
    assert answer.upper_BH is not None
    narrow = replace(trial, answer=replace(answer, upper_BH=answer.mean_BH - 1))
    assert list(check_interval(trial)) == []
    told = list(check_interval(narrow))
    assert len(told) == 2
    assert told[0].startswith("the graph's upper bound differs from the model's")
    assert told[1] == "an interval of the graph does not hold its mean"
    other = replace(trial, answer=replace(answer, coverage_share=0.5))
    assert list(check_interval(other)) == ["the graph promises a coverage of 0.5, the case 0.9"]
    without = replace(trial, answer=replace(answer, lower_BH=None, upper_BH=None))
    assert list(check_interval(without)) == ["the graph answers numbers without an interval"]


def test_probabilities_that_are_no_shares_of_one_are_named() -> None:
    trial = _try(draw_records())
    assert list(check_probabilities(trial)) == []
    moved_BH = trial.answer.mean_BH + np.float32([-1, 0.5])
    told = list(check_probabilities(replace(trial, answer=replace(trial.answer, mean_BH=moved_BH))))
    assert len(told) == 2
    assert told[0].startswith("a probability of side is -")
    assert told[1].startswith("the probabilities of side sum to 1 with an error of 0.5")


@dataclass(frozen=True)
class Table:
    """A source of a table that is there."""

    frame: pd.DataFrame

    def read(self, until: date | None = None) -> pd.DataFrame:
        return self.frame


def test_a_case_is_read_as_ingest_reads_it_and_answers_keep_to_its_bounds() -> None:
    sold = draw_counts(300).rename(columns={"Price": "price"})
    counts = replace(
        draw_series(),
        source=Table(sold.assign(date=sold["day"], price=sold["units"].astype(str))),  # numbers as a CSV file has them
        columns=(Column(name="price", minimum=0),),
        features=(Change(name="change", column="price"),),
        task=Forecast(target="price", history=12, horizon=3, learns="difference"),
    )
    assert okawari.check_recipe(Linear(), counts).signed == ("drawn_series",)


def test_a_source_without_enough_readings_is_no_fault_of_the_recipe() -> None:
    series = draw_series()
    with pytest.raises(InvalidInput) as told:
        okawari.check_recipe(RandomWalk(), replace(series, source=Table(series.source.read()[:50])))
    assert not isinstance(told.value, RecipeBroken)


def test_the_public_names_are_imported_when_they_are_used() -> None:
    assert okawari.Client.__name__ == "Client"
    with pytest.raises(AttributeError, match="has no attribute 'Clinet'"):
        okawari.Clinet  # noqa: B018
