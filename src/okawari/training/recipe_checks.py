"""The contract that every recipe signs, for recipes of a user's own: `okawari.check_recipe`.

Each check fits for real, on a short series or on records that are drawn here, or on a case that is given. A recipe may
refuse a task that it does not know with `InvalidInput`; it has to sign for at least one.

Shapes: B windows, H columns of an answer.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from okawari.case import ARRIVED, Case, Classify, Column, Forecast, Gate, LogRatio
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput, OkawariError
from okawari.evaluation.candidates import calibrate
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.protocols import Model, Recipe
from okawari.models.windows import Floats
from okawari.schema.columns import NAME

TOLERANCE = 1e-4
"""Largest difference of two answers, as a share of the largest: float32 arithmetic in another order."""


class RecipeBroken(OkawariError, ValueError):
    """A recipe does not keep its contract; the message names each check that failed."""


@dataclass(frozen=True)
class CheckedRecipe:
    """What was checked: the cases that the recipe signed for, and those that it refused with its reason."""

    signed: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class _Trial:
    """A recipe, fitted once for all checks of one case."""

    recipe: Recipe
    case: Case
    split: Split
    data: TrainingData
    model: Model
    graph: bytes


def check_recipe(recipe: Recipe, case: Case | None = None) -> CheckedRecipe:
    """Check that a recipe does what the loop relies on.

    Args:
        recipe: the recipe.
        case: the case to check it on, read from its source; a short drawn series and drawn records, if None.

    Raises:
        RecipeBroken: a check failed, or the recipe refuses every case.

    Example:
        >>> from okawari.models.constant import Constant
        >>> check_recipe(Constant()).signed
        ('drawn_series', 'drawn_records')
    """
    problems, refused, signed = _find_plain_problems(recipe), dict[str, str](), list[str]()
    for each in (case,) if case is not None else (_draw_series(), _draw_records()):
        try:
            trial = _fit(recipe, each)
        except InvalidInput as reason:
            refused[each.name] = str(reason)
            continue
        signed.append(each.name)
        problems += [f"{each.name}: {problem}" for check in CHECKS for problem in check(trial)]
    if not signed:
        problems.append(f"it refuses every case: {'; '.join(refused.values())}")
    if problems:
        raise RecipeBroken(f"Recipe {recipe.name!r} breaks its contract. " + "; ".join(problems) + ".")
    return CheckedRecipe(tuple(signed), refused)


def _fit(recipe: Recipe, case: Case) -> _Trial:
    frame = case.layout.stamp_records(case.source.read(), case.time)
    split = split_windows(cut_windows(frame, case), case)
    data = TrainingData(split.train, split.validation, seed=case.seed, heads=case.task.heads)
    model = recipe.fit(data, no_progress)
    graph = build_graph(model.core(), case, calibrate(model, split.calibration, case))
    return _Trial(recipe, case, split, data, model, graph)


# --- checks: each yields what is wrong ----------------------------------------------------------------------------


def _find_plain_problems(recipe: Recipe) -> list[str]:
    problems = []
    if not NAME.match(recipe.name):
        problems.append(f"its name is {recipe.name!r}; use lower-case letters, digits and _")
    try:
        json.dumps(recipe.describe())
    except (TypeError, ValueError) as error:
        problems.append(f"describe() is not plain JSON values ({error})")
    return problems


def check_answers(trial: _Trial) -> Iterator[str]:
    """One finite answer for each window and column."""
    said_BH, expected = trial.model.predict(trial.split.holdout), trial.split.holdout.r_BH.shape
    if said_BH.shape != expected:
        yield f"predict gives {said_BH.shape}, not {expected}"
    elif not np.isfinite(said_BH).all():
        yield f"predict gives {int((~np.isfinite(said_BH)).sum())} numbers that are not finite"


def check_batches(trial: _Trial) -> Iterator[str]:
    """One window at a time answers as all at once."""
    windows = trial.split.holdout[:5]
    single_BH = np.concatenate([trial.model.predict(windows[row : row + 1]) for row in range(len(windows))])
    yield from _compare("predict of one window", single_BH, "of many", trial.model.predict(windows))


def check_seeds(trial: _Trial) -> Iterator[str]:
    """Equal seeds give equal numbers and equal graphs, and a fit leaves its input alone."""
    before = copy.deepcopy(trial.data)
    again = trial.recipe.fit(trial.data, no_progress)
    yield from _compare(
        "a second fit", again.predict(trial.split.holdout), "the first", trial.model.predict(trial.split.holdout)
    )
    graph = build_graph(again.core(), trial.case, calibrate(again, trial.split.calibration, trial.case))
    if graph != trial.graph:
        yield "equal seeds give graphs of other bytes"
    for name in ("x_BTF", "z_BSK", "r_BH", "level_B"):
        if not np.array_equal(getattr(trial.data.train, name), getattr(before.train, name)):
            yield f"fit changes its input {name}"


def check_graph(trial: _Trial) -> Iterator[str]:
    """The graph answers as the model does."""
    holdout, task = trial.split.holdout, trial.case.task
    mean_BH = Graph.load(trial.graph).answer(holdout.x_BTF).mean_BH
    said_BH = trial.model.predict(holdout).astype(np.float64)
    levels_BH = task.transform.backward(holdout.level_B[:, None], said_BH)
    for head in task.heads:
        answered = head.answer(levels_BH[:, head.columns])
        yield from _compare("the graph", mean_BH[:, head.columns], "the model", answered)


CHECKS: tuple[Callable[[_Trial], Iterator[str]], ...] = (check_answers, check_batches, check_seeds, check_graph)


def _compare(what: str, one: Floats, other_what: str, other: np.ndarray) -> Iterator[str]:
    if one.shape != other.shape:
        yield f"{what} has shape {one.shape}, {other_what} {other.shape}"
        return
    far = float(np.max(np.abs(one - other))) / (float(np.max(np.abs(other))) or 1.0)
    if not far <= TOLERANCE:
        yield f"{what} differs from {other_what} by {far:.2g} of the largest number, at most {TOLERANCE:g}"


# --- drawn cases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn:
    frame: pd.DataFrame

    def read(self, until: date | None = None) -> pd.DataFrame:
        return self.frame


def _draw_series() -> Case:
    noise = np.random.default_rng(3)
    price = 50 * np.exp(np.cumsum(noise.normal(0, 0.02, 320)))
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=320).astype("datetime64[ns]"), "price": price})
    return Case(
        name="drawn_series",
        title="A drawn series",
        source=_Drawn(frame),
        columns=(Column(name="price", above=0),),
        features=(LogRatio(name="growth", numerator="price", denominator="price", lag=1),),
        task=Forecast(target="price", history=12, horizon=3),
        candidates=(_Nameless(),),
        gate=Gate(holdout=40, calibration=60),
    )


def _draw_records() -> Case:
    noise = np.random.default_rng(4)
    frame = pd.DataFrame(noise.normal(size=(320, 2)), columns=["x", "y"])
    side = (frame["x"] + 0.5 * frame["y"] + noise.normal(0, 0.3, 320) > 0).astype(float)
    return Case(
        name="drawn_records",
        title="Drawn records",
        source=_Drawn(frame.assign(side=side)),
        time=ARRIVED,
        columns=(Column(name="x"), Column(name="y")),
        task=Classify(target=Column(name="side", labels=("left", "right"))),
        candidates=(_Nameless(),),
        gate=Gate(holdout=60, calibration=60),
    )


@dataclass(frozen=True)
class _Nameless:
    """A placeholder, because a case needs a candidate; it is never fitted."""

    name: str = "nobody"

    def fit(self, data: TrainingData, progress: object) -> Model:
        raise NotImplementedError

    def describe(self) -> dict[str, object]:
        return {}
