"""The leaderboard: what it shows, in which order, and against whom skill is measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import Contender, choose_candidates, fit_contender
from okawari.evaluation.leaderboard import build_cards, build_leaderboard
from okawari.models.fit_context import no_progress
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive

PER_STEP = ("rmse", "skill_share", "mae", "mase", "directional_accuracy", "interval_score", "coverage_share")


@pytest.fixture
def contenders(small_case: Case, readings: pd.DataFrame) -> list[Contender]:
    split = split_windows(cut_windows(readings, small_case), small_case)
    recipes = (RandomWalk(), SeasonalNaive(season=5), SeasonalNaive(season=3))
    return [fit_contender(recipe, small_case, split, no_progress) for recipe in recipes]


def test_every_row_tells_both_steps_the_seconds_and_the_size(contenders: list[Contender]) -> None:
    later, last = (f"{name}_step_3" for name in PER_STEP), ("relative_loss", "p_value", "fit_s", "graph_bytes")
    names = {"candidate", *PER_STEP, *later, *last}
    for row in build_leaderboard(contenders):
        assert set(row) == names
        [contender] = [each for each in contenders if each.recipe.name == row["candidate"]]
        assert row["graph_bytes"] == len(contender.graph) and row["fit_s"] == contender.fit_s
        numbers = contender.scores.numbers
        assert (row["rmse"], row["rmse_step_3"]) == (numbers["rmse"], numbers["rmse_step_3"])


def test_the_losses_of_each_window_are_those_of_every_step(contenders: list[Contender]) -> None:
    for scores in (each.scores for each in contenders):
        assert scores.losses_BK.shape == scores.interval_losses_BK.shape == (scores.n_windows, 3)
        rmse_K, interval_K = np.sqrt(scores.losses_BK.mean(axis=0)), scores.interval_losses_BK.mean(axis=0)
        assert rmse_K[[0, 2]] == pytest.approx([scores.numbers["rmse"], scores.numbers["rmse_step_3"]])
        assert interval_K[[0, 2]] == pytest.approx(
            [scores.numbers["interval_score"], scores.numbers["interval_score_step_3"]]
        )


def test_skill_is_measured_against_the_baseline_at_the_same_step(contenders: list[Contender]) -> None:
    rows = {row["candidate"]: row for row in build_leaderboard(contenders)}
    assert (rows["random_walk"]["skill_share"], rows["random_walk"]["skill_share_step_3"]) == (0, 0)
    # Three steps ahead a season of three is the random walk itself.
    assert rows["seasonal_naive_3"]["skill_share_step_3"] == pytest.approx(0, abs=1e-6)
    for step in ("", "_step_3"):
        ratio = rows["seasonal_naive_5"][f"rmse{step}"] / rows["random_walk"][f"rmse{step}"]
        assert rows["seasonal_naive_5"][f"skill_share{step}"] == pytest.approx(1 - ratio)


def test_a_row_tells_how_far_its_gain_may_be_luck(contenders: list[Contender]) -> None:
    told = {row["candidate"]: row["p_value"] for row in build_leaderboard(contenders)}
    assert told == {card.candidate: card.p_value for card in build_cards(contenders)}
    assert told["random_walk"] is None and told["seasonal_naive_5"] == pytest.approx(1, abs=0.05)


def test_the_best_over_all_steps_stands_first(contenders: list[Contender]) -> None:
    rows = build_leaderboard(contenders)
    assert rows[0]["candidate"] == "random_walk"
    assert [row["relative_loss"] for row in rows] == sorted(row["relative_loss"] for row in rows)
    floor_K = contenders[0].scores.losses_BK.mean(axis=0)
    for row, scores in (
        (row, each.scores) for row in rows for each in contenders if each.recipe.name == row["candidate"]
    ):
        assert row["relative_loss"] == pytest.approx(
            np.sqrt((scores.losses_BK.mean(axis=0) / floor_K).mean()), rel=0.05
        )


def test_named_candidates_train_beside_the_baseline_and_a_name_of_none_is_refused(small_case: Case) -> None:
    chosen = choose_candidates(small_case, ("sarima_211_1005", "of_another_case"))
    assert [recipe.name for recipe in chosen] == ["random_walk", "sarima_211_1005"]
    assert choose_candidates(small_case, ()) == small_case.candidates
    with pytest.raises(InvalidInput, match="case aapl has random_walk, sarima_211_1005"):
        choose_candidates(small_case, ("sarima",))
