"""The Diebold-Mariano test states its lags, its variance and Harvey's factor; these are the formulas, written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from okawari.evaluation.significance import measure_worse_p_value


@pytest.mark.parametrize(("n", "n_lags"), [(12, 2), (40, 3), (120, 4), (500, 5)])
def test_the_p_value_is_that_of_the_written_out_statistic(n: int, n_lags: int) -> None:
    random = np.random.default_rng(n)
    drawn = random.standard_normal(n + 1)
    difference = drawn[1:] + 0.5 * drawn[:-1]  # neighbours resemble each other, so the lags count
    difference += 0.1 - difference.mean()
    centred = difference - difference.mean()
    weights = [1 - lag / (n_lags + 1) for lag in range(1, n_lags + 1)]
    lagged = [centred[lag:] @ centred[:-lag] for lag in range(1, n_lags + 1)]
    variance = (centred @ centred + 2 * np.dot(weights, lagged)) / n
    statistic = difference.mean() / np.sqrt(variance / n) * np.sqrt((n - 1) / n)
    assert measure_worse_p_value(difference, np.zeros(n)) == pytest.approx(stats.t.sf(statistic, n - 1), rel=1e-9)


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 1.0), (0.25, 0.0), (-0.25, 1.0)])
def test_the_same_difference_in_every_row_leaves_nothing_to_chance(difference: float, expected: float) -> None:
    assert measure_worse_p_value(np.full(40, difference), np.zeros(40)) == expected
