"""Significance of what is watched: Diebold-Mariano and Holm, both computed by statsmodels.

statsmodels is imported inside the functions, because the service does not install it.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from okawari.evaluation.metrics import Array


def measure_worse_p_value(loss: Array, baseline_loss: Array) -> float:
    """One-sided p-value that `loss` is larger on average than `baseline_loss`.

    Diebold and Mariano, Comparing predictive accuracy, 1995: the t statistic of the mean difference with a Newey-West
    variance, Bartlett weights over floor(4 (n / 100)^(2/9)) lags (Newey and West, Review of Economic Studies 61, 1994).
    For small samples the statistic is multiplied by sqrt((n - 1) / n), the factor of Harvey, Leybourne and Newbold
    (1997) for one step ahead, and compared with Student's t with n - 1 degrees of freedom.

    Args:
        loss: losses of the rows [n], oldest first.
        baseline_loss: losses of the same rows. Records have no order; for them the lags only add noise.

    Returns:
        Between 0 and 1. If all rows have the same difference, the result is 0 if `loss` is larger, else 1.
    """
    from scipy import stats
    from statsmodels.tsa.stattools import diebold_mariano_test

    difference, n = loss - baseline_loss, len(loss)
    if np.ptp(difference) == 0:
        return float(difference[0] <= 0)
    n_lags = int(4 * (n / 100) ** (2 / 9))
    result = diebold_mariano_test(
        np.zeros(n), loss, baseline_loss, lags=n_lags, criterion=lambda _, losses: losses, harvey_adj=True
    )
    return float(stats.t.sf(result.statistic, n - 1))


def find_holm_levels(p_values: Sequence[float], alpha: float) -> NDArray[np.float64]:
    """The significance level of each p-value, in the order given: Holm rejects where `p <= level`.

    The k-th smallest of m has the level alpha / (m - k + 1). Once a hypothesis is kept, all with larger p-values are
    kept; they get the same level, which they also exceed.
    """
    m, n_rejected = len(p_values), int(np.sum(_reject_by_holm(p_values, alpha)))
    ranks = np.empty(m, dtype=np.int64)
    ranks[np.argsort(p_values, kind="stable")] = np.arange(m)
    levels: NDArray[np.float64] = alpha / (m - np.minimum(ranks, n_rejected))
    return levels


def _reject_by_holm(p_values: Sequence[float], alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected at `alpha`, in the order given.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    from statsmodels.stats.multitest import multipletests

    # statsmodels runs a full garbage collection on each call: 35 ms with only its own modules loaded, and a second in a
    # test process with all libraries loaded. Frozen objects are skipped. A freeze by the caller is kept.
    is_free = gc.get_freeze_count() == 0
    if is_free:
        gc.freeze()
    try:
        rejected: NDArray[np.bool_] = multipletests(p_values, alpha=alpha, method="holm")[0]
    finally:
        if is_free:
            gc.unfreeze()
    return rejected
