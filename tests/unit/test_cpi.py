"""The case of US inflation: bounds that later quarters had no say in, and answers of the form that it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from okawari.cases.cpi import ACCELERATION, CASE, REGIME, TREND
from okawari.cases.loader import load_case
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import calibrate
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, require_answers
from okawari.models.cores import ConstantCore
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.linear import Linear
from okawari.schema.tasks.multi_target import Growth


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    return CASE.source.read()


@pytest.fixture(scope="module")
def split(readings: pd.DataFrame) -> Split:
    return split_windows(cut_windows(readings, CASE), CASE)


def _find_terciles(readings: pd.DataFrame, target: Growth) -> np.ndarray:
    values = target.measure(readings["cpi"].to_numpy())[readings["date"].dt.year.between(1960, 1984)]
    return np.asarray(np.nanquantile(values, [1 / 3, 2 / 3]))


def test_the_regimes_bounds_are_the_terciles_of_inflation_from_1960_to_1984(readings: pd.DataFrame) -> None:
    assert REGIME.bounds == tuple(_find_terciles(readings, REGIME).round(1))


def test_the_trends_bounds_are_near_the_terciles_of_its_change(readings: pd.DataFrame) -> None:
    np.testing.assert_allclose(TREND.bounds, _find_terciles(readings, TREND), atol=0.1)


def test_the_case_is_found_by_its_name_and_describes_itself_as_json() -> None:
    import json

    assert load_case("cpi") is CASE
    assert [target["name"] for target in json.loads(json.dumps(CASE.describe()))["task"]["targets"]] == [
        "trend", "acceleration", "regime",
    ]  # fmt: skip
    assert (CASE.history, CASE.horizon, CASE.task.width) == (9, 1, 7)


def test_no_quarter_that_judges_had_a_say_in_the_bounds(split: Split) -> None:
    assert split.train.at_B.max() < split.validation.at_B.min() < split.calibration.at_B.min()
    assert split.calibration.at_B.min() > np.datetime64("1984-12-31")
    assert (len(split.holdout), len(split.calibration)) == (40, 30)


def test_answers_are_probabilities_that_sum_to_one_and_an_interval_around_the_acceleration_alone(split: Split) -> None:
    data = TrainingData(split.train, split.validation, seed=7, heads=CASE.task.heads)
    model = Linear(penalty=1.0).fit(data, no_progress)
    graph = Graph.load(build_graph(model.core(), CASE, calibrate(model, split.calibration, CASE)))
    answer = graph.answer(split.holdout.x_BTF)
    assert answer.lower_BH is not None and answer.upper_BH is not None
    trend, acceleration, regime = CASE.task.heads
    for head in (trend, regime):
        shares = answer.mean_BH[:, head.columns]
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
        assert (shares >= 0).all()
        np.testing.assert_array_equal(answer.lower_BH[:, head.columns], shares)
        np.testing.assert_array_equal(answer.upper_BH[:, head.columns], shares)
    assert acceleration.unit == ACCELERATION.unit == "pp"
    assert (answer.lower_BH[:, 3] < answer.mean_BH[:, 3]).all() and (answer.mean_BH[:, 3] < answer.upper_BH[:, 3]).all()


def test_a_graph_of_other_bounds_or_labels_does_not_answer_for_the_case() -> None:
    case = CASE
    graph = Graph.load(build_graph(ConstantCore(np.zeros(7)), case, None))
    require_answers(graph, case)
    trend, acceleration, regime = case.task.targets
    moved = replace(regime, bounds=(3.1, 6.0))
    renamed = replace(trend, labels=("down", "flat", "up"))
    for targets, named in (
        ((trend, acceleration, moved), r'"bounds": \[3.1, 5.9\].*needs .*"bounds": \[3.1, 6.0\]'),
        ((renamed, acceleration, regime), r'"falling", "stable", "rising".*needs .*"down", "flat", "up"'),
        ((acceleration, trend, regime), r'"name": "trend".*needs .*"name": "acceleration"'),
    ):
        changed = replace(case, task=replace(case.task, targets=targets))
        with pytest.raises(InvalidInput, match=f"The graph answers with .*{named}.*Train it again"):
            require_answers(graph, changed)
