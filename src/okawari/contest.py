"""The contest: every candidate fits on the same past, sets its interval on the same calibration rows, and answers the
same held-out rows through its graph. What is scored here is the very file that would serve.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph import Answer, Graph, build_graph
from okawari.models.recipe import Model, Progress, Recipe, TrainingData, WindowSet
from okawari.policy import Card
from okawari.scores import Scores, StepScores, calibrate_interval, score_answer, skill_share
from okawari.windows import Split


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
    recipe: Recipe, case: Case, split: Split, progress: Progress, *, device: str = "cpu", threads: int = 1
) -> Contender:
    """Fit one recipe, calibrate its interval, build its graph and score that on the holdout.

    Args:
        recipe: the candidate.
        case: gives seed, coverage share and the graph's shape.
        split: the same for every candidate.
        progress: called after each step of the fit.
        device: where a torch model trains: auto, cpu or cuda.
        threads: compute threads.
    """
    data = TrainingData(split.train, split.validation, seed=case.seed, device=device, threads=threads)
    started = time.perf_counter()
    model = recipe.fit(data, progress)
    fit_s = time.perf_counter() - started
    calibration = split.calibration
    interval = calibrate_interval(calibration.r_BH, model.predict(calibration), case.task.coverage_share)
    graph = build_graph(model.core(), case, interval)
    answer = Graph.load(graph, threads=threads).answer(split.holdout.x_BTF)
    scores = score_answer(answer, split.holdout)
    return Contender(recipe=recipe, model=model, graph=graph, answer=answer, scores=scores, fit_s=fit_s)


def score_graph(name: str, graph: bytes, holdout: WindowSet) -> Card | None:
    """How a graph does on the holdout; None where it no longer takes the case's readings."""
    try:
        answer = Graph.load(graph).answer(holdout.x_BTF)
    except InvalidInput:
        return None
    return build_card(name, score_answer(answer, holdout))


def build_card(name: str, scores: Scores) -> Card:
    """The part of the scores that the gate looks at: the first step."""
    first = scores.first
    return Card(
        candidate=name,
        rmse=first.rmse,
        interval_score=first.interval_score,
        coverage_share=first.coverage_share,
    )


def build_leaderboard(contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """One row per candidate, best first; the first contender is the baseline that skill is measured against.

    Columns without a step are of the first step ahead, the others of the last; errors are in the target's own unit.
    """
    floor = contenders[0].scores
    rows = [{"candidate": each.recipe.name, **_summarise(each, floor)} for each in contenders]
    return sorted(rows, key=lambda row: float(row["rmse"]))


def _summarise(contender: Contender, floor: Scores) -> Mapping[str, Any]:
    first, last = contender.scores.first, contender.scores.last
    later = _summarise_step(last, floor.last)
    return {
        **_summarise_step(first, floor.first),
        **({f"{name}_step_{last.step}": value for name, value in later.items()} if last.step > first.step else {}),
        "fit_s": contender.fit_s,
        "graph_bytes": len(contender.graph),
    }


def _summarise_step(step: StepScores, floor: StepScores) -> dict[str, float | None]:
    return {
        "rmse": step.rmse,
        "skill_share": skill_share(step.rmse, floor.rmse),
        "mae": step.mae,
        "mase": step.mase,
        "directional_accuracy": step.directional_accuracy,
        "interval_score": step.interval_score,
        "coverage_share": step.coverage_share,
    }


def describe_scores(scores: Scores) -> dict[str, float | None]:
    """All numbers of both steps, named for a metrics record."""
    return {
        f"{name}_step_{step.step}": value
        for step in (scores.first, scores.last)
        for name, value in asdict(step).items()
        if name != "step"
    }
