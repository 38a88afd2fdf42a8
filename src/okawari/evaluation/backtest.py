"""Fit a candidate at every origin of a training, and score its answers to windows that it has not learned from.

Each judged window is answered by the model of its own fold. Its interval comes from the errors at other judged
windows: of those before it for a series, of the other folds for records. What serves later is fitted again on all
windows (`okawari.evaluation.refit`), with an interval from all of these errors.

Shapes: J judged windows, H columns of an answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.dataset.folds import Fold, Folds
from okawari.evaluation.candidates import Contender
from okawari.evaluation.interval_faults import find_interval_fault
from okawari.evaluation.scales import fit_interval
from okawari.evaluation.scores import Scores, score_answer
from okawari.evaluation.softening import soften_core, soften_predictions
from okawari.graph.answer_graph import compute_answer
from okawari.graph.build import build_graph
from okawari.graph.inference import Answer
from okawari.models.cores import Interval
from okawari.models.fit_context import PLAIN_BENCH, Progress, TrainingData, Workbench
from okawari.models.protocols import Model, Recipe
from okawari.models.windows import Floats, WindowSet

_BLOCKS = 8
"""Stretches of a series' judged windows, each with an interval of its own from the errors before it."""
Places = NDArray[np.int64]
Benches = Callable[[int], Workbench]
"""The workbench of each fit, by its number from 0."""


def bench_plainly(place: int) -> Workbench:
    """One CPU thread and no files for every fit."""
    return PLAIN_BENCH


def backtest(
    recipe: Recipe, case: Case, folds: Folds, progress: Progress, benches: Benches = bench_plainly
) -> Contender:
    """Fit a recipe once for each fold, and score its answers to all judged windows.

    The contender's model and graph are those of the last fold, which has learned most.

    Args:
        recipe: the candidate.
        case: defines the seed, the coverage share and the shape of the graph.
        folds: what each fit learns from and is judged on, the same for every candidate.
        progress: called after each step of each fit.
        benches: device, threads and caches of each fit.
    """
    started = time.perf_counter()
    models = [_fit(recipe, case, fold, progress, benches(place)) for place, fold in enumerate(folds.parts)]
    fit_s = time.perf_counter() - started
    r_JH = np.empty(folds.judged.r_BH.shape, dtype=np.float32)
    for model, fold in zip(models, folds.parts, strict=True):
        r_JH[fold.rows_J] = soften_predictions(model.predict(fold.judged), fold.train, case)
    return judge_predictions(recipe, models[-1], r_JH, case, folds, fit_s=fit_s)


def _fit(recipe: Recipe, case: Case, fold: Fold, progress: Progress, bench: Workbench) -> Model:
    data = TrainingData(fold.train, fold.validation, seed=case.seed, heads=case.task.heads, bench=bench)
    return recipe.fit(data, progress)


def judge_predictions(
    recipe: Recipe, model: Model, r_JH: Floats, case: Case, folds: Folds, *, fit_s: float
) -> Contender:
    """The contender with these out-of-sample predictions of all judged windows, and the model of the last fold."""
    answer = answer_judged(r_JH, case, folds)
    interval, taught = fit_interval(folds.judged, r_JH, case), folds.parts[-1].train
    return Contender(
        recipe=recipe,
        model=model,
        graph=build_graph(soften_core(model.core(), taught, case), case, interval, taught.imputation),
        answer=answer,
        scores=score_judged(answer, folds.judged, case),
        fit_s=fit_s,
        interval_fault=_find_fault(r_JH, interval, case, folds),
        interval=interval,
        r_JH=r_JH,
    )


def _find_fault(r_JH: Floats, interval: Interval | None, case: Case, folds: Folds) -> str | None:
    """Why the interval that would serve must not be promoted, judged by the newest windows.

    The intervals of earlier blocks came from fewer errors. After a shock they are too narrow for every candidate, while
    the one that serves knows the errors of the shock.
    """
    rows = np.arange(folds.n_unpriced if folds.n_unpriced < len(r_JH) else 0, len(r_JH))
    newest = folds.judged.pick(rows)
    return find_interval_fault(compute_answer(r_JH[rows], newest, case, interval), newest, case.task.heads)


