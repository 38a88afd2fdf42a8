"""Tests of several means against 0 at once: standard errors under dependence, and p-values of the largest statistic.

The p-values come from a multivariate t distribution with the correlations of the differences, in steps (Romano and
Wolf, Stepwise multiple testing as formalized data snooping, Econometrica 73, 2005; Hothorn, Bretz and Westfall,
Simultaneous inference in general parametric models, Biometrical Journal 50, 2008). A copy of a candidate has
correlation 1 and costs nothing, unlike with Holm.

Shapes: V statistics, B observations, M draws, N cosines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.evaluation.metrics import Array

TINY = 1e-12
"""Stands for 0 where a mean or a standard error divides."""
_COSINES = 0.6
"""Cosines of the long-run variance: this times B^(2/3). Lazarus et al. propose 0.4 without prewhitening; after it, the
size holds with 0.6 (measured by `benchmarks.gate`), and there are half as many degrees of freedom again.
"""
_STRONGEST = 0.97
"""Largest autocorrelation that is taken out."""
_FEWEST_FOLDS = 3
_DRAWS, _SEED = 4000, 20050601


@dataclass(frozen=True)
class Errors:
    """Standard errors of V means, their degrees of freedom, and the correlations of the differences [V, V]."""

    standard_V: Array
    dof: int
    correlations_VV: Array

    def find_reach(self, coverage_share: float) -> Array:
        """Distance of the bounds of each mean that hold the true one with this probability."""
        from scipy import stats

        reach_V: Array = stats.t.isf((1 - coverage_share) / 2, self.dof) * self.standard_V
        return reach_V


def measure_record_errors(differences_VB: Array, fold_B: NDArray[np.int64] | None = None) -> Errors:
    """Standard errors of the means of independent records.

    Records of one fold share their fits, so luck of a fit moves all of them. Where the means of the folds differ by
    more than their records explain, their variance counts.
    """
    n = differences_VB.shape[1]
    centred_VB = differences_VB - differences_VB.mean(axis=1, keepdims=True)
    squared_V = (centred_VB**2).sum(axis=1) / (n - 1) / n
    if fold_B is not None and len(folds := np.unique(fold_B)) >= _FEWEST_FOLDS:
        means_VF = np.stack([differences_VB[:, fold_B == fold].mean(axis=1) for fold in folds], axis=1)
        squared_V = np.maximum(squared_V, means_VF.var(axis=1, ddof=1) / len(folds))
    return Errors(np.sqrt(squared_V) + TINY, n - 1, _correlate(centred_VB))


def measure_series_errors(differences_VB: Array, overlap: int = 0) -> Errors:
    """Standard errors of the means of origins in order of time, which resemble their neighbours.

    The autocorrelation of lag 1, corrected for its bias in small samples (Marriott and Pope, Bias in the estimation of
    autocorrelations, Biometrika 41, 1954), is taken out (Andrews and Monahan, Econometrica 60, 1992). The long-run
    variance of the rest is the mean of its squared projections on the first cosines, so the statistic has a t
    distribution with as many degrees of freedom (Lazarus, Lewis, Stock and Watson, HAR inference, Journal of Business &
    Economic Statistics 36, 2018). The period of each cosine is at least two horizons of `overlap + 1` steps. Dependence
    never makes the error smaller than that of independent origins.
    """
    n = differences_VB.shape[1]
    centred_VB = differences_VB - differences_VB.mean(axis=1, keepdims=True)
    variance_V = (centred_VB**2).sum(axis=1) / (n - 1)
    dependence_V1 = _measure_dependence(centred_VB)[:, np.newaxis]
    rest_VB = centred_VB[:, 1:] - dependence_V1 * centred_VB[:, :-1]
    n_cosines = max(2, min(int(_COSINES * n ** (2 / 3)), n // (1 + overlap)))
    projected_VN = rest_VB @ _build_cosines(n - 1, n_cosines).T
    long_run_V = (projected_VN**2).mean(axis=1) / (1 - dependence_V1[:, 0]) ** 2
    standard_V = np.sqrt(np.maximum(long_run_V, variance_V) / n) + TINY
    return Errors(standard_V, n_cosines, _correlate(rest_VB))


def _measure_dependence(centred_VB: Array) -> Array:
    n = centred_VB.shape[1]
    squares_V = np.maximum((centred_VB**2).sum(axis=1), TINY**2)
    raw_V = (centred_VB[:, 1:] * centred_VB[:, :-1]).sum(axis=1) / squares_V
    dependence_V: Array = np.clip(raw_V + (1 + 3 * raw_V) / n, 0, _STRONGEST)
    return dependence_V


def _build_cosines(n: int, n_cosines: int) -> Array:
    """Orthonormal cosines [n_cosines, n], all orthogonal to a constant."""
    number, at = np.arange(1, n_cosines + 1)[:, np.newaxis], np.arange(n) + 0.5
    cosines: Array = np.sqrt(2 / n) * np.cos(np.pi * number * at / n)
    return cosines


def _correlate(differences_VB: Array) -> Array:
    norms_V1 = np.sqrt((differences_VB**2).sum(axis=1, keepdims=True)) + TINY
    unit_VB = differences_VB / norms_V1
    correlations_VV: Array = unit_VB @ unit_VB.T
    np.fill_diagonal(correlations_VV, 1.0)
    return correlations_VV


def adjust_p_values(statistics_V: Array, errors: Errors, n: int) -> Array:
    """One-sided p-values of the statistics, corrected for all of them; the same input has the same result.

    Each lies between its own p-value and V times that (Bonferroni), however the draws fall. Statistics that are clearly
    negative are no rivals of the best, however large the sample of `n` becomes, and are left out (Hansen, A test for
    superior predictive ability, Journal of Business & Economic Statistics 23, 2005).
    """
    from scipy import stats

    drawn_MV = _draw_statistics(errors)
    own_V = stats.t.sf(statistics_V, errors.dof)
    is_rival_V = statistics_V > -np.sqrt(2 * np.log(np.log(max(n, 4))))
    order_V, last, p_V = np.argsort(-statistics_V, kind="stable"), 0.0, np.ones(len(statistics_V))
    for place, chosen in enumerate(order_V):
        rest = [each for each in order_V[place:] if is_rival_V[each] or each == chosen]
        exceeded = float((drawn_MV[:, rest].max(axis=1) >= statistics_V[chosen]).mean())
        last = max(last, float(np.clip(exceeded, own_V[chosen], min(1.0, len(rest) * own_V[chosen]))))
        p_V[chosen] = last
    return p_V


def _draw_statistics(errors: Errors) -> Array:
    """Draws [M, V] of a multivariate t distribution with the correlations of the differences."""
    random, width = np.random.default_rng(_SEED), len(errors.correlations_VV)
    values_V, vectors_VV = np.linalg.eigh(errors.correlations_VV)
    root_VV = vectors_VV * np.sqrt(np.maximum(values_V, 0))
    normal_MV = random.standard_normal((_DRAWS, width)) @ root_VV.T
    drawn_MV: Array = normal_MV / np.sqrt(random.chisquare(errors.dof, _DRAWS) / errors.dof)[:, np.newaxis]
    return drawn_MV
