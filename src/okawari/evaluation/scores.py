"""Scores of a graph's answer, as used by the gate, the leaderboard and MLflow.

Shapes: B windows, H columns of an answer, C columns of one head, K heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import singledispatch

import numpy as np

from okawari.case import Case
from okawari.evaluation.metrics import (
    Array,
    accuracy,
    balanced_accuracy,
    directional_accuracy,
    interval_coverage,
    interval_losses,
    interval_score,
    log_loss,
    mae,
    mase,
    pair,
    r_squared,
    rmse,
)
from okawari.graph.inference import Answer
from okawari.models.windows import WindowSet
from okawari.schema.heads import SMALLEST_SHARE, Head, LabelHead, NumberHead
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class StepScores:
    """Scores of one step ahead, errors in the target's own unit; None where there is no interval or direction, or
    the target is constant.
    """

    step: int
    rmse: float
    mae: float
    mase: float | None
    directional_accuracy: float | None
    coverage_share: float | None
    """Measured share of true values inside the interval."""
    interval_score: float | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of an answer over `n_windows` windows.

    Candidates are compared by `loss`; lower is better. `numbers` holds all scores by name, the loss included; errors
    are in the unit of the target.
    """

    n_windows: int
    loss_name: str
    loss: float
    numbers: Mapping[str, float | None]
    losses_BK: Array = field(repr=False)
    """Loss of each window, [B, K], which the gate compares in pairs: the squared error of each of K steps ahead, the
    relative loss of each of K heads, or with K = 1 the squared error or `-log p` of the only head.
    """
    interval_score: float | None = None
    coverage_share: float | None = None
    interval_losses_BK: Array | None = field(default=None, repr=False)
    """Interval score of each window, [B, K], of each step ahead or of the first number; None without an interval."""


@dataclass(frozen=True, kw_only=True)
class SeriesScores:
    """Scores of a forecast at the first step and at the last."""

    first: StepScores
    last: StepScores


def score_answer(answer: Answer, windows: WindowSet, case: Case) -> Scores:
    """Score an answer against the truth of its windows: RMSE of a number (of the first step), log loss of a label, the
    joint loss of several heads.

    Raises:
        InvalidInput: the answer and the windows differ in shape.
    """
    pair(answer.mean_BH, windows.r_BH)
    return _score(case.task, answer, windows)


@singledispatch
def _score(task: Task, answer: Answer, windows: WindowSet) -> Scores:
    """Scores of each head; the joint loss for several heads."""
    scored = [_score_head(head, answer, windows) for head in task.heads]
    return scored[0] if len(scored) == 1 else _join(scored, task.heads, windows)


@_score.register
def _score_forecast(task: Forecast, answer: Answer, windows: WindowSet) -> Scores:
    """The scores of the first and of the last step, and the losses of all."""
    series, squared_BK = score_series(answer, windows), (answer.mean_BH - windows.true_BH) ** 2
    return _combine_steps(series, squared_BK, _score_intervals(answer, windows.true_BH))


def _join(scored: Sequence[Scores], heads: Sequence[Head], windows: WindowSet) -> Scores:
    """The numbers of all heads, prefixed by their names, and the joint loss.

    The joint loss is the mean over the heads of the relative loss: the loss divided by that of an uninformed
    prediction, which is `log C` for one of C labels and the variance of the true values for a number. An uninformed
    prediction has a joint loss of 1.0, and units do not weigh heads. Intervals are those of the first number.
    """
    both = list(zip(scored, heads, strict=True))
    relative = [one.losses_BK / head.measure_uninformed(windows.r_BH[:, head.columns]) for one, head in both]
    losses_BK: Array = np.concatenate(relative, axis=1)
    loss = float(losses_BK.mean())
    named = {f"{head.name}_{name}": value for one, head in both for name, value in one.numbers.items()}
    first = next((one for one in scored if one.interval_score is not None), None)
    return Scores(
        n_windows=len(windows),
        loss_name="joint loss",
        loss=loss,
        numbers={"joint_loss": loss, **named},
        losses_BK=losses_BK,
        interval_score=None if first is None else first.interval_score,
        coverage_share=None if first is None else first.coverage_share,
        interval_losses_BK=None if first is None else first.interval_losses_BK,
    )