def answer_judged(r_JH: Floats, case: Case, folds: Folds) -> Answer:
    """Answers to all judged windows; bounds are NaN where no other errors are known that could set them."""
    plain = compute_answer(r_JH, folds.judged, case)
    if case.coverage_share is None:
        return plain
    lower_JH, upper_JH = np.full((2, *plain.mean_BH.shape), np.nan)
    for rows, interval in _calibrate_out_of_sample(r_JH, case, folds):
        priced = compute_answer(r_JH[rows], folds.judged.pick(rows), case, interval)
        lower_JH[rows], upper_JH[rows] = priced.lower_BH, priced.upper_BH
    return replace(plain, lower_BH=lower_JH, upper_BH=upper_JH, coverage_share=case.coverage_share)


def _calibrate_out_of_sample(r_JH: Floats, case: Case, folds: Folds) -> Iterator[tuple[Places, Interval]]:
    """Stretches of the judged windows, each with the interval from the errors at others."""
    stretches = _split_dealt(folds) if folds.is_dealt else _split_rolled(np.arange(len(r_JH)), case, folds)
    for rows, others in stretches:
        interval = fit_interval(folds.judged.pick(others), r_JH[others], case)
        assert interval is not None, "only cases with a coverage share get here"
        yield rows, interval


def _split_dealt(folds: Folds) -> Iterator[tuple[Places, Places]]:
    """Each fold, and all others (cross-conformal: Vovk, Annals of Mathematics and Artificial Intelligence 74, 2015)."""
    for place, fold in enumerate(folds.parts):
        others = [each.rows_J for each in folds.parts[:place] + folds.parts[place + 1 :]]
        yield fold.rows_J, np.concatenate(others)


def _split_rolled(rows_J: Places, case: Case, folds: Folds) -> Iterator[tuple[Places, Places]]:
    """Stretches after the first `n_unpriced` windows, and the windows before each whose errors were known then."""
    first = max(folds.n_unpriced, count_needed(case) + folds.gap)
    for rows in np.array_split(rows_J[first:], min(_BLOCKS, max(1, len(rows_J) - first))):
        if len(rows):
            yield rows, rows_J[: rows[0] - max(0, folds.gap - 1)]


def count_needed(case: Case) -> int:
    """Fewest errors that set an interval of the case's coverage."""
    share = case.coverage_share or 0.0
    return math.ceil(round(share / (1 - share), 9))


def score_judged(answer: Answer, judged: WindowSet, case: Case) -> Scores:
    """Scores of the means at all judged windows, and of the bounds at those that have them."""
    everywhere = score_answer(Answer(answer.mean_BH), judged, case)
    priced = _keep_priced(answer, judged)
    if priced[0].lower_BH is None:
        return everywhere
    bounded = score_answer(*priced, case)
    known = {name: value for name, value in everywhere.numbers.items() if value is not None}
    return replace(
        everywhere,
        numbers={**bounded.numbers, **known},
        interval_score=bounded.interval_score,
        coverage_share=bounded.coverage_share,
        interval_losses_BK=bounded.interval_losses_BK,
    )


def _keep_priced(answer: Answer, judged: WindowSet) -> tuple[Answer, WindowSet]:
    """The answers with bounds and their windows; answers without bounds where there is none."""
    if answer.lower_BH is None or answer.upper_BH is None:
        return answer, judged
    rows = np.flatnonzero(~np.isnan(answer.lower_BH).any(axis=1))
    if not len(rows):
        return Answer(answer.mean_BH), judged
    bounds = (answer.lower_BH[rows], answer.upper_BH[rows], answer.coverage_share)
    return Answer(answer.mean_BH[rows], *bounds), judged.pick(rows)
