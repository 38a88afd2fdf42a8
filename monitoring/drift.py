"""The drift verdict: whether the features have moved away from the readings that the champion was trained on.

A plain Kolmogorov-Smirnov test assumes independent rows. On a stationary AR(0.9) feature it alarms at the 5% level in
more than half of all looks. Therefore the test is calibrated on the reference: every contiguous block as long as the
current sample is compared with the rest of the reference, and the current sample counts as drifted only if it lies
further out than such blocks.

Shapes: N rows of the reference, W rows of the current sample, B blocks. Knows no report, no clock, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from monitoring.contingency import measure_contingency
from okawari.case import Drift
from okawari.errors import InvalidInput
from okawari.evaluation.significance import find_holm_levels
from okawari.policy.decision import Verdict

Array = npt.NDArray[np.float64]

BLOCKS = 400
"""At least this many blocks where the reference is long enough (up to twice as many, as the step is a whole number).

Holm's smallest level has to be reachable: 1 / (1 + B) <= alpha / columns. With alpha 0.05 and 20 columns that is
B >= 399; with 3 columns it is B >= 59. 750 readings against 60 give 691 blocks at step 1.
"""

SEPARATE_BLOCKS = 5
"""Smallest number of disjoint blocks in the reference; with fewer, their spread cannot be estimated.

Overlapping blocks share rows, so B sets the resolution of the p-value, and N / W the number of independent blocks.
"""

MAX_REFERENCE, MAX_CURRENT = 5000, 1000
"""Largest numbers of newest rows that are tested: 5000 / 1000 still gives SEPARATE_BLOCKS, and Evidently draws the
same rows in about a second. The resolution of KS at 1000 rows is near 0.03, well below any useful minimum effect."""


Test = Literal["block_ks", "two_sample_ks", "contingency"]


@dataclass(frozen=True)
class ColumnDrift:
    """The drift of one feature: its distance from the reference (0 to 1) and the p-value of that distance.

    The distance of numbers is that of Kolmogorov and Smirnov, and that of words is the total variation. `threshold` is
    the Holm level of `p_value`; `drifted` also requires the minimum effect.
    """

    column: str
    distance: float
    p_value: float
    threshold: float
    drifted: bool
    test: Test = "block_ks"

    @property
    def alarm_level(self) -> float:
        """The p-value at or below which this column alarms: its Holm level, or 0 if the effect is too small."""
        return self.threshold if self.drifted or self.p_value > self.threshold else 0.0


@dataclass(frozen=True)
class DriftVerdict:
    """The verdict over all features, with its reason. `n_*` count the rows that were tested."""

    verdict: Verdict
    columns: tuple[ColumnDrift, ...]
    n_reference: int
    n_current: int
    reason: str
    test: Test = "block_ks"
    """The test behind the p-values of numbers: blocks of the reference, or two independent samples."""

    def facts(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return asdict(self) | {"columns": [asdict(column) for column in self.columns]}


def measure_drift(
    reference: pd.DataFrame, current: pd.DataFrame, rule: Drift, *, in_order: bool = True
) -> DriftVerdict:
    """Compare every feature column of `current` with `reference`, both oldest row first.

    Args:
        reference: features that the champion was trained on, [n, K] floats or words; the newest MAX_REFERENCE rows are
            used. Missing numbers are left out.
        current: newer features of the same columns, [n, K]; the newest MAX_CURRENT rows are used.
        rule: family-wise `alpha` over the columns (Holm), smallest distance, smallest number of readings.
        in_order: whether rows follow each other in time. If so, the test is calibrated on blocks of the reference;
            records are independent and get the plain two-sample test.

    Raises:
        InvalidInput: no column, a column missing on either side, words against numbers, or a value that is infinite.
    """
    check_features(reference, current)
    reference, current = newest_rows(reference, current)
    sizes = len(reference), len(current)
    shortage = _find_shortage(*sizes, reference.shape[1], rule, in_order=in_order)
    test: Test = "block_ks" if in_order else "two_sample_ks"
    if shortage:
        return DriftVerdict(Verdict.NOT_ENOUGH_DATA, (), *sizes, shortage, test)
    tests = {str(name): _choose_test(reference[name], test) for name in reference.columns}
    measured = {name: TESTS[chosen](*_take(chosen, reference[name], current[name])) for name, chosen in tests.items()}
    columns = tuple(replace(column, test=tests[column.column]) for column in _judge_columns(measured, rule))
    drifted = any(column.drifted for column in columns)
    return DriftVerdict(Verdict.DRIFTED if drifted else Verdict.STABLE, columns, *sizes, _describe(columns, rule), test)


def _choose_test(values: pd.Series, numbers: Test) -> Test:
    return numbers if pd.api.types.is_numeric_dtype(values) else "contingency"


def _take(test: Test, *samples: pd.Series) -> tuple[npt.NDArray[Any], ...]:
    """The samples as arrays: words as they are, numbers without missing ones."""
    kind = object if test == "contingency" else float
    return tuple(sample.dropna().to_numpy(dtype=kind) for sample in samples)


def newest_rows(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The contiguous rows of both samples that are tested and drawn."""
    return reference.tail(MAX_REFERENCE), current.tail(MAX_CURRENT)


