"""A combination in a contest: made from the others without a fit, judged on the same windows, refitted with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from okawari.case import Case
from okawari.data.validation import check_readings
from okawari.dataset.folds import Folds, plan_folds
from okawari.dataset.windows import cut_windows
from okawari.evaluation.backtest import backtest
from okawari.evaluation.candidates import Contender
from okawari.evaluation.combination import plan_blocks
from okawari.evaluation.combined_contender import combine_contenders, join_models
from okawari.evaluation.contest import choose_winner
from okawari.evaluation.leaderboard import build_leaderboard
from okawari.evaluation.refit import refit_contender
from okawari.evaluation.softening import soften_predictions
from okawari.graph.inference import Graph
from okawari.models.boosting import Boosting
from okawari.models.combination import Combination, CombinedModel
from okawari.models.constant import Constant
from okawari.models.fit_context import no_progress
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.training.drawn_cases import draw_records
from tests.contract.test_candidates import COUNTED
from tests.contract.test_head_candidates import NUMBER

OF_SERIES = (RandomWalk(), SeasonalNaive(season=7), Linear(penalty=1.0), Sarima(seasonal_order=(1, 0, 0, 7)))
OF_RECORDS = (Constant(), Linear(penalty=1.0), RandomForest(n_trees=10, lags=1), Boosting(rounds=20, lags=1))


def _contend(case: Case, recipes: Sequence[Recipe]) -> tuple[Folds, list[Contender], Contender | None]:
    good = check_readings(case.source.read(None), case, datetime.now(UTC)).good
    folds = plan_folds(cut_windows(case.layout.stamp_records(good, case.time), case), case)
    contenders = [backtest(recipe, case, folds, no_progress) for recipe in recipes]
    combined = combine_contenders(Combination(), contenders, folds, case)
    return folds, contenders, combined


@pytest.fixture(scope="module", params=["series", "number", "label"])
def contest(request: pytest.FixtureRequest) -> tuple[Case, Folds, list[Contender], Contender]:
    case, recipes = {
        "series": (COUNTED, OF_SERIES),
        "number": (NUMBER, (Constant(), Linear(), Linear(penalty=3.0), RandomForest(n_trees=10, lags=1))),
        "label": (draw_records(), OF_RECORDS),
    }[request.param]
    folds, contenders, combined = _contend(case, recipes)
    assert combined is not None
    return case, folds, contenders, combined


Contest = tuple[Case, Folds, list[Contender], Contender]


def test_it_is_judged_on_the_same_windows_as_the_others(contest: Contest) -> None:
    _, folds, contenders, combined = contest
    assert combined.scores.losses_BK.shape == contenders[0].scores.losses_BK.shape
    assert combined.scores.n_windows == len(folds.judged)
    assert combined.scores.loss < contenders[0].scores.loss


def test_members_are_the_best_others_and_weights_those_of_a_mean(contest: Contest) -> None:
    _, _, contenders, combined = contest
    names = [each.contender.recipe.name for each in combined.members]
    weights = [each.weight for each in combined.members]
    assert contenders[0].recipe.name not in names and 2 <= len(names) <= 3
    assert sum(weights) == pytest.approx(1.0) and weights == sorted(weights, reverse=True)
    best = min(contenders[1:], key=lambda each: each.scores.losses_BK.mean())
    assert best.recipe.name in names


def test_its_graph_is_the_mean_of_the_graphs_of_the_last_fold(contest: Contest) -> None:
    case, folds, _, combined = contest
    assert isinstance(combined.model, CombinedModel)
    windows = folds.parts[-1].judged
    r_BH = soften_predictions(combined.model.predict(windows), folds.parts[-1].train, case).astype(np.float64)
    levels_BH = case.task.transform.backward(windows.level_B[:, None], r_BH)
    expected_BH = np.concatenate([head.answer(levels_BH[:, head.columns]) for head in case.task.heads], axis=1)
    expected_BH = case.task.transform.clip(expected_BH, case.target.lowest, case.target.maximum)
    answer = Graph.load(combined.graph).answer(windows.x_BTF)
    np.testing.assert_allclose(answer.mean_BH, expected_BH, rtol=1e-5, atol=1e-5)
    assert (answer.lower_BH is None) == (case.coverage_share is None)


def test_its_predictions_of_a_block_do_not_know_the_truth_of_that_block(contest: Contest) -> None:
    case, folds, contenders, combined = contest
    rows, _ = list(plan_blocks(folds))[-1]
    changed_JH = folds.judged.r_BH.copy()
    changed_JH[rows] = changed_JH[rows][:, ::-1] if case.coverage_share is None else changed_JH[rows] + 50
    blinded = replace(folds, judged=replace(folds.judged, r_BH=changed_JH))
    again = combine_contenders(Combination(), contenders, blinded, case)
    assert again is not None and again.r_JH is not None and combined.r_JH is not None
    np.testing.assert_array_equal(again.r_JH[rows], combined.r_JH[rows])


def test_the_windows_that_weigh_a_stretch_of_a_series_were_known_before_it(contest: Contest) -> None:
    case, folds, _, _ = contest
    for rows, taught in plan_blocks(folds):
        assert not set(rows) & set(taught)
        if case.horizon and rows.min() >= 10 + case.horizon:
            assert taught.max() + case.horizon <= rows.min()
        elif case.horizon:
            assert rows.max() + case.horizon <= taught.min()


def test_a_preferred_combination_is_the_challenger_before_a_single_candidate_that_looks_better(
    contest: Contest,
) -> None:
    case, _, contenders, combined = contest
    best = min(contenders[1:], key=lambda each: each.scores.losses_BK.mean())
    worse = replace(combined, scores=replace(best.scores, loss=1.01 * best.scores.loss), is_preferred=True)
    assert choose_winner([*contenders, worse], case.gate).challenger is worse
    assert choose_winner([*contenders, replace(worse, is_preferred=False)], case.gate).challenger is best
    hopeless = replace(worse, scores=contenders[0].scores)
    assert choose_winner([*contenders, hopeless], case.gate).challenger is best


def test_the_leaderboard_has_its_weights(contest: Contest) -> None:
    _, _, contenders, combined = contest
    rows = {row["candidate"]: row for row in build_leaderboard([*contenders, combined])}
    first = combined.members[0]
    assert rows["combination"]["members"].startswith(f"{first.contender.recipe.name} {first.weight:.0%}, ")
    assert rows[contenders[0].recipe.name]["members"] is None
    assert "members" not in build_leaderboard(contenders)[0]


def test_refitted_members_keep_their_weights(contest: Contest) -> None:
    case, folds, contenders, combined = contest
    models = {each.recipe.name: each.model for each in contenders}
    joined = join_models(models, combined.members, case)
    assert isinstance(combined.model, CombinedModel) and joined.weights == combined.model.weights
    np.testing.assert_array_equal(joined.predict(folds.judged[:5]), combined.model.predict(folds.judged[:5]))


def test_a_refit_fits_its_members_on_everything(contest: Contest) -> None:
    case, folds, _, combined = contest
    refit = refit_contender(combined, case, folds, no_progress)
    assert isinstance(refit.model, CombinedModel) and isinstance(combined.model, CombinedModel)
    assert refit.model.weights == combined.model.weights
    assert list(refit.model.members) == [each.contender.recipe.name for each in combined.members]
    alone = [refit_contender(each.contender, case, folds, no_progress) for each in combined.members]
    assert refit.n_taught == min(each.n_taught for each in alone) > len(folds.parts[0].train)
    models = {each.contender.recipe.name: own.model for each, own in zip(combined.members, alone, strict=True)}
    expected_BH = join_models(models, combined.members, case).predict(folds.judged)
    np.testing.assert_array_equal(refit.model.predict(folds.judged), expected_BH)


def test_there_is_none_of_a_single_candidate(contest: Contest) -> None:
    case, folds, contenders, _ = contest
    assert combine_contenders(Combination(), contenders[:2], folds, case) is None


def test_there_is_none_where_one_candidate_is_far_ahead() -> None:
    assert _contend(NUMBER, OF_RECORDS)[2] is None  # its numbers follow a linear rule
