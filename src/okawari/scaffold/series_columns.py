"""What the ranges of a table's columns make of a forecast: bounds, features and what models learn, each in words, too.

A logarithm takes numbers above 0 alone. So a column that stays above 0 grows, and any other one changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from okawari.case import Column
from okawari.scaffold.column_profiles import Profile
from okawari.schema.features import Change, Feature, LogRatio
from okawari.schema.transforms import TRANSFORMS, Learns


def choose_learnt(target: Profile) -> Learns:
    """What models of a forecast learn of its target: growth, unless it is zero or below in some rows."""
    return "difference" if target.n_not_positive else "growth"


def follow_column(column: Profile) -> Feature:
    """How a column moves from one reading to the next."""
    if column.n_not_positive:
        return Change(name=f"{column.name}_change", column=column.name)
    return LogRatio(name=f"{column.name}_growth", numerator=column.name, denominator=column.name, lag=1)


def describe_reading(column: Profile, target: Profile) -> Column:
    """A column of a forecast: what is above 0 stays so, and a target that was 0 but never below does not go below."""
    if not column.n_not_positive:
        return describe_column(column, above=0)
    return describe_column(column, minimum=0 if column is target and _is_amount(target) else None)


def describe_column(
    column: Profile, *, above: float | None = None, minimum: float | None = None, as_labels: bool = False
) -> Column:
    """A column of a case, with its labels if it holds words or `as_labels`."""
    told = f"{column.told!r} in the table" if column.told != column.name else ""
    labels = column.words if as_labels or column.kind == "words" else ()
    return Column(name=column.name, above=above, minimum=minimum, labels=labels, description=told)


def _is_amount(target: Profile) -> bool:
    """Whether a target counts or measures an amount, as far as one can see: it was 0, and never below."""
    return target.low == 0


def say_bounds(target: Profile, kept: Sequence[Profile]) -> str:
    """Which columns have bounds, and why."""
    said = []
    if not any(each.n_not_positive for each in kept):
        said.append("Each is above 0 in every row, so `above=0` refuses what a logarithm cannot take.")
    elif not all(each.n_not_positive for each in kept):
        said.append("`above=0` stands where every row is above 0, and refuses what a logarithm cannot take.")
    if _is_amount(target):
        said.append(
            f"{target.told!r} is never below 0, so `minimum=0` refuses that and keeps answers from it; take it out if "
            "that was chance."
        )
    return " ".join(said)


def say_features(kept: Sequence[Profile]) -> str:
    """What the columns do."""
    if not any(each.n_not_positive for each in kept):
        return "grows"
    return "changes" if all(each.n_not_positive for each in kept) else "grows or, where it is ever 0 or below, changes"


def say_learnt(target: Profile) -> str:
    """What kind of number the target is, and what follows for what models learn."""
    if TRANSFORMS[choose_learnt(target)].needs_positive:
        return "a number above 0"
    return (
        f"a number that is 0 or below in {target.n_not_positive} of {target.n_rows} rows. These have no logarithm, so "
        "models learn differences, not growth"
    )