def measure_block_ks(reference_N: Array, current_W: Array) -> tuple[float, float]:
    """KS distance of the current sample from the reference, and its p-value calibrated on blocks of the reference.

    Without enough values on one side (the others are missing), the p-value is 1.

    The p-value is the larger, more conservative one of two:

    * rank: (1 + blocks at least as far out) / (1 + B). Overlapping blocks are not independent, so this p-value alone
      alarms too often: three columns at a family-wise 5% gave 8 to 15% with 60 rows against 750.
    * prediction: the fourth root of the blocks' distances is close to normal; one more draw, given the mean and
      spread of N / W separate ones, follows Student's t with N / W - 1 degrees of freedom.

    Together, with Holm over three columns at 5%, looks without drift alarmed in 1.5 to 5.5% (60 or 21 rows against 750;
    iid, AR(0.5), AR(0.9), GARCH, |GARCH|). `benchmarks/false_alarms.py` repeats the measurement.

    Args:
        reference_N: finite values, oldest first, with at least SEPARATE_BLOCKS times W rows.
        current_W: finite values, oldest first.
    """
    n, width = len(reference_N), len(current_W)
    if not width or n < SEPARATE_BLOCKS * width:
        return 0.0, 1.0
    ordered_N = np.sort(reference_N)
    observed = float(_measure_distances(ordered_N, current_W[None, :])[0])
    starts = np.arange(0, n - width + 1, _block_step(n, width))
    blocks_BW = np.lib.stride_tricks.sliding_window_view(reference_N, width)[starts]
    # F_block - F_rest = (F_block - F_reference) * n / (n - width), as the reference is block and rest together.
    distances_B = _measure_distances(ordered_N, blocks_BW) * (n / (n - width))
    rank = (1 + int((distances_B >= observed).sum())) / (1 + len(starts))
    return observed, max(rank, _predict_exceedance(distances_B, observed, n / width))


def measure_two_sample_ks(reference_N: Array, current_W: Array) -> tuple[float, float]:
    """KS distance of two independent samples and its two-sided p-value (exact for small ones, else asymptotic).

    Source: Hodges, The significance probability of the Smirnov two-sample test, 1958. With many equal values, such as
    labels, the p-value is too large and the test conservative.
    """
    if not len(reference_N) or not len(current_W):
        return 0.0, 1.0  # one side has missing values only, which the test of missing values finds
    result = stats.ks_2samp(reference_N, current_W)
    return float(result.statistic), float(result.pvalue)


TESTS: Mapping[Test, Callable[[npt.NDArray[Any], npt.NDArray[Any]], tuple[float, float]]] = {
    "block_ks": measure_block_ks,
    "two_sample_ks": measure_two_sample_ks,
    "contingency": measure_contingency,
}


