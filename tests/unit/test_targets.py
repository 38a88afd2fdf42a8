"""Several targets at once: how they are scored, compared, judged by outcomes, and told in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitoring.performance import PerformanceVerdict, join_verdicts, measure_hits, measure_performance
from okawari.case import Anticipate, Case
from okawari.cases.loader import load_case
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import Contender, fit_contender
from okawari.evaluation.leaderboard import build_cards, build_leaderboard
from okawari.evaluation.scores import score_answer
from okawari.evaluation.variants import measure_variants
from okawari.graph.build import build_graph
from okawari.graph.inference import Answer, Graph
from okawari.graph.quantizer import Variants, build_variants
from okawari.loop.lineage import _format_prediction
from okawari.models.constant import Constant
from okawari.models.cores import AffineCore
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.persistence import Persistence
from okawari.models.windows import WindowSet

CPI = load_case("cpi")
TASK = CPI.task
assert isinstance(TASK, Anticipate)
TREND, ACCELERATION, REGIME = TASK.targets


def _ask(*targets: Any) -> Case:
    """The case with these targets alone."""
    return replace(CPI, task=replace(TASK, targets=targets))


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    return CPI.source.read()


@pytest.fixture(scope="module")
def split(readings: pd.DataFrame) -> Split:
    return split_windows(cut_windows(readings, CPI), CPI)


@pytest.fixture(scope="module")
def contenders(split: Split) -> list[Contender]:
    return [fit_contender(each, CPI, split, no_progress) for each in (Persistence(), Constant(), Linear(penalty=1.0))]


def _draw_answer(windows: WindowSet) -> Answer:
    """Probabilities and numbers that somebody may say, with an interval of 2 either way."""
    said_BH = np.random.default_rng(4).uniform(0.1, 1, windows.r_BH.shape)
    for head in TASK.heads:
        if head.labels:
            said_BH[:, head.columns] /= said_BH[:, head.columns].sum(axis=1, keepdims=True)
    mean_BH = said_BH.astype(np.float32)
    half_H = np.array([0, 0, 0, 2, 0, 0, 0], np.float32)
    return Answer(mean_BH, mean_BH - half_H, mean_BH + half_H, 0.9)


# --- scores -------------------------------------------------------------------------------------------------------


def test_the_joint_loss_equals_its_naive_version(split: Split) -> None:
    windows = split.holdout
    answer, true_BH = _draw_answer(windows), windows.r_BH.astype(np.float64)
    scores = score_answer(answer, windows, CPI)
    naive_B = []
    for said, true in zip(answer.mean_BH.astype(np.float64), true_BH, strict=True):
        trend = -np.log(said[:3][true[:3] == 1][0]) / np.log(3)
        regime = -np.log(said[4:][true[4:] == 1][0]) / np.log(3)
        naive_B.append((trend + (said[3] - true[3]) ** 2 / true_BH[:, 3].var() + regime) / 3)
    np.testing.assert_allclose(scores.losses_BK.mean(axis=1), naive_B, rtol=1e-5)
    assert scores.loss == pytest.approx(np.mean(naive_B)) == scores.numbers["joint_loss"]
    assert scores.losses_BK.mean() == pytest.approx(scores.loss)
    assert (scores.loss_name, scores.n_windows) == ("joint loss", 40)


def test_whoever_knows_nothing_has_a_joint_loss_of_one(split: Split) -> None:
    ignorant_BH = np.full_like(split.holdout.r_BH, 1 / 3)
    ignorant_BH[:, 3] = split.holdout.r_BH[:, 3].mean()
    assert score_answer(Answer(ignorant_BH), split.holdout, CPI).loss == pytest.approx(1.0, rel=1e-5)


def test_scores_stand_under_the_targets_names_and_the_interval_is_that_of_the_first_number(split: Split) -> None:
    scores = score_answer(_draw_answer(split.holdout), split.holdout, CPI)
    true_B, said_B = split.holdout.r_BH[:, 3], _draw_answer(split.holdout).mean_BH[:, 3]
    assert scores.coverage_share == pytest.approx(np.mean(np.abs(true_B - said_B) <= 2))
    assert scores.numbers["acceleration_coverage_share"] == scores.coverage_share
    assert scores.numbers["acceleration_rmse"] == pytest.approx(np.sqrt(np.mean((true_B - said_B) ** 2)), rel=1e-5)
    assert {"trend_log_loss", "trend_accuracy", "regime_balanced_accuracy"} <= set(scores.numbers)


@pytest.mark.parametrize(
    ("targets", "loss_name"),
    [((ACCELERATION,), "RMSE"), ((TREND,), "log loss"), ((TREND, REGIME), "joint loss"), ((ACCELERATION,) * 2, "")],
)
def test_numbers_alone_labels_alone_and_one_target_are_scored_calibrated_and_answered(
    readings: pd.DataFrame, targets: tuple[Any, ...], loss_name: str
) -> None:
    if not loss_name:
        targets, loss_name = (ACCELERATION, replace(ACCELERATION, name="speed", change=False)), "joint loss"
    case = _ask(*targets)
    split = split_windows(cut_windows(readings, case), case)
    for recipe in (Persistence(), Linear(penalty=1.0), Lstm(hidden=4, layers=1, fc=4, epochs=1)):
        contender = fit_contender(recipe, case, split, no_progress)
        assert contender.scores.loss_name == loss_name
        has_interval = any(not target.labels for target in targets)
        assert (contender.answer.lower_BH is not None) == has_interval == (contender.card.interval_score is not None)


def test_a_model_of_older_targets_has_no_card(split: Split, contenders: list[Contender]) -> None:
    from okawari.evaluation.candidates import score_graph

    fewer = _ask(TREND)
    windows = cut_windows(CPI.source.read(), fewer)
    assert score_graph("linear_1", contenders[2].graph, split.holdout, CPI) is not None
    assert score_graph("linear_1", contenders[2].graph, windows, fewer) is None


# --- leaderboard --------------------------------------------------------------------------------------------------


def test_every_target_has_its_skill_and_the_baseline_no_p_value(contenders: list[Contender]) -> None:
    rows = {row["candidate"]: row for row in build_leaderboard(contenders)}
    floor, other = rows["persistence"], rows["linear_1"]
    for skill, loss in (
        ("skill_share", "joint_loss"),
        ("trend_skill_share", "trend_log_loss"),
        ("acceleration_skill_share", "acceleration_rmse"),
        ("regime_skill_share", "regime_log_loss"),
    ):
        assert floor[skill] == 0
        assert other[skill] == pytest.approx(1 - other[loss] / floor[loss])
    assert floor["p_value"] is None and 0 <= other["p_value"] <= 1
    assert other["p_value"] == next(card.p_value for card in build_cards(contenders) if card.candidate == "linear_1")


def _list_tables(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.strip().splitlines()]


def test_the_terminal_shows_a_table_for_each_target(
    contenders: list[Contender], capsys: pytest.CaptureFixture[str]
) -> None:
    from okawari.cli.output import show_leaderboard

    show_leaderboard(build_leaderboard(contenders), "the training")
    lines = _list_tables(capsys)
    assert lines[:2] == [
        ["the", "training"],
        [
            "candidate",
            "joint",
            "loss",
            "skill",
            "share",
            "relative",
            "loss",
            "p",
            "value",
            "fit",
            "s",
            "graph",
            "bytes",
        ],
    ]
    headings = [place for place, line in enumerate(lines) if len(line) == 1]
    assert [lines[place][0] for place in headings] == ["trend", "acceleration", "regime"]
    assert lines[headings[0] + 1] == ["candidate", "log", "loss", "skill", "share", "accuracy", "balanced", "accuracy"]
    assert lines[headings[1] + 1][:4] == ["candidate", "rmse", "skill", "share"]


def test_a_target_may_be_called_as_another_begins_or_as_a_column_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    from okawari.cli.output import show_leaderboard

    row = {
        "candidate": "linear", "joint_loss": 0.5, "skill_share": 0.1, "p_rmse": 1.0, "p_skill_share": 0.2,
        "p_next_step_rmse": 3.0, "p_next_step_skill_share": 0.3, "p_value": 0.04, "fit_s": 2.0, "graph_bytes": 7,
    }  # fmt: skip
    show_leaderboard([row], "the training")
    assert _list_tables(capsys)[1:] == [
        ["candidate", "joint", "loss", "skill", "share", "p", "value", "fit", "s", "graph", "bytes"],
        ["linear", "0.5", "0.1", "0.04", "2", "7"],
        ["p"], ["candidate", "rmse", "skill", "share"], ["linear", "1", "0.2"],
        ["p_next_step"], ["candidate", "rmse", "skill", "share"], ["linear", "3", "0.3"],
    ]  # fmt: skip


# --- other precisions ---------------------------------------------------------------------------------------------


def test_a_window_flips_when_the_label_of_any_target_changes(split: Split) -> None:
    def answer(trend: int, regime: int) -> bytes:
        bias_H = np.zeros(7)
        bias_H[[trend, 4 + regime]] = 5.0
        return build_graph(AffineCore(np.zeros((7, 7)), bias_H, reads="now"), CPI, None)

    contents = {"fp32": answer(0, 0), "same": answer(0, 0), "uint8": answer(1, 0), "int8": answer(1, 2)}
    rows = measure_variants(Variants(contents=contents), split.holdout, CPI, rounds=1)
    assert [row.flips_share for row in rows] == [0.0, 0.0, 1.0, 1.0]
    assert rows[2].max_abs_diff_share == pytest.approx(np.exp(5) / (np.exp(5) + 2) - 1 / (np.exp(5) + 2), rel=1e-3)
    assert {row.loss_name for row in rows} == {"joint loss"} and rows[0].accuracy is None


def test_flips_are_counted_in_each_window_once(split: Split, contenders: list[Contender]) -> None:
    variants = build_variants(contenders[2].graph, min_elements=1)
    full, uint8, _ = measure_variants(variants, split.holdout, CPI, rounds=1)

    answers = {
        name: Graph.load(content).answer(split.holdout.x_BTF).mean_BH for name, content in variants.contents.items()
    }
    naive = [
        any(one[part].argmax() != other[part].argmax() for part in (slice(0, 3), slice(4, 7)))
        for one, other in zip(answers["fp32"], answers["uint8"], strict=True)
    ]
    assert (full.flips_share, uint8.flips_share) == (0.0, np.mean(naive))


# --- performance --------------------------------------------------------------------------------------------------

HITS = measure_hits(pd.Series([1.0] * 20), baseline_share=0.5, min_rows=12)
MISSES = measure_hits(pd.Series([0.0] * 20), baseline_share=0.5, min_rows=12)
FEW = measure_hits(pd.Series([1.0] * 3), baseline_share=0.5, min_rows=12)


def test_one_degraded_target_degrades_all_and_only_its_reason_is_told() -> None:
    verdict = join_verdicts({"trend": HITS, "regime": MISSES})
    assert (verdict.verdict, verdict.n) == ("degraded", 20)
    assert verdict.reason == f"regime: {MISSES.reason}"
    assert verdict.targets == {"trend": HITS, "regime": MISSES}


def test_good_targets_are_good_together_whatever_is_not_known_of_others() -> None:
    verdict = join_verdicts({"trend": HITS, "regime": HITS, "acceleration": FEW})
    assert (verdict.verdict, verdict.n) == ("good", 20)
    assert verdict.reason == f"trend: {HITS.reason} regime: {HITS.reason}"


def test_targets_with_too_few_outcomes_are_not_judged() -> None:
    assert join_verdicts({"trend": FEW, "regime": FEW}) == FEW
    assert FEW.verdict == "not enough data"


def test_facts_of_several_targets_are_plain_json() -> None:
    truth = np.random.default_rng(1).normal(size=20)
    frame = pd.DataFrame(
        {"prediction": truth + 0.1, "lower": truth - 1, "upper": truth + 1, "level": 0.0, "truth": truth}
    )
    number = measure_performance(frame, coverage_share=0.9, min_rows=12)
    verdict = join_verdicts({"trend": HITS, "acceleration": number})
    assert isinstance(verdict, PerformanceVerdict)
    facts = json.loads(json.dumps(verdict.facts(), allow_nan=False))
    assert facts["targets"]["acceleration"]["coverage_share"] == 1.0
    assert (facts["targets"]["trend"]["n"], facts["targets"]["trend"]["targets"]) == (20, None)


# --- words --------------------------------------------------------------------------------------------------------


def test_an_answer_is_worded_target_by_target() -> None:
    mean = [0.1, 0.3, 0.6, -0.25, 0.7, 0.2, 0.1]
    assert _format_prediction(CPI, mean) == "trend rising (60.0%), acceleration -0.25, regime low (70.0%)"
    assert _format_prediction(_ask(REGIME), [0.1, 0.8, 0.1]) == "moderate (80.0%)"


@pytest.mark.parametrize("mean", [[1.5], [0.1] * 9])
def test_an_answer_of_an_older_task_is_told_as_its_numbers(mean: list[float]) -> None:
    told = ", ".join(f"{value:g}" for value in mean)
    assert _format_prediction(CPI, mean) == f"{told} (the task of the case has changed since)"


def test_weights_of_many_heads_are_loaded_in_their_order(readings: pd.DataFrame, tmp_path: Any) -> None:
    targets = [replace(ACCELERATION, name=f"speed_{place}", lag=1 + place % 3) for place in range(10)]
    case = _ask(*targets, TREND)
    windows = cut_windows(readings, case)
    recipe = Lstm(hidden=4, layers=1, fc=4, epochs=1)
    model = recipe.fit(TrainingData(windows[:90], windows[90:110], seed=1, heads=case.task.heads), no_progress)
    model.save_weights(tmp_path / "weights.pt")
    np.testing.assert_array_equal(recipe.load(tmp_path / "weights.pt").predict(windows[:5]), model.predict(windows[:5]))
