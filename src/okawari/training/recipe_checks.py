"""Checks that every recipe must pass, bundled or a user's own: `okawari.check_recipe`.

Each check fits the recipe, on a short drawn series and drawn records or on a given case. `fit` may raise `InvalidInput`
for a task that the recipe does not support; the recipe must support at least one.

Shapes: B windows, H columns of an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.errors import InvalidInput, OkawariError
from okawari.evaluation.candidates import calibrate
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.combination import Combination
from okawari.models.protocols import Recipe
from okawari.models.windows import Values
from okawari.schema.columns import NAME
from okawari.schema.heads import Head
from okawari.training.drawn_cases import draw_records, draw_series
from okawari.training.recipe_trial import CaseRefused, Trial, fit_trial, split_source

SUM_TOLERANCE = 1e-5
"""Largest error of the sum of the probabilities of a label: float32 arithmetic."""


class RecipeBroken(OkawariError, ValueError):
    """A recipe fails its checks; the message lists each failure."""


@dataclass(frozen=True)
class CheckedRecipe:
    """The result of the checks: the supported cases, and the refused ones with the reasons."""

    signed: tuple[str, ...]
    refused: dict[str, str]


def check_recipe(recipe: Recipe, case: Case | None = None) -> CheckedRecipe:
    """Check that a recipe does what the loop relies on.

    Args:
        recipe: the recipe.
        case: the case to check it on, read from its source; a short drawn series and drawn records, if None.

    A `Combination` is made from other candidates and has no fit, so it refuses every case and breaks nothing.

    Raises:
        RecipeBroken: a check failed, or the recipe refuses every case.
        InvalidInput: the source of the case gives no windows to fit on.

    Example:
        >>> from okawari.models.constant import Constant
        >>> check_recipe(Constant()).signed
        ('drawn_series', 'drawn_records')
    """
    problems, refused, signed = find_plain_problems(recipe), dict[str, str](), list[str]()
    for each in (case,) if case is not None else (draw_series(), draw_records()):
        split = split_source(each)
        try:
            trial = fit_trial(recipe, each, split)
        except CaseRefused as reason:
            refused[each.name] = str(reason)
            continue
        except InvalidInput as reason:
            problems.append(f"{each.name}: its graph cannot be built and run: {reason}")
            continue
        signed.append(each.name)
        problems += [f"{each.name}: {problem}" for check in CHECKS for problem in check(trial)]
    if not signed and not problems and not isinstance(recipe, Combination):
        problems.append(f"it refuses every case: {'; '.join(refused.values())}")
    if problems:
        raise RecipeBroken(f"Recipe {recipe.name!r} breaks its contract. " + "; ".join(problems) + ".")
    return CheckedRecipe(tuple(signed), refused)


# --- checks: each yields what is wrong ----------------------------------------------------------------------------


def find_plain_problems(recipe: Recipe) -> list[str]:
    """Problems that are found without a fit: name, description, repr."""
    problems = []
    if not NAME.match(recipe.name):
        problems.append(f"its name is {recipe.name!r}; use lower-case letters, digits and _")
    try:
        json.dumps(recipe.describe())
    except (TypeError, ValueError) as error:
        problems.append(f"describe() is not plain JSON values ({error})")
    if re.search(r"\bat 0x[0-9a-fA-F]+", repr(recipe)):
        problems.append(
            f"its repr is {recipe!r}, with an address in memory, so that case.json of equal cases differs; make the "
            "recipe a dataclass, and its settings plain values"
        )
    return problems


def check_answers(trial: Trial) -> Iterator[str]:
    """One finite float32 answer for each window and column."""
    said_BH, expected = trial.said_BH, trial.split.holdout.r_BH.shape
    if said_BH.shape != expected:
        yield f"predict gives {said_BH.shape}, not {expected}"
    if said_BH.dtype != np.float32:
        yield f"predict gives {said_BH.dtype}, not float32"
    if not np.isfinite(said_BH).all():
        yield f"predict gives {int((~np.isfinite(said_BH)).sum())} numbers that are not finite"


def check_batches(trial: Trial) -> Iterator[str]:
    """Single windows get the same predictions as a batch."""
    windows = trial.split.holdout[:7]
    single_BH = np.concatenate([trial.model.predict(windows[row : row + 1]) for row in range(len(windows))])
    batch_BH = trial.model.predict(windows)
    yield from _compare("the prediction of single windows", single_BH, "that of a batch", batch_BH, trial.tolerance)


def check_second_fit(trial: Trial) -> Iterator[str]:
    """Equal seeds give equal numbers and equal graphs, exactly."""
    again_BH = trial.again.predict(trial.split.holdout)
    yield from _compare("the prediction after a second fit", again_BH, "that after the first", trial.said_BH, 0.0)
    interval = calibrate(trial.again, trial.split.calibration, trial.case)
    if build_graph(trial.again.core(), trial.case, interval, trial.split.train.imputation) != trial.graph:
        yield "equal seeds give graphs of other bytes"


def check_input(trial: Trial) -> Iterator[str]:
    """A fit does not change its input."""
    for part in ("train", "validation"):
        after, before = getattr(trial.data, part), getattr(trial.before, part)
        for name in ("x_BTF", "z_BSK", "r_BH", "level_B", "at_B"):
            if not np.array_equal(getattr(after, name), getattr(before, name), equal_nan=True):
                yield f"fit changes its input {name} of the {part} part"


def check_generators(trial: Trial) -> Iterator[str]:
    """A fit does not use or seed the global random generators."""
    for name in trial.moved:
        yield f"fit changes the global state of {name}; draw from a generator of its own, seeded with data.seed"


def check_graph(trial: Trial) -> Iterator[str]:
    """The graph gives the same answers as the model."""
    expected_BH = _lead_back(trial, trial.said_BH.astype(np.float64))
    for head in trial.case.task.heads:
        answered = head.answer(expected_BH[:, head.columns])
        mean_BC = trial.answer.mean_BH[:, head.columns]
        yield from _compare("the graph's answer", mean_BC, "the model's", answered, trial.tolerance)


def check_graph_batches(trial: Trial) -> Iterator[str]:
    """The graph gives single windows the same answers as a batch."""
    graph, x_BTF = Graph.load(trial.graph), trial.split.holdout.x_BTF[:5]
    single_BH = np.concatenate([graph.answer(x_BTF[row : row + 1]).mean_BH for row in range(len(x_BTF))])
    batch_BH = graph.answer(x_BTF).mean_BH
    yield from _compare("the graph's answer to single windows", single_BH, "that to a batch", batch_BH, trial.tolerance)


def check_interval(trial: Trial) -> Iterator[str]:
    """The graph has the model's interval, which contains the mean; cases with only labels have none."""
    answer, numbers = trial.answer, [head for head in trial.case.task.heads if not head.is_share]
    if trial.interval is None or answer.lower_BH is None or answer.upper_BH is None:
        if numbers:
            yield "the graph answers numbers without an interval"
        return
    if not numbers:
        yield "the graph answers labels with an interval"
    if answer.coverage_share != trial.case.coverage_share:
        yield f"the graph promises a coverage of {answer.coverage_share}, the case {trial.case.coverage_share}"
    for head in numbers:
        half_BH = trial.interval.half_width_H * trial.interval.scale.measure(trial.split.holdout, trial.said_BH)
        yield from _check_bounds(trial, head, answer.lower_BH, answer.upper_BH, half_BH)