def _combine_steps(scores: SeriesScores, losses_BK: Array, interval_losses_BK: Array | None) -> Scores:
    first, last = scores.first, scores.last
    later = {f"{name}_step_{last.step}": value for name, value in _name(last).items()} if last.step > 1 else {}
    return Scores(
        n_windows=len(losses_BK),
        losses_BK=losses_BK,
        loss_name="RMSE",
        loss=first.rmse,
        numbers={**_name(first), **later},
        interval_score=first.interval_score,
        coverage_share=first.coverage_share,
        interval_losses_BK=interval_losses_BK,
    )


def _name(step: StepScores) -> dict[str, float | None]:
    return {name: value for name, value in asdict(step).items() if name != "step"}


@singledispatch
def _score_head(head: Head, answer: Answer, windows: WindowSet) -> Scores:
    """Scores of one head's columns."""
    raise NotImplementedError(f"No scores are defined for {type(head).__name__}; register them here.")


@_score_head.register
def _score_number(head: NumberHead, answer: Answer, windows: WindowSet) -> Scores:
    column = head.start
    true_B = windows.true_BH[:, column]
    mean_B = answer.mean_BH[:, column]
    interval = _score_interval(answer, true_B, column)
    loss = rmse(true_B, mean_B)
    numbers = {"rmse": loss, "mse": loss**2, "mae": mae(true_B, mean_B), "r2": r_squared(true_B, mean_B), **interval}
    return Scores(
        n_windows=len(windows),
        loss_name="RMSE",
        loss=loss,
        numbers=numbers,
        losses_BK=((mean_B - true_B) ** 2)[:, np.newaxis],
        interval_losses_BK=_score_intervals(answer, windows.true_BH, slice(column, column + 1)),
        **interval,
    )


@_score_head.register
def _score_label(head: LabelHead, answer: Answer, windows: WindowSet) -> Scores:
    true_B, p_BC = windows.r_BH[:, head.columns].argmax(axis=1), answer.mean_BH[:, head.columns]
    loss = log_loss(true_B, p_BC)
    numbers = {
        "log_loss": loss,
        "accuracy": accuracy(true_B, p_BC),
        "balanced_accuracy": balanced_accuracy(true_B, p_BC),
    }
    surprise_B = -np.log(np.maximum(p_BC[np.arange(len(true_B)), true_B], SMALLEST_SHARE).astype(np.float64))
    return Scores(
        n_windows=len(windows), loss_name="log loss", loss=loss, numbers=numbers, losses_BK=surprise_B[:, np.newaxis]
    )


def score_series(answer: Answer, windows: WindowSet) -> SeriesScores:
    """Score a forecast at both ends of its horizon.

    MASE is scaled by the mean absolute change from one reading to the next within the windows; it is None if no window
    changes.
    """
    horizon = windows.r_BH.shape[1]
    return SeriesScores(
        first=_score_step(answer, windows, 0),
        last=_score_step(answer, windows, horizon - 1),
    )


def _score_step(answer: Answer, windows: WindowSet, column: int) -> StepScores:
    true_B = windows.true_BH[:, column]
    mean_B = answer.mean_BH[:, column]
    change = _measure_change(windows)
    return StepScores(
        step=column + 1,
        rmse=rmse(true_B, mean_B),
        mae=mae(true_B, mean_B),
        mase=mase(true_B, mean_B, change) if change > 0 else None,
        directional_accuracy=directional_accuracy(true_B, mean_B, windows.level_B),
        **_score_interval(answer, true_B, column),
    )


def _measure_change(windows: WindowSet) -> float:
    """Mean absolute change from one reading to the next, where both are known; 0 where there is none."""
    changes = np.abs(np.diff(windows.read_levels_BT, axis=1))
    known = changes[~np.isnan(changes)]
    return float(known.mean()) if known.size else 0.0


def _score_interval(answer: Answer, true_B: Array, column: int) -> dict[str, float | None]:
    if answer.lower_BH is None or answer.upper_BH is None or answer.coverage_share is None:
        return {"coverage_share": None, "interval_score": None}
    lower_B, upper_B = answer.lower_BH[:, column], answer.upper_BH[:, column]
    return {
        "coverage_share": interval_coverage(true_B, lower_B, upper_B),
        "interval_score": interval_score(true_B, lower_B, upper_B, answer.coverage_share),
    }


def _score_intervals(answer: Answer, true_BH: Array, columns: slice = slice(None)) -> Array | None:
    """Interval scores of each window and column; None without an interval."""
    if answer.lower_BH is None or answer.upper_BH is None or answer.coverage_share is None:
        return None
    bounds = (true_BH[:, columns], answer.lower_BH[:, columns], answer.upper_BH[:, columns])
    return interval_losses(*bounds, answer.coverage_share)
