"""Fit and score candidates: all are fitted on the same past, calibrated on the same rows, and scored on the same
held-out rows through their graphs. The scored graph is the file that would serve.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from okawari.case import Case
from okawari.dataset.splits import Split
from okawari.errors import InvalidInput
from okawari.evaluation.interval_faults import find_interval_fault
from okawari.evaluation.scales import fit_interval
from okawari.evaluation.scores import Scores, score_answer
from okawari.evaluation.translation import translate_answer, translate_questions
from okawari.graph.build import build_graph
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import Answer, Graph, require_answers, require_fit
from okawari.models.cores import Interval
from okawari.models.fit_context import PLAIN_BENCH, Progress, TrainingData, Workbench
from okawari.models.protocols import Model, Recipe
from okawari.models.windows import Floats, WindowSet
from okawari.policy.promotion import Card


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A fitted candidate with its graph and its scores on the holdout. `fit_s` are wall-clock seconds."""

    recipe: Recipe
    model: Model
    graph: bytes
    answer: Answer
    scores: Scores
    fit_s: float
    interval_fault: str | None = None
    """Why its intervals must not be promoted (`okawari.evaluation.interval_faults`)."""
    interval: Interval | None = None
    """The interval from all of its out-of-sample errors; None without one."""
    r_JH: Floats | None = field(default=None, repr=False)
    """Out-of-sample predictions of the judged windows of all folds; None after a single split."""
    members: tuple[Member, ...] = field(default=(), repr=False)
    """What a combination is made from, heaviest first; empty for all others."""
    is_preferred: bool = False
    """Whether it serves before single candidates, if it is better than the baseline
    (`okawari.evaluation.combination.is_preferred`)."""

    @property
    def card(self) -> Card:
        """The scores that the gate compares."""
        return build_card(self.recipe.name, self.scores, self.interval_fault)


@dataclass(frozen=True)
class Member:
    """A contender with its weight in a combination, above 0 and at most 1."""

    contender: Contender
    weight: float


def choose_candidates(case: Case, names: Sequence[str]) -> tuple[Recipe, ...]:
    """The baseline of the case and the named candidates; all candidates if no name is given.

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
    """Fit one recipe, calibrate its interval, build its graph, and score the graph on the holdout.

    Args:
        recipe: the candidate.
        case: defines the seed, the coverage share and the shape of the graph.
        split: the parts of the data, the same for every candidate.
        progress: called after each step of the fit.
        bench: device, threads and caches of the fit.
    """
    data = TrainingData(split.train, split.validation, seed=case.seed, heads=case.task.heads, bench=bench)
    started = time.perf_counter()
    model = recipe.fit(data, progress)
    fit_s = time.perf_counter() - started
    graph = build_graph(model.core(), case, calibrate(model, split.calibration, case), split.train.imputation)
    answer = Graph.load(graph, threads=bench.threads).answer(split.holdout.x_BTF)
    scores = score_answer(answer, split.holdout, case)
    return Contender(
        recipe=recipe,
        model=model,
        graph=graph,
        answer=answer,
        scores=scores,
        fit_s=fit_s,
        interval_fault=find_interval_fault(answer, split.holdout, case.task.heads),
    )


def calibrate(model: Model, calibration: WindowSet, case: Case) -> Interval | None:
    """The interval of a model by windows that it did not learn from; None for labels alone."""
    return None if case.coverage_share is None else fit_interval(calibration, model.predict(calibration), case)


def score_graph(name: str, graph: bytes, holdout: WindowSet, case: Case) -> Card | None:
    """Score a graph on the holdout. Returns None if its inputs or its answers differ from those of the case."""
    answer = ask_graph(graph, holdout, case)
    if answer is None:
        return None
    fault = find_interval_fault(answer, holdout, case.task.heads)
    return build_card(name, score_answer(answer, holdout, case), fault)


def ask_graph(graph: bytes, windows: WindowSet, case: Case) -> Answer | None:
    """A graph's answers to windows. Returns None if its inputs or its answers differ from those of the case.

    The graph is asked and answers in its own dictionary. A word that it does not know is one of its unknown words, and
    a label that it does not know has the probability 0.
    """
    try:
        loaded = Graph.load(graph)
        require_answers(loaded, case)
        own = know_graph(case, loaded.labels)
        require_fit(loaded, own)
        return translate_answer(loaded.answer(translate_questions(windows.x_BTF, case, own)), own, case)
    except InvalidInput:
        return None


def build_card(name: str, scores: Scores, interval_fault: str | None = None) -> Card:
    """The part of the scores that the gate compares."""
    return Card(
        candidate=name,
        loss=scores.loss,
        loss_name=scores.loss_name,
        interval_score=scores.interval_score,
        coverage_share=scores.coverage_share,
        interval_fault=interval_fault,
    )
