"""Sizes of a case's parts, from the number of its rows: how many judge the candidates, and in how many fits.

A table with fewer than `FULL` rows gets a *modest* plan: a short history and simple candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

from okawari.case import Drift, Gate, Retrain
from okawari.case.rules import MIN_CALIBRATION, MIN_HOLDOUT
from okawari.scaffold.reach import Reach

FULL = 100
"""Fewest rows of a plan that is not modest."""
FEWEST_RECORDS = 30
"""Fewest records of a case."""
MANY_RECORDS = 5000
"""Records from which on one fit is judged on some of them: these are then many, and a fit takes longer."""
_FOLDS = 5
_ORIGINS = ((400, 4), (1500, 3), (5000, 2))
"""Windows of a series below which each candidate is fitted so many times."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a plan counts, and what a modest one has less of."""

    rows: str
    windows: str
    less: str = ""


READINGS = Plan(rows="readings", windows="windows", less="a short history, few judged windows")
RECORDS = Plan(rows="rows", windows="rows", less="few judged rows")


def is_modest(n: int) -> bool:
    """Whether `n` rows get a modest plan."""
    return n < FULL


def plan_series_gate(reach: Reach) -> Gate:
    """Two fifths of the judged windows as holdout, fewer where the first interval takes more of them; the others are
    for calibration. Each candidate is fitted four times on short series and once on long ones.
    """
    holdout = max(MIN_HOLDOUT, min(2 * reach.n_judged // 5, reach.n_judged - MIN_CALIBRATION - reach.horizon))
    origins = next((count for below, count in _ORIGINS if reach.n_windows < below), 1)
    return Gate(holdout=holdout, calibration=reach.n_judged - holdout, origins=origins)


def plan_folds_gate(n: int, *, labelled: bool) -> Gate:
    """Five folds, so that every record is judged once and four fifths teach each fit. From 5000 records on, one fit
    that is judged on a fifth of them, at most on 7000.
    """
    if n < MANY_RECORDS:
        holdout, calibration, origins = n // 10, n // 10, _FOLDS
    else:
        holdout, calibration, origins = min(5000, max(500, n // 10)), min(2000, max(500, n // 20)), 1
    return _build_records_gate(holdout, calibration, origins, labelled=labelled)


def plan_timed_gate(n: int, *, labelled: bool) -> Gate:
    """The newest quarter of the records judges, at most 7000 of them, in five blocks; in one from 5000 records on."""
    holdout, calibration = min(5000, n // 8), min(2000, n // 8)
    return _build_records_gate(holdout, calibration, _FOLDS if n < MANY_RECORDS else 1, labelled=labelled)


def _build_records_gate(holdout: int, calibration: int, origins: int, *, labelled: bool) -> Gate:
    holdout, calibration = max(MIN_HOLDOUT, holdout), max(MIN_CALIBRATION, calibration)
    return (
        Gate(holdout=holdout, origins=origins)
        if labelled
        else Gate(holdout=holdout, calibration=calibration, origins=origins)
    )


def plan_drift(n: int) -> Drift:
    """A fifth of the rows as new rows, within the limits of `Drift`, so that drift can be tested from the start."""
    default = Drift()
    return Drift(current=min(default.current, max(default.min_current, n // 5)))


def plan_retrain(n: int, *, modest: bool) -> Retrain:
    """The default limits; in a modest plan, a twelfth of the rows, at least 3, is enough for another training."""
    return Retrain(cooldown_readings=max(3, n // 12)) if modest else Retrain()


def describe_modesty(n: int, plan: Plan, *, n_judged: int, with_intervals: bool) -> str:
    """The limits of a modest plan, for its owner."""
    intervals = " and intervals, which are wide and uncertain" * with_intervals
    return (
        f"A modest case, because there are {n} {plan.rows}: {plan.less} and simple candidates without networks and "
        f"trees. Scores{intervals} come from {n_judged} judged {plan.windows}. From {FULL} {plan.rows} on, "
        "`okawari new` plans more."
    )
