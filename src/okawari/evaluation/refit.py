"""Fit the winner of a contest again, on all windows: what passed the gate serves with everything that is known.

Settings that a fit has chosen on validation windows (rounds, epochs, the best trial of a search) stay as the last fold
chose them. A refitted model is never scored on rows that it has learned from: its scores are those of its recipe at
the origins of the contest, and so are the errors behind its interval. It is checked only: its answers must be finite
and plausible, or the model of the last fold serves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from okawari.case import Case
from okawari.dataset.folds import Folds
from okawari.evaluation.candidates import Contender
from okawari.evaluation.combined_contender import join_models
from okawari.evaluation.scores import score_answer
from okawari.evaluation.softening import soften_core
from okawari.formats import format_number
from okawari.graph.build import build_graph
from okawari.graph.inference import Answer, Graph
from okawari.models.fit_context import PLAIN_BENCH, Progress, TrainingData, Workbench
from okawari.models.protocols import Model, Recipe, Settled
from okawari.models.windows import Values, WindowSet

_MOST_CHECKED = 2000
"""Judged windows, the newest ones, on which a refitted graph is checked."""
_MOST_WORSE = 2.0
"""A refit is implausible if its loss at windows that it has learned from is more than this many times the
out-of-sample one."""


@dataclass(frozen=True, kw_only=True)
class Refit:
    """What serves: the model and its graph, the number of windows that taught it, and the seconds of its fit.

    `fault` says why the model of the last fold is used instead; None if the refit is plausible.
    """

    model: Model
    graph: bytes = field(repr=False)
    n_taught: int
    fit_s: float
    fault: str | None = None


def refit_contender(
    contender: Contender, case: Case, folds: Folds, progress: Progress, bench: Workbench = PLAIN_BENCH
) -> Refit:
    """Fit a contender's recipe on all windows, and build its graph with the interval from its out-of-sample errors.

    A model that has chosen something on validation windows is fitted by `settle()` on all windows at once; recipes
    without it stop early on the newest windows as in every fold, so that these alone do not teach. The members of a
    combination are fitted again, and keep their weights.
    """
    started = time.perf_counter()
    try:
        model, n_taught = _fit_again(contender, case, folds, progress, bench)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        seconds = time.perf_counter() - started
        return _keep_last(contender, folds, seconds, f"its fit failed ({type(error).__name__}: {error})")
    fit_s = time.perf_counter() - started
    core = soften_core(model.core(), folds.everything, case)
    graph = build_graph(core, case, contender.interval, folds.everything.imputation)
    if (fault := find_fault(graph, contender, case, folds)) is not None:
        return _keep_last(contender, folds, fit_s, fault)
    return Refit(model=model, graph=graph, n_taught=n_taught, fit_s=fit_s)


def _keep_last(contender: Contender, folds: Folds, fit_s: float, fault: str) -> Refit:
    """The model of the last origin, which the contest has judged."""
    n_taught = len(folds.parts[-1].train)
    return Refit(model=contender.model, graph=contender.graph, n_taught=n_taught, fit_s=fit_s, fault=fault)


def _fit_again(
    contender: Contender, case: Case, folds: Folds, progress: Progress, bench: Workbench
) -> tuple[Model, int]:
    """The model of a refit, and the number of windows that taught it; for a combination, each of its members."""
    if contender.members:
        fitted = {
            each.contender.recipe.name: _fit_again(each.contender, case, folds, progress, bench)
            for each in contender.members
        }
        models = {name: model for name, (model, _) in fitted.items()}
        return join_models(models, contender.members, case), min(n_taught for _, n_taught in fitted.values())
    recipe, data = _prepare(contender, case, folds, bench)
    return recipe.fit(data, progress), len(data.train)


def _prepare(contender: Contender, case: Case, folds: Folds, bench: Workbench) -> tuple[Recipe, TrainingData]:
    everything, n_stop = folds.everything, folds.n_validation
    recipe, train, stop = contender.recipe, everything, everything[:0]
    if isinstance(contender.model, Settled):
        recipe = contender.model.settle()
    elif len(contender.model.history) > 1:
        # Its epochs cannot be fixed, so it stops early, as in the folds.
        cut = len(everything) - n_stop
        train, stop = everything[: cut - folds.gap], everything[cut:]
    return recipe, TrainingData(train, stop, seed=case.seed, heads=case.task.heads, bench=bench)


def find_fault(graph: bytes, contender: Contender, case: Case, folds: Folds) -> str | None:
    """Why a refitted graph must not serve: answers that are not finite, or a loss far above the out-of-sample one."""
    first = max(0, len(folds.judged) - _MOST_CHECKED)
    judged = folds.judged[first:]
    answer = Graph.load(graph).answer(judged.x_BTF)
    if not np.isfinite(answer.mean_BH).all():
        return "its answers are not finite"
    means = (answer.mean_BH, contender.answer.mean_BH[first:])
    learned, before = (_measure_loss(mean_BH, judged, case) for mean_BH in means)
    if learned > _MOST_WORSE * before + np.finfo(np.float32).tiny:
        numbers = f"{format_number(learned, 4)} against {format_number(before, 4)} before it had learned them"
        return f"its {contender.scores.loss_name} on the newest rows is implausible: {numbers}"
    return None


def _measure_loss(mean_BH: Values, judged: WindowSet, case: Case) -> float:
    return score_answer(Answer(mean_BH), judged, case).loss
