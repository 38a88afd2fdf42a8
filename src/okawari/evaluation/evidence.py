"""Evidence for a gain: paired losses at the same origins, one observation per origin, corrected for the candidates.

The statistics, step by step:

1. The loss of an origin is the mean over its K columns (steps ahead, heads), each in units of the baseline's mean loss
   in that column. The baseline's mean over the origins is 1, so units and long horizons do not weigh columns.
2. No origin counts more than `MOST_TIMES` times the mean of the others; a heavier one has its loss scaled down for all
   candidates alike. Squared errors of 50 origins have heavy tails: one January would make most of the sum.
3. The gain is the mean of the pairwise differences, in units of the reference's mean loss. Its standard error allows
   for dependence between neighbours where origins are in order of time (`okawari.evaluation.max_test`).
   Losses are compared by their roots as well: the root has most power where a few origins make the sum, the loss
   itself where errors are skewed, as in intermittent demand.
4. The p-values are corrected for all candidates and both losses by the distribution of the largest statistic
   (`okawari.evaluation.max_test`).

Shapes: B observations (origins in order of time, or records), K columns of losses, C candidates compared with one
reference, V statistics (C candidates times one or two losses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from okawari.dataset.folds import Folds
from okawari.evaluation.max_test import TINY, Errors, adjust_p_values, measure_record_errors, measure_series_errors
from okawari.evaluation.metrics import Array
from okawari.policy.comparison import CONFIDENCE_SHARE, Comparison

MOST_TIMES = 10.0
"""An origin counts at most this many times the mean of the others. The normal distribution exceeds it in 0.2 %."""
FEWEST = 4
"""With fewer observations nothing is claimed."""


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Observations that are origins of a series, in order of time.

    `overlap` counts later origins whose windows share true values with an origin's own: the horizon minus 1 for origins
    at every step. `n_fits` counts the fits of each recipe behind the losses.
    """

    overlap: int = 0
    n_fits: int = 1
    noun = "origin"

    def measure_errors(self, differences_VB: Array) -> Errors:
        """Standard errors of the mean differences."""
        return measure_series_errors(differences_VB, self.overlap)

    def take_part(self) -> Origins:
        """The design of some of these origins, in the same order."""
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """Observations that are independent records; `fold_B` are the numbers of their folds, if there are several."""

    fold_B: NDArray[np.int64] | None = None
    n_fits: int = 1
    noun = "record"
    overlap = 0

    def measure_errors(self, differences_VB: Array) -> Errors:
        """Standard errors of the mean differences."""
        return measure_record_errors(differences_VB, self.fold_B)

    def take_part(self) -> Records:
        """The design of some of these records."""
        return replace(self, fold_B=None)


Design = Origins | Records
"""How the observations came about."""


def describe_design(folds: Folds) -> Design:
    """The design of the losses of a backtest."""
    if not folds.is_dealt:
        return Origins(overlap=max(0, folds.gap - 1), n_fits=folds.n_fits)
    fold_B = np.empty(len(folds.judged), dtype=np.int64)
    for number, fold in enumerate(folds.parts):
        fold_B[fold.rows_J] = number
    return Records(fold_B=fold_B, n_fits=folds.n_fits)


def compare(
    reference_BK: Array,
    candidates: Sequence[Array],
    design: Design,
    *,
    loss_name: str = "RMSE",
    units_BK: Array | None = None,
) -> list[Comparison]:
    """Compare each candidate with the reference, row by row.

    Args:
        reference_BK: losses of the baseline or the champion.
        candidates: losses of each candidate on the same rows, [B, K].
        design: how the rows came about.
        loss_name: "RMSE" for squared errors, whose gains are shown as those of their root; any other name for losses
            that are compared as they are.
        units_BK: losses of the baseline, whose mean in each column is the unit; the reference's, if left out.
    """
    if not candidates:
        return []
    units = _measure_units(reference_BK if units_BK is None else units_BK)
    losses_CB = np.stack([(np.asarray(each, dtype=np.float64) / units).mean(axis=1) for each in candidates])
    reference_B = (np.asarray(reference_BK, dtype=np.float64) / units).mean(axis=1)
    usable_C = np.isfinite(losses_CB).all(axis=1)
    power = 0.5 if loss_name == "RMSE" else 1.0
    label = "horizon loss" if loss_name == "RMSE" and reference_BK.shape[1] > 1 else loss_name
    found = iter(_compare_usable(reference_B, losses_CB[usable_C], design, power, label, len(candidates)))
    return [next(found) if usable else _refuse(reference_B, design, label, len(candidates)) for usable in usable_C]


