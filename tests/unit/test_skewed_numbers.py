"""Numbers of records: learned as logarithms, kept to their bounds, never promoted with a false interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Column, Gate, Regress
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import Contender, fit_contender
from okawari.evaluation.interval_faults import find_interval_fault
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.cores import ConstantCore, Interval
from okawari.models.fit_context import no_progress
from okawari.models.linear import Linear
from okawari.policy.decision import Action
from okawari.policy.promotion import Card, choose_challenger, decide_promotion
from okawari.training.recipe_checks import check_recipe


class Revenue:
    """A revenue whose logarithm is linear in x and y, with noise of 0.5."""

    def read(self, until: object = None) -> pd.DataFrame:
        random = np.random.default_rng(9)
        x, y = random.normal(size=(2, 1500))
        revenue = np.exp(4 + x + 0.7 * y + random.normal(0, 0.5, 1500))
        return pd.DataFrame({"x": x, "y": y, "revenue": revenue})


LEVELS = Case(
    name="revenue", title="Revenue", source=Revenue(), time=ARRIVED, columns=(Column(name="x"), Column(name="y")),
    task=Regress(target=Column(name="revenue", above=0)), candidates=(Constant(),),
    gate=Gate(holdout=300, calibration=300),
)  # fmt: skip
LOGS = replace(LEVELS, task=Regress(target=Column(name="revenue", above=0), learns="logarithm"))


def _split(case: Case) -> Split:
    return split_windows(cut_windows(case.layout.stamp_records(case.source.read(), case.time), case), case)


@pytest.fixture(scope="module")
def logs() -> Contender:
    return fit_contender(Linear(), LOGS, _split(LOGS), no_progress)


@pytest.mark.parametrize(("x", "y"), [(-1.5, -0.5), (0.0, 0.0), (2.0, 1.0)])
def test_the_width_of_an_interval_follows_the_level(logs: Contender, x: float, y: float) -> None:
    answer, true = Graph.load(logs.graph).answer(np.array([[[x, y]]])), 4 + x + 0.7 * y
    assert answer.lower_BH is not None and answer.upper_BH is not None
    assert np.log(answer.mean_BH[0, 0]) == pytest.approx(true, abs=0.15)
    assert np.log(answer.lower_BH[0, 0]) == pytest.approx(true - 1.645 * 0.5, abs=0.2)
    assert np.log(answer.upper_BH[0, 0]) == pytest.approx(true + 1.645 * 0.5, abs=0.2)


def test_logarithms_predict_better_and_keep_their_promise(logs: Contender) -> None:
    levels = fit_contender(Linear(), LEVELS, _split(LEVELS), no_progress)
    assert logs.scores.numbers["mae"] < 0.7 * levels.scores.numbers["mae"]  # type: ignore[operator]
    assert logs.scores.interval_score < 0.7 * levels.scores.interval_score  # type: ignore[operator]
    assert logs.scores.coverage_share == pytest.approx(0.9, abs=0.07)
    assert logs.answer.lower_BH is not None and (logs.answer.lower_BH > 0).all()


@pytest.mark.parametrize(
    "recipe", [Constant(), Linear(), Boosting(depth=2, rounds=20, lags=1)], ids=lambda each: each.name
)
@pytest.mark.parametrize("case", [LEVELS, LOGS], ids=["level", "logarithm"])
def test_families_keep_the_contract(case: Case, recipe: Constant) -> None:
    assert check_recipe(recipe, case).signed == ("revenue",)


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [({"above": 0}, 0, None), ({"minimum": 1, "maximum": 5}, 1, 5), ({"maximum": 5}, None, 5)],
)
def test_answers_of_records_keep_to_their_bounds(
    bounds: dict[str, float], low: float | None, high: float | None
) -> None:
    case = replace(LEVELS, task=Regress(target=Column(name="revenue", **bounds)))  # type: ignore[arg-type]
    for r in (-3.0, 3.0, 9.0):
        graph = Graph.load(build_graph(ConstantCore(np.array([r])), case, Interval(0.9, np.array([4.0]))))
        answer = graph.answer(np.zeros((1, 1, 2)))
        assert answer.lower_BH is not None and answer.upper_BH is not None
        found = [part.item() for part in (answer.lower_BH, answer.mean_BH, answer.upper_BH)]
        assert found == np.clip([r - 4, r, r + 4], low, high).tolist()


def test_logarithms_take_positive_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"Regress\.target cost may be zero or below.*above=0"):
        Regress(target=Column(name="cost", minimum=0), learns="logarithm")
    with pytest.raises(InvalidInput, match="'level' or 'logarithm'"):
        Regress(target=Column(name="cost", above=0), learns="root")  # type: ignore[arg-type]


def _answer_with(half_width: float) -> str | None:
    split = _split(LEVELS)
    core, interval = ConstantCore(np.array([50.0])), Interval(0.9, np.array([half_width]))
    answer = Graph.load(build_graph(core, LEVELS, interval)).answer(split.holdout.x_BTF)
    return find_interval_fault(answer, split.holdout, LEVELS.task.heads)


def test_an_interval_without_width_or_coverage_is_a_fault() -> None:
    assert _answer_with(0.0) == "has an interval without width for revenue"
    assert "less than half of the promised 90%" in (_answer_with(1.0) or "")
    assert _answer_with(1e6) is None


FLOOR = Card(candidate="constant", loss=10.0, interval_score=50.0, coverage_share=0.9)
GOOD = Card(candidate="linear", loss=8.0, interval_score=40.0, coverage_share=0.9)
BAD = Card(candidate="trees", loss=5.0, interval_score=30.0, coverage_share=0.1, interval_fault="has no width")


def test_a_candidate_whose_interval_has_a_fault_is_not_chosen() -> None:
    assert choose_challenger(FLOOR, [GOOD, BAD], Gate()) == GOOD
    assert choose_challenger(FLOOR, [BAD], Gate()) == FLOOR


@pytest.mark.parametrize("champion", [None, GOOD])
def test_a_challenger_whose_interval_has_a_fault_is_not_promoted(champion: Card | None) -> None:
    decision = decide_promotion(BAD, champion, FLOOR, Gate())
    assert (decision.action, decision.reason) == (Action.KEEP, "nothing is promoted, because trees has no width")


def test_nothing_is_promoted_where_the_baseline_itself_has_a_fault() -> None:
    floor = replace(FLOOR, interval_fault="has no width")
    decision = decide_promotion(choose_challenger(floor, [BAD], Gate()), None, floor, Gate())
    assert decision.action == Action.KEEP and "the baseline constant has no width" in decision.reason
