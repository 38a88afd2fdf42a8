"""A trial of a recipe on a case: it is fitted twice, and the graph of the first model is built and run.

`okawari.training.recipe_checks` checks the result.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from okawari.case import Case
from okawari.data.validation import check_readings
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import calibrate
from okawari.graph.build import build_graph
from okawari.graph.inference import Answer, Graph
from okawari.models.cores import Interval
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.protocols import Model, Recipe
from okawari.models.windows import Floats

TOLERANCE = 1e-4
"""Largest difference of two answers, as a share of the largest: float32 arithmetic in another order."""


class CaseRefused(InvalidInput):
    """The fit of a recipe refused the case; the message is the recipe's."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A recipe, fitted twice on the same data for all checks of one case.

    `said_BH` is what the first model predicts for the holdout, and `answer` what its graph answers. `before` is a copy
    of `data` from before the fits, and `moved` names the global random generators that they drew from or seeded.
    `tolerance` is the largest difference of two answers, as a share of the largest.
    """

    recipe: Recipe
    case: Case
    split: Split
    data: TrainingData
    before: TrainingData
    model: Model
    again: Model
    moved: tuple[str, ...]
    interval: Interval | None
    graph: bytes
    said_BH: Floats
    answer: Answer
    tolerance: float


def split_source(case: Case, until: date | None = None) -> Split:
    """Read the source of a case up to a day, validate the readings as `ingest` does, and split their windows.

    Raises:
        InvalidInput: the source has other columns than the case, or too few valid readings.
    """
    good = check_readings(case.source.read(until), case, datetime.now(UTC)).good
    return split_windows(cut_windows(lay_out_steps(case.layout.stamp_records(good, case.time), case), case), case)


def fit_trial(recipe: Recipe, case: Case, split: Split, tolerance: float = TOLERANCE) -> Trial:
    """Fit a recipe twice, and build and run the graph of the first model.

    Raises:
        CaseRefused: the fit of the recipe raised `InvalidInput`.
        InvalidInput: the fitted model gives no graph that can be built and run.
    """
    data = TrainingData(split.train, split.validation, seed=case.seed, heads=case.task.heads)
    before, generators = copy.deepcopy(data), _read_generators()
    try:
        model = recipe.fit(data, no_progress)
    except InvalidInput as reason:
        raise CaseRefused(str(reason)) from reason
    again = recipe.fit(data, no_progress)
    moved = tuple(name for name, state in _read_generators().items() if state != generators[name])
    interval = calibrate(model, split.calibration, case)
    graph = build_graph(model.core(), case, interval, split.train.imputation)
    return Trial(
        recipe=recipe, case=case, split=split, data=data, before=before, model=model, again=again, moved=moved,
        interval=interval, graph=graph, said_BH=model.predict(split.holdout),
        answer=Graph.load(graph).answer(split.holdout.x_BTF), tolerance=tolerance,
    )  # fmt: skip


def _read_generators() -> dict[str, Any]:
    """The states of the global random generators. Numpy's numbers are a tuple, so that states can be compared."""
    kind, keys, *rest = np.random.get_state()
    return {"numpy.random": (kind, tuple(keys), *rest), "random": random.getstate()}
