"""Scores of served intervals: how far true values lay from predicted ones, in half widths as they were calibrated.

Shapes: N outcomes.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.evaluation.ground_truth import Logs, match_records, match_targets, match_truth
from okawari.models.windows import Values
from okawari.schema.heads import mark_shares
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate
from okawari.schema.tasks.task import Task
from okawari.schema.transforms import Transform


def collect_scores(case: Case, logs: Logs, readings: pd.DataFrame, version: str) -> dict[int, Values]:
    """The scores [N] of a version's answers with known truth, oldest first, for each column that has an interval.

    Args:
        case: defines the task.
        logs: predictions and outcomes, as in `okawari.evaluation.ground_truth.match_truth`.
        readings: the newest snapshot.
        version: the version of the model.
    """
    paired = _pair(case.task, case, logs, readings)
    has_interval = ~mark_shares(case.task.heads, case.task.width)
    return {
        column: score_intervals(pairs[pairs["version"] == version], case.task.transform)
        for column, pairs in paired.items()
        if has_interval[column]
    }


def score_intervals(pairs: pd.DataFrame, transform: Transform) -> Values:
    """Distance of each true value from the predicted one, in calibrated half widths.

    Intervals are symmetric in what models learn. Where a bound of the target cuts one side off, the other side has the
    width. Rows without an interval or without a width are left out.

    Args:
        pairs: `level` (not of records), `prediction`, `lower`, `upper`, `truth`, and `width_factor`, by which the
            served interval was wider than the calibrated one.
        transform: what the model has learned.
    """
    level_N = pairs["level"].to_numpy(dtype=np.float64) if "level" in pairs else np.ones(len(pairs))
    named = ("prediction", "lower", "upper", "truth")
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_N, lower_N, upper_N, true_N = (
            transform.forward(level_N, pairs[name].to_numpy(dtype=np.float64)) for name in named
        )
        half_N = np.fmax(mean_N - lower_N, upper_N - mean_N) / pairs["width_factor"].to_numpy(dtype=np.float64)
        score_N: Values = np.abs(true_N - mean_N) / half_N
    return score_N[np.isfinite(score_N)]


@singledispatch
def _pair(task: Task, case: Case, logs: Logs, readings: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Matched answers and truths of each column: those of the only head of records."""
    predictions, outcomes = logs
    [head] = task.heads
    return {head.start: match_records(predictions, outcomes, head)}


@_pair.register
def _pair_steps(task: Forecast, case: Case, logs: Logs, readings: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {step: match_truth(case, *logs, readings, step=step + 1) for step in range(task.width)}


@_pair.register
def _pair_targets(task: Anticipate, case: Case, logs: Logs, readings: pd.DataFrame) -> dict[int, pd.DataFrame]:
    matched = match_targets(case, *logs, readings)
    return {head.start: matched[head.name] for head in task.heads}
