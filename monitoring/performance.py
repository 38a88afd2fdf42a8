"""The performance verdict: whether the outcomes that have arrived confirm the quality of the served model.

Two properties are tested on matured one-step predictions: the error is not larger than that of the baseline, and the
interval covers the promised share. Knows no store, no clock, no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from okawari.errors import InvalidInput
from okawari.evaluation.significance import measure_worse_p_value
from okawari.formats import format_number, format_share
from okawari.policy.decision import Verdict

Array = npt.NDArray[np.float64]

ALPHA = 0.01
"""False-alarm rate of one verdict."""
REQUIRED, BOUNDS = ("prediction", "level", "truth"), ("lower", "upper")


@dataclass(frozen=True, kw_only=True)
class PerformanceVerdict:
    """The verdict over the outcomes, with its reason. Errors are in the unit of the target.

    `skill_share` is 1 - rmse / baseline_rmse: below 0 the baseline was better. `worse_p_value` tests whether the error
    is larger than that of the baseline, `under_p_value` whether the interval covers less than promised. Values are None
    if they could not be measured: too few outcomes, a model without intervals, an exact baseline.
    """

    verdict: Verdict
    reason: str
    n: int
    promised_share: float | None = None
    rmse: float | None = None
    baseline_rmse: float | None = None
    skill_share: float | None = None
    coverage_share: float | None = None
    worse_p_value: float | None = None
    under_p_value: float | None = None
    note: str | None = None
    targets: Mapping[str, PerformanceVerdict] | None = None
    """For several targets, the verdict of each."""

    def facts(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return asdict(self)


def measure_performance(
    frame: pd.DataFrame,
    *,
    coverage_share: float,
    baseline: str = "the random walk",
    min_rows: int = 40,
    alpha: float = ALPHA,
) -> PerformanceVerdict:
    """Judge matured one-step predictions against their truth, the baseline and the promised coverage.

    Args:
        frame: one row per matured prediction, oldest first: `prediction`, `lower`, `upper`, `level` (the baseline's
            prediction: for forecasts the last known value) and `truth`, all in the unit of the target. `lower` and
            `upper` may be missing or empty for a model without intervals.
        coverage_share: promised share of true values inside the interval, 0 to 1.
        baseline: name of the baseline in messages.
        min_rows: fewer rows are "not enough data".
        alpha: false-alarm rate of one verdict; the tests share it evenly (Bonferroni).

    Raises:
        InvalidInput: a column is missing, a value is not finite, a lower bound exceeds its upper bound, a share is
            outside 0 to 1, or `min_rows` is below 2.
    """
    _check_shares(coverage_share=coverage_share, alpha=alpha)
    if min_rows < 2:
        raise InvalidInput(f"min_rows is {min_rows}; a spread needs at least 2 rows. Use 40 or so.")
    bounds = _read_bounds(frame)
    prediction, level, truth = (_read_column(frame, name) for name in REQUIRED)
    if len(truth) < min_rows:
        reason = f"{len(truth)} predictions have their outcome; {min_rows} are needed to judge."
        return PerformanceVerdict(
            verdict=Verdict.NOT_ENOUGH_DATA, reason=reason, n=len(truth), promised_share=coverage_share
        )
    errors = _measure_errors(prediction, level, truth)
    coverage = _measure_coverage(*bounds, truth, coverage_share, alpha) if bounds else {}
    return _judge(len(truth), coverage_share, alpha, errors, coverage, baseline)


def measure_hits(
    hits: pd.Series, *, baseline_share: float, min_rows: int = 40, alpha: float = ALPHA
) -> PerformanceVerdict:
    """Judge labels by the share of correct ones: degraded if the most common label would be correct more often.

    Args:
        hits: 1 for each outcome with a correct label, else 0.
        baseline_share: share of the most common label, 0 to 1.
        min_rows: fewer rows are "not enough data".
        alpha: false-alarm rate of the exact binomial test.
    """
    n, right = len(hits), int(hits.sum())
    if n < min_rows:
        reason = f"{n} predictions have their outcome; {min_rows} are needed to judge."
        return PerformanceVerdict(verdict=Verdict.NOT_ENOUGH_DATA, reason=reason, n=n)
    p_value = float(stats.binomtest(right, n, baseline_share, alternative="less").pvalue)
    worse = p_value < alpha
    reason = (
        f"{format_share(right / n, 1)} of {n} outcomes were correct, {'less than' if worse else 'against'} the "
        f"{format_share(baseline_share, 1)} of the most common label (p {p_value:.2g}, alarms below {alpha:g})."
    )
    return PerformanceVerdict(
        verdict=Verdict.DEGRADED if worse else Verdict.GOOD, reason=reason, n=n, worse_p_value=p_value
    )


def join_verdicts(verdicts: Mapping[str, PerformanceVerdict]) -> PerformanceVerdict:
    """One verdict over several targets: degraded if any of them is; only the reasons of the worst verdict are kept.

    Each target must be measured with its share of `alpha` (Bonferroni), so that the joint verdict keeps `alpha`.
    """
    kinds: tuple[Verdict, ...] = (Verdict.DEGRADED, Verdict.GOOD, Verdict.NOT_ENOUGH_DATA)
    worst = next(kind for kind in kinds if any(each.verdict == kind for each in verdicts.values()))
    decisive = {name: each for name, each in verdicts.items() if each.verdict == worst}
    if worst == "not enough data":
        return next(iter(decisive.values()))
    return PerformanceVerdict(
        verdict=worst,
        reason=" ".join(f"{name}: {each.reason}" for name, each in decisive.items()),
        n=min(each.n for each in decisive.values()),
        targets=dict(verdicts),
    )


def _measure_errors(prediction: Array, level: Array, truth: Array) -> dict[str, float | None]:
    squared, baseline_squared = (prediction - truth) ** 2, (level - truth) ** 2
    rmse, baseline_rmse = float(np.sqrt(squared.mean())), float(np.sqrt(baseline_squared.mean()))
    return {
        "rmse": rmse,
        "baseline_rmse": baseline_rmse,
        "skill_share": 1 - rmse / baseline_rmse if baseline_rmse > 0 else None,
        "worse_p_value": measure_worse_p_value(squared, baseline_squared),
    }


def _measure_coverage(lower: Array, upper: Array, truth: Array, promised: float, alpha: float) -> dict[str, Any]:
    """Exact binomial tests: too little coverage degrades the verdict, too much is only noted."""
    inside, n = int(((lower <= truth) & (truth <= upper)).sum()), len(truth)
    too_wide = stats.binomtest(inside, n, promised, alternative="greater").pvalue < alpha
    return {
        "coverage_share": inside / n,
        "under_p_value": float(stats.binomtest(inside, n, promised, alternative="less").pvalue),
        "note": f"The intervals are wider than promised: they cover {inside} of {n}." if too_wide else None,
    }


def _judge(
    n: int, promised: float, alpha: float, errors: dict[str, float | None], coverage: dict[str, Any], baseline: str
) -> PerformanceVerdict:
    numbers: dict[str, Any] = {**errors, **coverage}
    level = alpha / (2 if coverage else 1)
    worse = numbers["worse_p_value"] < level
    under = bool(coverage) and numbers["under_p_value"] < level
    return PerformanceVerdict(
        verdict=Verdict.DEGRADED if worse or under else Verdict.GOOD,
        reason=_describe(n, promised, level, {**numbers, "baseline": baseline}, worse, under),
        n=n,
        promised_share=promised,
        **numbers,
    )


def _describe(n: int, promised: float, level: float, numbers: dict[str, Any], worse: bool, under: bool) -> str:
    against = "worse than" if worse else "not worse than" if numbers["rmse"] > numbers["baseline_rmse"] else "against"
    errors = (
        f"RMSE {format_number(numbers['rmse'], 4)} is {against} {numbers['baseline']}'s "
        f"{format_number(numbers['baseline_rmse'], 4)} "
        f"(p {numbers['worse_p_value']:.2g})"
    )
    if "coverage_share" not in numbers:
        return f"Over {n} outcomes {errors}; the model has no intervals."
    covers = "only cover" if under else "cover"
    measured, share = format_share(numbers["coverage_share"], 1), format_share(promised, 1)
    return (
        f"Over {n} outcomes {errors}, and the intervals {covers} {measured} where {share} were promised "
        f"(p {numbers['under_p_value']:.2g}); both p-values alarm below {level:g}."
    )


def _read_column(frame: pd.DataFrame, name: str) -> Array:
    if name not in frame.columns:
        raise InvalidInput(
            f"Column {name} is missing from the outcomes; they have {list(frame.columns)}. "
            f"Give {', '.join(REQUIRED + BOUNDS)}."
        )
    values: Array = frame[name].to_numpy(dtype=float, na_value=np.nan)
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise InvalidInput(
            f"Column {name} of the outcomes has {n_bad} values that are missing or infinite; all must be "
            "finite. Leave out the rows whose outcome has not arrived."
        )
    return values


def _read_bounds(frame: pd.DataFrame) -> tuple[Array, Array] | None:
    """Both bounds of the intervals; None if the model has no intervals."""
    if all(name not in frame.columns or frame[name].isna().all() for name in BOUNDS):
        return None
    lower, upper = (_read_column(frame, name) for name in BOUNDS)
    n_bad = int((lower > upper).sum())
    if n_bad:
        raise InvalidInput(f"{n_bad} intervals have lower above upper; lower must not exceed upper. Check their order.")
    return lower, upper


def _check_shares(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 < value < 1:
            raise InvalidInput(f"{name} is {value}; it is a share between 0 and 1, exclusive. Use 0.9 for 90 percent.")
