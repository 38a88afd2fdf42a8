"""LightGBM: which rows go down which branch, when each booster stops, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import ARRIVED, Case, Column, Regress
from okawari.dataset.splits import Split
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.constant import Constant
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.light_gbm import LightGbm
from okawari.models.tree_tables import round_down
from okawari.training.drawn_cases import draw_series
from okawari.training.recipe_trial import split_source
from tests.contract.test_head_candidates import LABEL, NUMBER, TARGETS


def _read(case: Case) -> tuple[Split, TrainingData]:
    split = split_source(case)
    return split, TrainingData(split.train, split.validation, seed=7, heads=case.task.heads)


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.floats(allow_nan=False, width=32))
def test_a_rounded_threshold_parts_float32_numbers_as_the_exact_one_does(threshold: float, value: float) -> None:
    with np.errstate(over="ignore"):
        rounded = round_down(np.array([threshold]))[0]
    assert (np.float32(value) <= rounded) == (value <= threshold)


def test_rows_at_the_very_threshold_go_where_the_library_sends_them() -> None:
    split, data = _read(NUMBER)
    model = LightGbm(rounds=60, lags=1, min_leaf=2, patience=0).fit(data, no_progress)
    questions = split.train.x_BTF.copy()
    trees = model.boosters[0].trees_to_dataframe()
    cuts = trees[trees["split_feature"] == "Column_0"]["threshold"].to_numpy()
    assert len(cuts) > 5
    near = cuts[:, None].astype(np.float32)
    values = np.concatenate([near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))])
    questions = np.repeat(questions[:1], len(values), axis=0)
    questions[:, 0, 0] = values[:, 0]
    flat = np.repeat(split.train.z_BSK[:1, 0], len(values), axis=0)
    flat[:, 0] = values[:, 0]
    expected = model.boosters[0].predict(flat) * model.scale.std_H + model.scale.mean_H
    answered = Graph.load(build_graph(model.core(), NUMBER, None)).answer(questions).mean_BH[:, 0]
    np.testing.assert_allclose(answered, expected, rtol=1e-6)


def test_two_labels_are_learned_as_the_library_learns_them() -> None:
    two = replace(LABEL, task=replace(LABEL.task, target=replace(LABEL.task.target, labels=("low", "high"))))
    split, data = _read(two)
    whole = {"row_share": 1.0, "feature_share": 1.0, "leaves": 31, "lags": 1, "learning_rate": 0.1}
    model = LightGbm(rounds=30, min_leaf=4, patience=0, **whole).fit(data, no_progress)
    plain = lightgbm.LGBMClassifier(
        n_estimators=30, min_child_samples=4, learning_rate=0.1, random_state=7, n_jobs=1, verbosity=-1
    ).fit(split.train.z_BSK[:, 0], split.train.r_BH.argmax(axis=1))
    [head] = two.task.heads
    shares = head.answer(model.predict(split.holdout).astype(np.float64))
    np.testing.assert_allclose(shares, plain.predict_proba(split.holdout.z_BSK[:, 0]), atol=1e-6)


def test_each_step_has_a_booster_that_stops_by_its_own_loss() -> None:
    split, data = _read(draw_series())
    recipe = LightGbm(rounds=100, patience=4, lags=8, min_leaf=4, leaves=7)
    model = recipe.fit(data, no_progress)
    assert model.settle().rounds == tuple(booster.num_trees() for booster in model.boosters)
    assert len(model.boosters) == split.train.r_BH.shape[1]
    errors = model.scale.standardise(model.predict(split.validation)) - model.scale.standardise(split.validation.r_BH)
    last = model.history[-1]["valid_loss"]
    assert min(numbers["valid_loss"] for numbers in model.history) >= float(np.mean(errors**2)) - 1e-6
    assert last >= float(np.mean(errors**2)) - 1e-6


def test_rounds_for_another_number_of_boosters_are_refused() -> None:
    _, data = _read(TARGETS)
    with pytest.raises(InvalidInput, match="rounds has 7 numbers; the answer takes"):
        LightGbm(rounds=(1,) * 7, lags=8).fit(data, no_progress)


def test_a_target_that_never_varies_is_answered() -> None:
    case = Case(
        name="flat", title="Flat", source=NUMBER.source, time=ARRIVED, columns=NUMBER.columns,
        task=Regress(target=Column(name="number")), candidates=(Constant(),), gate=NUMBER.gate,
    )  # fmt: skip
    split, data = _read(case)
    flat = replace(data, train=replace(data.train, r_BH=np.full_like(data.train.r_BH, 3.0)))
    model = LightGbm(lags=1, rounds=5).fit(flat, no_progress)
    np.testing.assert_allclose(model.predict(split.holdout), 3.0, rtol=1e-6)
    answered = Graph.load(build_graph(model.core(), case, None)).answer(split.holdout.x_BTF)
    np.testing.assert_allclose(answered.mean_BH, 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rounds": 0}, "LightGbm.rounds is 0"),
        ({"rounds": ()}, "LightGbm.rounds is"),
        ({"patience": -1}, "LightGbm.patience is -1"),
        ({"leaves": 1}, "LightGbm.leaves is 1"),
        ({"min_leaf": 0}, "LightGbm.min_leaf is 0"),
        ({"row_share": 0.0}, "LightGbm.row_share is 0.0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        LightGbm(**settings)  # type: ignore[arg-type]