def compare_pair(
    challenger_BK: Array,
    champion_BK: Array,
    floor_BK: Array,
    design: Design,
    *,
    loss_name: str = "RMSE",
    rivals: Sequence[Array] = (),
) -> Comparison:
    """Compare a challenger with the champion on the same rows, in units of the baseline's losses.

    Args:
        challenger_BK: losses of the challenger.
        champion_BK: losses of the champion's recipe, fitted at the same origins on the same rows.
        floor_BK: losses of the baseline.
        design: how the rows came about.
        loss_name: "RMSE" for squared errors.
        rivals: losses of the other candidates from which the challenger was chosen; the choice is corrected for.
    """
    return compare(champion_BK, [challenger_BK, *rivals], design, loss_name=loss_name, units_BK=floor_BK)[0]


def _measure_units(losses_BK: Array) -> Array:
    """The mean loss of each column; that of all columns where it is 0, and 1 where all are 0."""
    mean_K = np.asarray(losses_BK, dtype=np.float64).mean(axis=0)
    units: Array = np.where(mean_K > 0, mean_K, mean_K.mean() or 1.0)
    return units


def _compare_usable(
    reference_B: Array, losses_CB: Array, design: Design, power: float, label: str, n_compared: int
) -> list[Comparison]:
    if not len(losses_CB):
        return []
    plain_C = _measure_gains(reference_B.mean(), losses_CB.mean(axis=1), power)
    if len(reference_B) < FEWEST:
        return [_claim_nothing(len(reference_B), gain, design, label, n_compared) for gain in plain_C.tolist()]
    weight_B = bound_origins(np.vstack([reference_B, losses_CB]), design)
    bounded_B, bounded_CB = weight_B * reference_B, weight_B * losses_CB
    # Losses are compared by their roots as well: see the module docstring, step 3.
    views = [(bounded_B, bounded_CB), (np.sqrt(bounded_B), np.sqrt(bounded_CB))]
    differences_VB = np.concatenate([(a_B - b_CB) / max(a_B.mean(), TINY) for a_B, b_CB in views])
    errors, lower_V = design.measure_errors(differences_VB), differences_VB.mean(axis=1)
    p_V = adjust_p_values(lower_V / errors.standard_V, errors, len(reference_B))
    p_C = p_V.reshape(len(views), -1).min(axis=0)
    lower_C, reach_C = lower_V[: len(losses_CB)], errors.find_reach(CONFIDENCE_SHARE)[: len(losses_CB)]
    return [
        Comparison(
            n_origins=len(reference_B),
            gain_share=_to_gain(lower, power),
            low_share=_to_gain(lower - reach, power),
            high_share=_to_gain(lower + reach, power),
            p_value=float(p),
            plain_gain_share=float(plain),
            n_compared=n_compared,
            n_fits=design.n_fits,
            loss_name=label,
            noun=design.noun,
        )
        for lower, reach, p, plain in zip(lower_C, reach_C, p_C, plain_C, strict=True)
    ]


def bound_origins(losses_CB: Array, design: Design) -> Array:
    """The weight of each origin, at most 1: heavy ones count `MOST_TIMES` the mean of the others.

    How heavy an origin is, is the median loss of all contestants (of two, the mean). One heavy true value lies in the
    windows of `overlap` other origins too, so as many are left out of the mean.
    """
    size_B = losses_CB.mean(axis=0) if len(losses_CB) == 2 else np.median(losses_CB, axis=0)
    n_left_out = min(1 + design.overlap, len(size_B) // 4)
    usual = float(np.sort(size_B)[: len(size_B) - n_left_out].mean())
    weights: Array = np.minimum(1.0, MOST_TIMES * max(usual, TINY) / np.maximum(size_B, TINY))
    return weights


def _to_gain(lower_share: float, power: float) -> float:
    """The gain of the shown loss, given the share by which the compared loss is lower; at most 1."""
    return float(1 - max(1 - lower_share, 0.0) ** power)


def _measure_gains(reference: float, losses_C: Array, power: float) -> Array:
    gains: Array = 1 - (losses_C / max(reference, TINY)) ** power
    return gains


def _claim_nothing(n: int, gain: float, design: Design, label: str, n_compared: int) -> Comparison:
    return Comparison(
        n_origins=n,
        gain_share=gain,
        low_share=None,
        high_share=None,
        p_value=1.0,
        plain_gain_share=gain,
        n_compared=n_compared,
        n_fits=design.n_fits,
        loss_name=label,
        noun=design.noun,
    )


def _refuse(reference_B: Array, design: Design, label: str, n_compared: int) -> Comparison:
    """The comparison of a candidate whose losses are not all finite."""
    return _claim_nothing(len(reference_B), -np.inf, design, label, n_compared)
