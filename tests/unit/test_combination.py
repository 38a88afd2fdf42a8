"""A combination: its weights, its honest predictions, its graph, and where it may stand among the candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.evaluation.combination import Judged, choose_weights, is_preferred, predict_out_of_sample
from okawari.models.combination import Combination, CombinedModel, mix_predictions
from okawari.models.constant import Constant
from okawari.models.cores import CombinedCore, ConstantCore
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.schema.heads import LabelHead, NumberHead
from okawari.training.drawn_cases import draw_records
from okawari.training.recipe_trial import split_source

NUMBER = NumberHead(name="y", start=0, n_steps=2)
LABEL = LabelHead(name="side", start=2, words=("left", "right"))
N = 400


def _draw(errors: tuple[float, ...], shared: float = 0.0, seed: int = 1) -> Judged:
    """Predictions of two steps whose errors have these sizes; `shared` is an error that all have in common."""
    random = np.random.default_rng(seed)
    true_JH = random.normal(0, 3, (N, 2))
    common_JH = shared * random.normal(size=(N, 2))
    said = [true_JH + common_JH + size * random.normal(size=(N, 2)) for size in errors]
    return Judged(said_MJH=np.stack(said), floor_JH=np.zeros((N, 2)), true_JH=true_JH, heads=(NUMBER,))


# --- weights ------------------------------------------------------------------------------------------------------


def test_equally_good_candidates_get_about_equal_weights() -> None:
    weight_M = choose_weights(_draw((1.0, 1.0, 1.0)), most=3)
    assert weight_M.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weight_M, 1 / 3, atol=0.06)


def test_the_better_candidate_weighs_more_and_the_worst_of_four_nothing() -> None:
    weight_M = choose_weights(_draw((3.0, 1.0, 1.3, 6.0)), most=2)
    assert weight_M[0] == weight_M[3] == 0.0
    assert weight_M[1] > weight_M[2] > 0.2


def test_a_candidate_far_ahead_stays_alone() -> None:
    assert not choose_weights(_draw((0.1, 2.0, 3.0)), most=3).any()


def test_losses_are_in_units_of_the_baseline_at_each_step() -> None:
    judged = _draw((1.0,))
    scaled = replace(judged, said_MJH=judged.said_MJH * [1, 1e3], true_JH=judged.true_JH * [1, 1e3])
    assert scaled.measure(scaled.said_MJH[0]) == pytest.approx(judged.measure(judged.said_MJH[0]))
    errors_H = ((judged.said_MJH[0] - judged.true_JH) ** 2).mean(axis=0) / (judged.true_JH**2).mean(axis=0)
    assert judged.measure(judged.said_MJH[0]) == pytest.approx(errors_H.mean())


def test_labels_are_weighed_by_log_loss_and_heads_count_alike() -> None:
    random = np.random.default_rng(2)
    is_right = random.random(N) < 0.5
    true_JH = np.column_stack([random.normal(size=(N, 2)), ~is_right, is_right]).astype(np.float64)
    said_JH = np.column_stack([np.zeros((N, 2)), np.zeros(N), np.where(is_right, 2.0, -2.0)])
    judged = Judged(said_MJH=said_JH[None], floor_JH=np.zeros((N, 4)), true_JH=true_JH, heads=(NUMBER, LABEL))
    surprise = np.log1p(np.exp(-2.0)) / np.log(2)
    assert judged.measure(said_JH) == pytest.approx((1.0 + surprise) / 2)


# --- honest predictions -------------------------------------------------------------------------------------------


def _halve() -> list[tuple[np.ndarray, np.ndarray]]:
    first, second = np.arange(N // 2), np.arange(N // 2, N)
    return [(first, second), (second, first)]


def test_a_block_is_predicted_without_its_own_truth() -> None:
    judged, blocks = _draw((1.0, 1.2, 1.5)), _halve()
    said_JH = predict_out_of_sample(judged, blocks, most=3)
    first = blocks[0][0]
    changed = judged.true_JH.copy()
    changed[first] = 99.0
    again_JH = predict_out_of_sample(replace(judged, true_JH=changed), blocks, most=3)
    np.testing.assert_array_equal(again_JH[first], said_JH[first])
    assert not np.array_equal(again_JH[N // 2 :], said_JH[N // 2 :])


def test_a_block_without_other_windows_gets_the_median() -> None:
    judged = _draw((1.0, 1.0, 50.0))
    first, rest = np.arange(100), np.arange(100, N)
    said_JH = predict_out_of_sample(judged, [(first, first[:0]), (rest, first)], most=3)
    np.testing.assert_allclose(said_JH[first], np.median(judged.said_MJH[:, first], axis=0))


def test_it_is_preferred_unless_picking_the_best_is_clearly_better() -> None:
    judged, blocks = _draw((1.0, 1.02, 1.04)), _halve()
    good_JH = predict_out_of_sample(judged, blocks, most=3)
    assert is_preferred(judged, good_JH, blocks)
    assert is_preferred(judged, judged.said_MJH[1], blocks)
    assert not is_preferred(judged, judged.true_JH + 1.2 * (judged.said_MJH[0] - judged.true_JH), blocks)


def test_the_mean_of_different_errors_is_better_than_the_best() -> None:
    judged = _draw((1.0, 1.0, 1.1, 4.0))
    said_JH = predict_out_of_sample(judged, _halve(), most=3)
    best = min(judged.measure(said) for said in judged.said_MJH)
    assert judged.measure(said_JH) < 0.6 * best


# --- models and graphs --------------------------------------------------------------------------------------------


def test_numbers_are_averaged_and_labels_by_their_probabilities() -> None:
    said_KBH = np.array([[[1.0, 2.0, 0.0, 3.0]], [[3.0, 6.0, 1.0, -1.0]]])
    mixed = mix_predictions(said_KBH, (0.25, 0.75), (NUMBER, LABEL))
    np.testing.assert_allclose(mixed[0, :2], [2.5, 5.0])
    shares = [1 / (1 + np.exp(-3.0)), 1 / (1 + np.exp(2.0))]
    np.testing.assert_allclose(np.exp(mixed[0, 3]), 0.25 * shares[0] + 0.75 * shares[1])


def test_a_member_with_a_probability_of_nothing_leaves_logarithms_finite() -> None:
    said_KBH = np.array([[[0.0, -2000.0]], [[0.0, -2000.0]]])
    mixed = mix_predictions(said_KBH, (0.5, 0.5), (replace(LABEL, start=0),))
    assert np.isfinite(mixed).all() and mixed[0, 0] == pytest.approx(0.0)


def test_quantized_variants_of_a_combination_answer_as_it_does() -> None:
    from okawari.graph.build import build_graph
    from okawari.graph.inference import Graph
    from okawari.graph.quantizer import build_variants

    case = draw_records()
    split = split_source(case)
    data = TrainingData(split.train, split.validation, seed=7, heads=case.task.heads)
    members = {str(penalty): Linear(penalty=penalty).fit(data, no_progress) for penalty in (1.0, 100.0)}
    model = CombinedModel(members=members, weights=(0.3, 0.7), heads=case.task.heads)
    contents = build_variants(build_graph(model.core(), case, None), min_elements=1).contents
    x_BTF = split.holdout.x_BTF
    full = Graph.load(contents["fp32"]).answer(x_BTF).mean_BH
    expected = case.task.heads[0].answer(model.predict(split.holdout).astype(np.float64))
    np.testing.assert_allclose(full, expected, atol=1e-6)
    assert set(contents) == {"fp32", "uint8", "int8"}
    for content in contents.values():
        np.testing.assert_allclose(Graph.load(content).answer(x_BTF).mean_BH, full, atol=0.02)


@pytest.mark.parametrize("weights", [(1.0,), (0.5, 0.4), (1.5, -0.5), (1.0, 0.0)])
def test_weights_that_are_not_those_of_a_mean_are_refused(weights: tuple[float, ...]) -> None:
    core = ConstantCore(np.zeros(1))
    with pytest.raises(InvalidInput, match="CombinedCore"):
        CombinedCore((core, core), weights)


# --- the recipe ---------------------------------------------------------------------------------------------------


def test_it_has_no_fit_of_its_own_and_says_how_it_is_made() -> None:
    split = split_source(draw_records())
    with pytest.raises(InvalidInput, match="makes it from the other candidates"):
        Combination().fit(TrainingData(split.train, split.validation, seed=1), no_progress)
    with pytest.raises(InvalidInput, match=r"Combination\.most is 1"):
        Combination(most=1)


def test_a_case_needs_two_members_that_are_not_the_baseline(small_case: Case) -> None:
    seasons = (SeasonalNaive(season=2), SeasonalNaive(season=5))
    assert replace(small_case, candidates=(RandomWalk(), *seasons, Combination())).candidates[-1].name == "combination"
    with pytest.raises(InvalidInput, match=r"has a Combination of \['seasonal_naive_2'\]"):
        replace(small_case, candidates=(RandomWalk(), seasons[0], Combination()))
    with pytest.raises(InvalidInput, match="as its baseline"):
        replace(small_case, candidates=(Combination(), *seasons))


def test_a_constant_mean_is_the_mean_of_constants() -> None:
    case = draw_records()
    split = split_source(case)
    data = TrainingData(split.train, split.validation, seed=7, heads=case.task.heads)
    constant = Constant().fit(data, no_progress)
    model = CombinedModel(members={"a": constant, "b": constant}, weights=(0.4, 0.6), heads=case.task.heads)
    own = case.task.heads[0].answer(constant.predict(split.holdout).astype(np.float64))
    both = case.task.heads[0].answer(model.predict(split.holdout).astype(np.float64))
    np.testing.assert_allclose(both, own, atol=1e-6)
