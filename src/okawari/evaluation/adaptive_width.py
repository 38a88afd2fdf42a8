"""Adaptive conformal intervals: how much wider or narrower than calibrated ones they have to be, from outcomes.

The width factor f of a step follows its scores, one outcome after the other. A miss widens, a hit narrows:

    log f <- log f + rate * (missed - (1 - coverage_share))

This is adaptive conformal inference (Gibbs and Candes, Adaptive Conformal Inference Under Distribution Shift, NeurIPS
2021, eq. 2) in its quantile form (Angelopoulos, Candes and Tibshirani, Conformal PID Control for Time Series
Prediction, NeurIPS 2023, section 2.2), on logarithms of widths, so that a step is a share of the width. The share of
misses tends to the promised one for any sequence of scores within the bounds. Several rates run at the same time, as
no rate is best for both quiet and changing series, and are weighed by their recent interval scores (Gibbs and Candes,
Conformal Inference for Online Prediction with Arbitrary Distribution Shifts, 2022). The constants were settled on
simulated series (docs/decisions/0011-scales-of-intervals.md).

A factor is a function of the scores alone: it is computed anew from all of them, so that no outcome is lost or counted
twice, and many that arrive together have the effect of single ones.

Shapes: N outcomes, E rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from okawari.errors import require
from okawari.models.windows import Values

RATES = (0.0, 0.02, 0.05, 0.1, 0.2)
LEAST, MOST = 0.25, 8.0
"""Bounds of a factor: beyond them a new training is due, not another width."""
KEPT = 5000
"""Newest outcomes that a factor is computed from."""
_MEMORY, _WEIGHT = 0.98, 0.3
"""Share of a loss that remains after one more outcome, and its weight in the exponent."""


@dataclass(frozen=True)
class Adapted:
    """The factor of the next interval, and those that held when each of the scores came, [N]."""

    factor: float
    path_N: Values


def adapt_width(score_N: Values, coverage_share: float) -> Adapted:
    """Compute the width factor of a step or a head from the scores of its outcomes.

    Args:
        score_N: distances of true values from predicted ones in calibrated half widths, oldest first: above 1 where a
            calibrated interval misses.
        coverage_share: share of true values that intervals are meant to contain.

    Example:
        >>> adapt_width(np.full(200, 2.0), 0.9).factor > 1.9
        True
    """
    require(bool(np.isfinite(score_N).all()), "A score is not finite; leave out outcomes without one.")
    missing_share, rate_E = 1 - coverage_share, np.array(RATES)
    log_E, loss_E = np.zeros(len(rate_E)), np.zeros(len(rate_E))
    least, most = math.log(LEAST), math.log(MOST)
    known_N = score_N[-KEPT:]
    path_N = np.empty(len(known_N))
    for place, score in enumerate(known_N):
        path_N[place] = _combine(log_E, loss_E)
        wide_E = np.exp(log_E)
        loss_E = _MEMORY * loss_E + (wide_E + np.maximum(score - wide_E, 0) / missing_share) / 2
        log_E = np.clip(log_E + rate_E * ((score > wide_E) - missing_share), least, most)
    return Adapted(_combine(log_E, loss_E), path_N)


def _combine(log_E: Values, loss_E: Values) -> float:
    weight_E = np.exp(-_WEIGHT * (loss_E - loss_E.min()))
    return float(np.exp(weight_E @ log_E / weight_E.sum()))
