"""Trees: what their graphs keep of them, what stops a booster, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from okawari.case import Case, Forecast
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.graph.quantizer import build_variants
from okawari.graph.trees import build_trees_stage
from okawari.graph.weights import has_trees
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.cores import TreesCore
from okawari.models.fit_context import TrainingData, Workbench, no_progress
from okawari.models.forest import RandomForest
from okawari.models.lag_features import TargetScale, flatten_lags
from okawari.models.light_gbm import LightGbm
from okawari.models.losses import joint_loss
from okawari.models.protocols import Recipe
from okawari.models.windows import WindowSet
from okawari.schema.heads import LabelHead, NumberHead

RECIPES: tuple[Recipe, ...] = (
    RandomForest(n_trees=20, lags=8),
    Boosting(rounds=20, lags=8),
    LightGbm(rounds=20, patience=0, lags=8, row_share=0.7),
)


HEADS = (
    LabelHead(name="grows", start=0, words=("no", "yes")),
    NumberHead(name="by", start=2),
)
"""Labels and a number side by side, as wide as the small case's answer."""


@pytest.fixture
def split(small_case: Case, readings: pd.DataFrame) -> Split:
    return split_windows(cut_windows(readings, small_case), small_case)


@pytest.fixture
def data(split: Split) -> TrainingData:
    return TrainingData(split.train, split.validation, seed=7)


@pytest.fixture
def mixed(split: Split) -> TrainingData:
    """Whether the series grows, and by how many hundredths."""
    return TrainingData(_mix(split.train), _mix(split.validation), seed=7, heads=HEADS)


def _mix(windows: WindowSet) -> WindowSet:
    grown_B = windows.r_BH[:, 0]
    r_BH = np.column_stack([grown_B <= 0, grown_B > 0, 100 * grown_B]).astype(np.float32)
    # The first feature of the newest step tells, so that there is something to learn.
    z_BSK = windows.z_BSK.copy()
    z_BSK[:, -1, 0] += grown_B
    return replace(windows, r_BH=r_BH, z_BSK=z_BSK)


def _answer(graph: bytes, windows: WindowSet) -> np.ndarray:
    mean_BH = Graph.load(graph).answer(windows.x_BTF).mean_BH.astype(np.float64)
    return np.log(mean_BH / windows.level_B.astype(np.float32)[:, None])


def test_the_newest_lags_stand_in_one_row_oldest_first() -> None:
    z_BSK = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)
    np.testing.assert_array_equal(flatten_lags(z_BSK, 2), [[6, 7, 8, 9, 10, 11], [18, 19, 20, 21, 22, 23]])


def test_the_scale_of_returns_goes_there_and_back_and_keeps_a_step_that_never_moves() -> None:
    r_BH = np.array([[0.1, 0.5], [0.3, 0.5]], dtype=np.float32)
    scale = TargetScale.measure(r_BH)
    np.testing.assert_allclose(scale.standardise(r_BH), [[-1, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(scale.restore(scale.standardise(r_BH)), r_BH, rtol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_graph_goes_down_the_same_branches_on_the_rows_that_set_the_thresholds(
    recipe: Recipe, data: TrainingData, small_case: Case
) -> None:
    # XGBoost splits at values that training rows have, so one bit off would send whole rows to another leaf.
    model = recipe.fit(data, no_progress)
    answered = _answer(build_graph(model.core(), small_case, None), data.train)
    np.testing.assert_allclose(answered, model.predict(data.train), atol=1e-6)
    assert np.unique(answered[:, 0]).size > 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_equal_fits_give_equal_graphs(recipe: Recipe, data: TrainingData, small_case: Case) -> None:
    first, second = (build_graph(recipe.fit(data, no_progress).core(), small_case, None) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_threads_change_no_answer(recipe: Recipe, data: TrainingData) -> None:
    alone, together = recipe.fit(data, no_progress), recipe.fit(replace(data, bench=Workbench(threads=2)), no_progress)
    np.testing.assert_allclose(together.predict(data.validation), alone.predict(data.validation), atol=1e-6)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_trees_stay_in_fp32_and_the_reason_says_why(recipe: Recipe, data: TrainingData, small_case: Case) -> None:
    graph = build_graph(recipe.fit(data, no_progress).core(), small_case, None)
    variants = build_variants(graph)
    assert has_trees(graph) and dict(variants.contents) == {"fp32": graph}
    assert variants.reason is not None and "trees" in variants.reason


def test_every_step_ahead_has_trees_of_its_own(data: TrainingData, small_case: Case) -> None:
    for recipe in RECIPES:
        answered = _answer(build_graph(recipe.fit(data, no_progress).core(), small_case, None), data.train)
        spread_H = answered.std(axis=0)
        assert (spread_H > 0).all() and spread_H[-1] > spread_H[0]  # returns over more days lie further apart


def test_a_graph_of_trees_says_nothing_of_its_converter(data: TrainingData, small_case: Case) -> None:
    for recipe in RECIPES:
        model = onnx.load_model_from_string(build_graph(recipe.fit(data, no_progress).core(), small_case, None))
        assert (model.producer_name, model.producer_version, model.doc_string) == ("okawari", "", "")
        assert {each.domain for each in model.opset_import} == {"", "ai.onnx.ml"}
        assert not any(each.name == "nodes_hitrates" for node in model.graph.node for each in node.attribute)


def test_boosting_stops_after_its_patience_keeps_the_best_round_and_reports_each(data: TrainingData) -> None:
    seen = []
    recipe = Boosting(rounds=200, patience=5, learning_rate=0.3, lags=8)
    model = recipe.fit(data, lambda done, planned, numbers: seen.append((done, planned, dict(numbers))))
    losses = [numbers["valid_loss"] for numbers in model.history]
    best = losses.index(min(losses))
    assert [done for done, _, _ in seen] == list(range(1, len(losses) + 1)) and len(losses) == best + 1 + 5 < 200
    assert {booster.num_boosted_rounds() for booster in model.boosters} == {best + 1}
    scale, validation = model.scale, data.validation
    predicted_BH = scale.standardise(model.predict(validation))
    assert np.mean((predicted_BH - scale.standardise(validation.r_BH)) ** 2) == pytest.approx(losses[best], rel=1e-4)


def test_losses_of_boosting_are_in_training_variances(data: TrainingData) -> None:
    model = Boosting(rounds=1, learning_rate=1e-6, lags=8).fit(data, no_progress)
    assert model.history[0]["train_loss"] == pytest.approx(1.0, rel=1e-4)  # one tiny step away from the mean


# --- labels and numbers side by side ------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_graph_says_what_the_model_says_of_labels_and_numbers_side_by_side(
    recipe: Recipe, mixed: TrainingData, small_case: Case
) -> None:
    model = recipe.fit(mixed, no_progress)
    stage = build_trees_stage(model.core(), small_case)
    session = onnxruntime.InferenceSession(stage.SerializeToString(), providers=["CPUExecutionProvider"])
    for windows in (mixed.train, mixed.validation):
        [r_BH] = session.run(["r"], {"z": windows.z_BSK})
        np.testing.assert_allclose(r_BH, model.predict(windows), atol=1e-5, rtol=1e-5)


def test_logarithms_are_taken_where_trees_say_shares_and_nowhere_else(
    data: TrainingData, mixed: TrainingData, small_case: Case
) -> None:
    def list_operators(recipe: Recipe, learnt: TrainingData) -> set[str]:
        core = recipe.fit(learnt, no_progress).core()
        return {node.op_type for node in build_trees_stage(core, small_case).graph.node}

    forest, *boosters = RECIPES
    assert {"Log", "Max", "Where"} <= list_operators(forest, mixed)
    for recipe, learnt in ((forest, data), *product(boosters, (data, mixed))):
        assert not {"Log", "Max", "Where"} & list_operators(recipe, learnt)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_head_learns_beside_the_other(recipe: Recipe, mixed: TrainingData) -> None:
    predicted_BH = recipe.fit(mixed, no_progress).predict(mixed.validation)
    floor_BH = Constant().fit(mixed, no_progress).predict(mixed.validation)
    for head in HEADS:
        own = (replace(head, start=0),)
        true_BH = mixed.validation.r_BH[:, head.columns]
        losses = [joint_loss(each[:, head.columns], true_BH, own) for each in (predicted_BH, floor_BH)]
        assert losses[0] < 0.95 * losses[1], head.name


def test_a_forest_says_logarithms_of_shares_and_none_is_impossible(mixed: TrainingData) -> None:
    model = RandomForest(n_trees=20, lags=8, min_leaf=1).fit(mixed, no_progress)
    shares_BH = np.exp(model.predict(mixed.train)[:, :2].astype(np.float64))
    np.testing.assert_allclose(shares_BH.sum(axis=1), 1, atol=1e-5)
    assert shares_BH.min() == pytest.approx(1e-6, rel=1e-3)


def test_boosting_of_labels_and_numbers_stops_by_the_sum_of_their_losses(mixed: TrainingData) -> None:
    recipe = Boosting(rounds=60, patience=5, learning_rate=0.3, lags=8)
    model, validation = recipe.fit(mixed, no_progress), mixed.validation
    predicted_BH, true_BH, std = model.predict(validation), validation.r_BH, mixed.train.r_BH[:, 2].std()
    two = (LabelHead(name="grows", start=0, words=("no", "yes")),)
    loss = joint_loss(predicted_BH[:, :2], true_BH[:, :2], two) + float(
        np.mean(((predicted_BH - true_BH)[:, 2] / std) ** 2)
    )
    assert min(numbers["valid_loss"] for numbers in model.history) == pytest.approx(loss, rel=1e-4)


def test_boosting_begins_with_how_often_each_label_came(mixed: TrainingData) -> None:
    model = Boosting(rounds=1, learning_rate=1e-6, lags=8).fit(mixed, no_progress)
    shares_H = mixed.train.r_BH[:, :2].mean(axis=0)
    np.testing.assert_allclose(
        np.exp(model.predict(mixed.train)[:, :2]), np.tile(shares_H, (len(mixed.train), 1)), rtol=1e-4
    )


@pytest.mark.parametrize(
    "recipe", [RandomForest(lags=20), Boosting(lags=20), LightGbm(lags=20)], ids=lambda recipe: recipe.name
)
def test_more_lags_than_a_window_has_are_refused(recipe: Recipe, data: TrainingData) -> None:
    with pytest.raises(InvalidInput, match="lags is 20; a window of this case has 11 feature steps"):
        recipe.fit(data, no_progress)


def test_trees_of_another_case_are_refused(data: TrainingData, small_case: Case) -> None:
    core = RandomForest(n_trees=2, lags=8).fit(data, no_progress).core()
    with pytest.raises(InvalidInput, match=r"TreesCore\.lags is 8; a window has 5 feature steps"):
        build_graph(core, replace(small_case, task=Forecast(target="close", history=6, horizon=3)), None)
    with pytest.raises(InvalidInput, match="Fit it for this case"):
        build_graph(TreesCore(core.trees, 8, np.zeros(5), np.ones(5), np.zeros(5, dtype=bool)), small_case, None)
