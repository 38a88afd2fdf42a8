"""Choose the scale of an interval by the interval score of out-of-sample residuals.

A local scale that does not fit makes intervals worse: recent moves of a seasonal series say little about its errors. So
each scale that a case can have is compared with the constant one, and only a clear gain chooses it. The rule was
settled on simulated series (docs/decisions/0011-scales-of-intervals.md).

Shapes: B windows, H columns of an answer, K features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.evaluation.conformal import calibrate_interval, find_quantiles
from okawari.evaluation.feature_scale import fit_feature_scale
from okawari.models.cores import Interval
from okawari.models.scales import ConstantScale, LevelScale, MoveScale, Scale, measure_moves, predict_levels
from okawari.models.windows import Values, WindowSet
from okawari.schema.heads import mark_shares
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.schema.record_transforms import Level
from okawari.schema.transforms import Difference, Transform

MIN_ROWS = 40
"""With fewer residuals the comparison is mostly chance, and the constant scale stays."""
LEAST_GAIN = 0.01
"""Share by which the interval score must fall."""
WRONG_SHARE = 0.16
"""About the share of cases in which a scale without a reason is chosen: one standard error for a single scale, more for
several (Bonferroni)."""
N_BLOCKS = 5
"""Parts of the residuals, consecutive ones of a series; each is judged by the quantiles of the others."""
_LEAST_LEVEL, _MOST_LEVEL = 0.1, 3.0
"""Bounds of a `LevelScale`, as shares of the mean and of the largest predicted level."""


@dataclass(frozen=True)
class Residuals:
    """Windows with what a model predicts for them, out of sample, and the absolute errors of the interval's columns."""

    windows: WindowSet
    r_pred_BH: Values
    error_BC: Values

    def pick(self, rows: Places) -> Residuals:
        """Those of some windows."""
        return Residuals(self.windows.pick(rows), self.r_pred_BH[rows], self.error_BC[rows])


Places = NDArray[np.int64]
Blocks = list[tuple[Places, Places]]
"""The rows of each block, and all others."""
Fit = Callable[[Residuals], Scale]
"""Fits a scale on residuals."""


@dataclass(frozen=True)
class ScaledResiduals:
    """The chosen scale, and the scale of each residual: where it was fitted, by a fit without that residual's block."""

    scale: Scale
    scale_BH: Values


def fit_interval(windows: WindowSet, r_pred_BH: NDArray[Any], case: Case) -> Interval | None:
    """Scale and half widths of the intervals of numbers; half widths of 0 for labels beside numbers, None for labels
    alone.

    Args:
        windows: judged windows with their truth, in the order of time or of the split.
        r_pred_BH: predictions of models that did not learn from these windows.
        case: its coverage share, task and target.
    """
    if case.coverage_share is None:
        return None
    found = choose_scale(windows, r_pred_BH, case, case.coverage_share)
    interval = calibrate_interval(windows.r_BH, r_pred_BH, case.coverage_share, found.scale, found.scale_BH)
    interval.half_width_H[mark_shares(case.task.heads, case.task.width)] = 0.0
    return interval


def choose_scale(windows: WindowSet, r_pred_BH: NDArray[Any], case: Case, coverage_share: float) -> ScaledResiduals:
    """The scale whose intervals have the best interval score (Winkler) on residuals that did not calibrate them.

    The constant one, unless another one is better by `LEAST_GAIN` and significantly so (`WRONG_SHARE`).

    Args:
        windows: judged windows, in the order of time or of the split.
        r_pred_BH: predictions of a model that did not learn from them.
        case: its layout, transform and target.
        coverage_share: share of true values that the intervals are meant to contain.
    """
    columns = ~mark_shares(case.task.heads, case.task.width)
    errors = np.abs(windows.r_BH.astype(np.float64) - r_pred_BH)[:, columns]
    residuals = Residuals(windows, r_pred_BH.astype(np.float64), errors)
    if len(windows) < MIN_ROWS or not errors.any(axis=0).all():
        return ScaledResiduals(ConstantScale(), np.ones((len(windows), 1)))
    blocks = _deal_blocks(len(windows), case.layout.in_order)
    chosen = _scale_all(lambda _: ConstantScale(), residuals, blocks)
    base_BC = _judge(chosen, errors, columns, coverage_share, blocks)
    unit_C, least = base_BC.mean(axis=0), 1.0
    fits = _list_fits(case.layout, case, residuals)
    for fit in fits:
        found = _scale_all(fit, residuals, blocks)
        score_B = (_judge(found, errors, columns, coverage_share, blocks) / unit_C).mean(axis=1)
        if score_B.mean() < least and _is_gain((base_BC / unit_C).mean(axis=1) - score_B, len(fits)):
            chosen, least = found, float(score_B.mean())
    return chosen