def _check_bounds(trial: Trial, head: Head, lower_BH: Values, upper_BH: Values, half_BH: Values) -> Iterator[str]:
    said_BH, columns = trial.said_BH.astype(np.float64), head.columns
    for what, bound_BH, r_BH in (
        ("lower", lower_BH, said_BH - half_BH),
        ("upper", upper_BH, said_BH + half_BH),
    ):
        expected_BC = _lead_back(trial, r_BH)[:, columns]
        yield from _compare(
            f"the graph's {what} bound", bound_BH[:, columns], "the model's", expected_BC, trial.tolerance
        )
    mean_BC = trial.answer.mean_BH[:, columns]
    if not ((lower_BH[:, columns] <= mean_BC) & (mean_BC <= upper_BH[:, columns])).all():
        yield "an interval of the graph does not hold its mean"


def check_probabilities(trial: Trial) -> Iterator[str]:
    """Probabilities of a label are not negative and sum to 1."""
    for head in [each for each in trial.case.task.heads if each.is_share]:
        shares_BC = trial.answer.mean_BH[:, head.columns]
        if not (shares_BC >= 0).all():
            yield f"a probability of {head.name} is {shares_BC.min():.2g}"
        far = float(np.abs(shares_BC.sum(axis=1) - 1).max())
        if not far <= SUM_TOLERANCE:
            yield f"the probabilities of {head.name} sum to 1 with an error of {far:.2g}, at most {SUM_TOLERANCE:g}"


Check = Callable[[Trial], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    check_answers,
    check_batches,
    check_second_fit,
    check_input,
    check_generators,
    check_graph,
    check_graph_batches,
    check_interval,
    check_probabilities,
)


def _lead_back(trial: Trial, r_BH: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert moves to clipped levels in the target's unit; other outputs are unchanged."""
    transform, target = trial.case.task.transform, trial.case.target
    levels_BH: NDArray[np.float64] = transform.clip(
        transform.backward(trial.split.holdout.level_B[:, None], r_BH), target.lowest, target.maximum
    )
    return levels_BH


def _compare(what: str, one: NDArray[Any], other_what: str, other: NDArray[Any], tolerance: float) -> Iterator[str]:
    if one.shape != other.shape:
        yield f"{what} has shape {one.shape}, {other_what} {other.shape}"
        return
    far = float(np.max(np.abs(one - other))) / (float(np.max(np.abs(other))) or 1.0)
    if not far <= tolerance:
        yield f"{what} differs from {other_what} by {far:.2g} of the largest number; at most {tolerance:g} is allowed"
