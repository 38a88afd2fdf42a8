"""The contest: every candidate fits on the same past, sets its interval on the same calibration rows, and answers the
same held-out rows through its graph. What is scored here is the very file that would serve.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from okawari.case import Case
from okawari.dataset.windows import Split
from okawari.errors import InvalidInput
from okawari.evaluation.metrics import adjust_holm, calibrate_interval, measure_worse_p_value, skill_share
from okawari.evaluation.scores import Scores, score_answer
from okawari.graph.inference import Answer, Graph, build_graph, require_answers
from okawari.models.recipe import PLAIN_BENCH, Interval, Model, Progress, Recipe, TrainingData, WindowSet, Workbench
from okawari.policy.decision import Card

_LOSS = re.compile(r"(?P<head>\w+_)??(?:rmse|log_loss|joint_loss)(?P<step>_step_\d+)?$")
"""Names of losses, of a head or of a step ahead; each is followed by its skill."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A fitted candidate with its graph and what it scored on the holdout. `fit_s` are wall-clock seconds."""

    recipe: Recipe
    model: Model
    graph: bytes
    answer: Answer
    scores: Scores
    fit_s: float

    @property
    def card(self) -> Card:
        """What the gate looks at."""
        return build_card(self.recipe.name, self.scores)


def choose_candidates(case: Case, names: Sequence[str]) -> tuple[Recipe, ...]:
    """The case's baseline and those of its candidates that are named; all, where none is named.

    Raises:
        InvalidInput: no candidate of the case is among the names.
    """
    chosen = tuple(recipe for recipe in case.candidates if recipe is case.baseline or recipe.name in names)
    if names and not any(recipe.name in names for recipe in chosen):
        known = ", ".join(recipe.name for recipe in case.candidates)
        raise InvalidInput(
            f"OKAWARI_CANDIDATES is {','.join(names)}; case {case.name} has {known}. Name one of these or unset it."
        )
    return chosen if names else case.candidates


def fit_contender(
    recipe: Recipe, case: Case, split: Split, progress: Progress, bench: Workbench = PLAIN_BENCH
) -> Contender:
    """Fit one recipe, calibrate its interval, build its graph and score that on the holdout.

    Args:
        recipe: the candidate.
        case: gives seed, coverage share and the graph's shape.
        split: the same for every candidate.
        progress: called after each step of the fit.
        bench: what the fit works with.
    """
    data = TrainingData(split.train, split.validation, seed=case.seed, heads=case.task.heads, bench=bench)
    started = time.perf_counter()
    model = recipe.fit(data, progress)
    fit_s = time.perf_counter() - started
    graph = build_graph(model.core(), case, calibrate(model, split.calibration, case))
    answer = Graph.load(graph, threads=bench.threads).answer(split.holdout.x_BTF)
    scores = score_answer(answer, split.holdout, case)
    return Contender(recipe=recipe, model=model, graph=graph, answer=answer, scores=scores, fit_s=fit_s)


def calibrate(model: Model, calibration: WindowSet, case: Case) -> Interval | None:
    """Half widths for numbers; labels have none, or 0 beside numbers."""
    if case.coverage_share is None:
        return None
    interval = calibrate_interval(calibration.r_BH, model.predict(calibration), case.coverage_share)
    for head in case.task.heads:
        if head.labels:
            interval.half_width_H[head.columns] = 0.0
    return interval


def score_graph(name: str, graph: bytes, holdout: WindowSet, case: Case) -> Card | None:
    """How a graph does on the holdout; None where it takes other readings or answers otherwise than the case."""
    try:
        loaded = Graph.load(graph)
        require_answers(loaded, case)
        answer = loaded.answer(holdout.x_BTF)
        return build_card(name, score_answer(answer, holdout, case))
    except InvalidInput:
        return None


def build_card(name: str, scores: Scores) -> Card:
    """The part of the scores that the gate looks at."""
    return Card(
        candidate=name,
        loss=scores.loss,
        loss_name=scores.loss_name,
        interval_score=scores.interval_score,
        coverage_share=scores.coverage_share,
    )


def build_cards(contenders: Sequence[Contender]) -> list[Card]:
    """The cards of all contenders, the baseline first; each other one says how far its gain over it may be luck.

    `p_value` is that of a paired test on the rows of the holdout, adjusted for the number of candidates (Holm).
    """
    floor, *others = contenders
    worse = [measure_worse_p_value(floor.scores.row_losses, each.scores.row_losses) for each in others]
    return [floor.card, *(replace(each.card, p_value=p) for each, p in zip(others, adjust_holm(worse), strict=True))]


def build_leaderboard(contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """One row per candidate, best first; the first contender is the baseline that skill is measured against.

    Of a forecast, columns without a step are of the first step ahead, the others of the last; several heads have their
    columns below their names. Errors are in the target's own unit; `p_value` is that of `build_cards`.
    """
    floor, luck = contenders[0].scores, {card.candidate: card.p_value for card in build_cards(contenders)}
    ranked = sorted(contenders, key=lambda contender: contender.scores.loss)
    return [{"candidate": (name := each.recipe.name), **_summarise(each, floor, luck[name])} for each in ranked]


def _summarise(contender: Contender, floor: Scores, luck: float | None) -> Mapping[str, Any]:
    """All scores, with the skill right after the loss that it is about, and how far the gain may be luck."""
    row: dict[str, Any] = {}
    for name, value in contender.scores.numbers.items():
        row[name] = value
        found = _LOSS.match(name)
        if found:
            better_than = floor.numbers[name]
            assert value is not None, "a loss is always measured"
            assert better_than is not None, "of every candidate"
            row[f"{found['head'] or ''}skill_share{found['step'] or ''}"] = skill_share(value, better_than)
    return {**row, "p_value": luck, "fit_s": contender.fit_s, "graph_bytes": len(contender.graph)}