def _is_gain(gain_B: Values, n_tried: int) -> bool:
    """Whether the mean gain is above `LEAST_GAIN` and what chance explains, by the standard error of blocks' means."""
    blocks = np.array_split(gain_B, min(10, len(gain_B) // 6))
    means = np.array([block.mean() for block in blocks])
    error = float(means.std(ddof=1)) / math.sqrt(len(means))
    return float(gain_B.mean()) > max(LEAST_GAIN, NormalDist().inv_cdf(1 - WRONG_SHARE / n_tried) * error)


def _scale_all(fit: Fit, residuals: Residuals, blocks: Blocks) -> ScaledResiduals:
    """Fit on all residuals, and measure each block's scale by a fit on the others."""
    parts = []
    for block, others in blocks:
        own = residuals.pick(block)
        parts.append(fit(residuals.pick(others)).measure(own.windows, own.r_pred_BH))
    order = np.argsort(np.concatenate([block for block, _ in blocks]))
    return ScaledResiduals(fit(residuals), np.concatenate(parts)[order])


def _deal_blocks(n_rows: int, in_order: bool) -> Blocks:
    rows = np.arange(n_rows)
    dealt = np.array_split(rows, N_BLOCKS) if in_order else [rows[place::N_BLOCKS] for place in range(N_BLOCKS)]
    return [(block, np.setdiff1d(rows, block)) for block in dealt if len(block)]


def _judge(
    found: ScaledResiduals, error_BC: Values, columns: NDArray[np.bool_], coverage_share: float, blocks: Blocks
) -> Values:
    """The interval score of each residual, [B, C], by the quantiles of the other blocks."""
    scale_BC = np.broadcast_to(found.scale_BH, (len(error_BC), len(columns)))[:, columns]
    score_BC = np.empty_like(error_BC)
    for block, others in blocks:
        half_BC = find_quantiles(error_BC[others] / scale_BC[others], coverage_share) * scale_BC[block]
        missed_BC = np.maximum(error_BC[block] - half_BC, 0)
        score_BC[block] = 2 * half_BC + 2 / (1 - coverage_share) * missed_BC
    return score_BC


@singledispatch
def _list_fits(layout: DataLayout, case: Case, residuals: Residuals) -> Sequence[Fit]:
    """The scales, beside the constant one, that a case can have."""
    raise NotImplementedError(f"No scales are defined for {type(layout).__name__}; register them here.")


@_list_fits.register
def _fits_of_series(layout: SeriesLayout, case: Case, residuals: Residuals) -> Sequence[Fit]:
    transform = case.task.window_transform
    squared = measure_moves(residuals.windows, transform) ** 2
    typical = float(np.sqrt(np.nanmean(squared))) if np.isfinite(squared).any() else 0.0
    moves: list[Fit] = [lambda _: MoveScale(typical, transform)] if typical > 0 else []
    return [*moves, *_list_level_fits(case.task.transform, case, residuals)]


@_list_fits.register
def _fits_of_records(layout: RecordLayout, case: Case, residuals: Residuals) -> Sequence[Fit]:
    features: list[Fit] = [lambda known: fit_feature_scale(known.windows.z_BSK[:, -1], known.error_BC)]
    return [*_list_level_fits(case.task.transform, case, residuals), *features]


@singledispatch
def _list_level_fits(transform: Transform, case: Case, residuals: Residuals) -> Sequence[Fit]:
    """None where errors already are shares of the level, or an answer has no level."""
    return []


@_list_level_fits.register(Difference)
@_list_level_fits.register(Level)
def _list_powers(transform: Difference | Level, case: Case, residuals: Residuals) -> Sequence[Fit]:
    """For amounts and counts, which are never below 0."""
    lowest, maximum = case.target.lowest, case.target.maximum
    if lowest is None or lowest < 0:
        return []
    levels_BH = np.maximum(predict_levels(residuals.windows, residuals.r_pred_BH), 0.0)
    typical = float(levels_BH.mean())
    least = max(_LEAST_LEVEL * typical, lowest)
    most = min(_MOST_LEVEL * float(levels_BH.max()), math.inf if maximum is None else maximum)
    if not 0 < least < most:
        return []
    return [_fix(LevelScale(power, typical, least, most)) for power in (0.5, 1.0)]


def _fix(scale: Scale) -> Fit:
    return lambda _: scale