def check_features(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Check that the features can be compared; errors name the column."""
    if not len(reference.columns):
        raise InvalidInput("The reference has no columns; drift needs at least one feature. Name features in the case.")
    for name in reference.columns.union(current.columns, sort=False):
        for label, frame in (("reference", reference), ("current rows", current)):
            _check_column(frame, name, label)
        if pd.api.types.is_numeric_dtype(reference[name]) != pd.api.types.is_numeric_dtype(current[name]):
            raise InvalidInput(
                f"Column {name} is {reference[name].dtype} in the reference and {current[name].dtype} in the current "
                "rows; numbers are compared with numbers, and words with words. Compute both with the same features."
            )


def _check_column(frame: pd.DataFrame, name: str, label: str) -> None:
    n_found = int((frame.columns == name).sum())
    if n_found != 1:
        raise InvalidInput(
            f"Column {name} occurs {n_found} times in the {label}; both samples need it exactly once. "
            "Compute both with the same features."
        )
    if not pd.api.types.is_numeric_dtype(frame[name]):
        return
    n_bad = int(np.isinf(frame[name].to_numpy(dtype=float, na_value=np.nan)).sum())
    if n_bad:
        raise InvalidInput(
            f"Column {name} of the {label} has {n_bad} values that are infinite; features must be finite or missing. "
            "Quarantine or drop those rows first."
        )


def _find_shortage(n: int, width: int, n_columns: int, rule: Drift, *, in_order: bool) -> str:
    """Why these sample sizes are too small; empty if they are not."""
    if width < rule.min_current:
        return f"{width} current rows; the rule needs {rule.min_current}."
    if not in_order:
        return "" if n >= rule.min_current else f"{n} reference rows; the rule needs {rule.min_current}."
    if n < SEPARATE_BLOCKS * width:
        return (
            f"The reference of {n} rows holds {n / width:.1f} blocks of {width}; {SEPARATE_BLOCKS} are needed "
            f"to estimate the usual distance. Use at least {SEPARATE_BLOCKS * width} rows or fewer current ones."
        )
    smallest, level = 1 / (1 + _count_blocks(n, width)), rule.alpha / n_columns
    if smallest > level:
        return (
            f"{n} reference rows give {_count_blocks(n, width)} blocks of {width}, so no p-value below "
            f"{smallest:.2g}, but Holm over {n_columns} columns needs {level:.2g}. "
            "Lengthen the reference, drop columns or raise alpha."
        )
    return ""


def _block_step(n: int, width: int) -> int:
    return max(1, (n - width) // BLOCKS)


def _count_blocks(n: int, width: int) -> int:
    return (n - width) // _block_step(n, width) + 1


def _measure_distances(ordered_N: Array, samples_BW: Array) -> Array:
    """KS distance of each row of `samples_BW` from the sorted reference.

    Between two neighbouring sample values the distribution of the sample is constant and that of the reference does not
    fall, so the largest gap lies at a sample value or just below one.
    """
    samples_BW = np.sort(samples_BW, axis=1)
    n, width = len(ordered_N), samples_BW.shape[1]
    before_BW, upto_BW = _count_ties(samples_BW)
    above_BW = np.abs(upto_BW / width - np.searchsorted(ordered_N, samples_BW, "right") / n)
    below_BW = np.abs(np.searchsorted(ordered_N, samples_BW, "left") / n - before_BW / width)
    distances: Array = np.maximum(above_BW, below_BW).max(axis=1)
    return distances


def _count_ties(sorted_BW: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each value of a sorted row, the number of smaller values and the number of values that are not larger."""
    n_rows, width = sorted_BW.shape
    edge = np.ones((n_rows, 1), dtype=bool)
    rises = np.diff(sorted_BW, axis=1) > 0
    index = np.arange(width)
    before = np.maximum.accumulate(np.where(np.hstack([edge, rises]), index, 0), axis=1)
    upto = np.minimum.accumulate(np.where(np.hstack([rises, edge]), index + 1, width)[:, ::-1], axis=1)[:, ::-1]
    return before, upto


def _predict_exceedance(distances_B: Array, observed: float, n_separate: float) -> float:
    """Probability that one more block lies at least as far out, given mean and spread of `n_separate` blocks."""
    usual_B = distances_B**0.25
    spread = float(usual_B.std()) * np.sqrt(n_separate / (n_separate - 1) * (1 + 1 / n_separate))
    excess = observed**0.25 - float(usual_B.mean())
    if spread == 0:
        return float(excess <= 0)
    return float(stats.t.sf(excess / spread, n_separate - 1))


def _judge_columns(measured: Mapping[str, tuple[float, float]], rule: Drift) -> tuple[ColumnDrift, ...]:
    """Apply Holm over the columns and the minimum effect."""
    levels = find_holm_levels([p_value for _, p_value in measured.values()], rule.alpha)
    return tuple(
        ColumnDrift(name, distance, p_value, float(level), bool(p_value <= level and distance >= rule.min_effect))
        for (name, (distance, p_value)), level in zip(measured.items(), levels, strict=True)
    )


def _describe(columns: tuple[ColumnDrift, ...], rule: Drift) -> str:
    drifted = [column for column in columns if column.drifted]
    shown = drifted or [min(columns, key=lambda column: column.p_value)]
    numbers = "; ".join(
        f"{each.column} (distance {each.distance:.3f}, p {each.p_value:.2g}, level {each.threshold:.2g})"
        for each in shown
    )
    if drifted:
        return f"{len(drifted)} of {len(columns)} features drifted: {numbers}."
    floor = f"A distance below {rule.min_effect:g} never counts as drift."
    return f"No feature drifted; the smallest p-value: {numbers}. {floor}"
