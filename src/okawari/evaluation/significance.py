"""Is a gain more than luck? Diebold-Mariano and Holm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from okawari.evaluation.metrics import Array


def measure_worse_p_value(loss: Array, baseline_loss: Array) -> float:
    """One-sided p-value that `loss` is larger on average: Diebold and Mariano (1995) with a Newey-West variance.

    Bartlett weights over floor(4 (n / 100)^(2/9)) lags (Newey and West, Review of Economic Studies 61, 1994),
    Student's t with n - 1 degrees of freedom for small samples (Harvey, Leybourne and Newbold, 1997). Both losses
    [n] belong to the same rows, oldest first; of records, whose order says nothing, the lags add nothing but noise.
    """
    from scipy import stats

    difference = loss - baseline_loss
    mean, n = float(difference.mean()), len(difference)
    centred = difference - mean
    n_lags = int(4 * (n / 100) ** (2 / 9))
    lagged = [float(centred[lag:] @ centred[: n - lag]) * (1 - lag / (n_lags + 1)) for lag in range(1, n_lags + 1)]
    variance = (float(centred @ centred) + 2 * sum(lagged)) / n
    if variance <= 0:  # the same difference in every row: nothing is left to chance
        return float(mean <= 0)
    return float(stats.t.sf(mean / np.sqrt(variance / n), n - 1))


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: at most alpha keeps the family-wise error rate at alpha.

    The k-th smallest of m counts (m - k + 1) times, and no less than the one before it (Holm, Scandinavian Journal of
    Statistics 6, 1979).
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted
