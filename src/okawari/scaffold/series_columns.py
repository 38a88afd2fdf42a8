"""Bounds, features and learned transform of a forecast, chosen from the ranges of a table's columns and described.

Only numbers above 0 have a logarithm. So the feature of a column above 0 is its growth, and that of any other is its
change.
"""

from __future__ import annotations

from collections.abc import Sequence

from okawari.case import Column
from okawari.scaffold.case_columns import build_column
from okawari.scaffold.column_profiles import Profile
from okawari.schema.features import Change, Feature, LogRatio
from okawari.schema.transforms import TRANSFORMS, Learns


def choose_learnt(target: Profile) -> Learns:
    """What models of a forecast learn: growth, or differences if the target is zero or below in some rows."""
    return "difference" if target.n_not_positive else "growth"


def build_feature(column: Profile) -> Feature:
    """The feature of a column: its move from one reading to the next."""
    if column.n_not_positive:
        return Change(name=f"{column.name}_change", column=column.name)
    return LogRatio(name=f"{column.name}_growth", numerator=column.name, denominator=column.name, lag=1)


def build_reading_column(column: Profile, target: Profile) -> Column:
    """A column of a forecast: above 0 if all its values are, or at least 0 for a target that is 0 but never below."""
    if not column.n_not_positive:
        return build_column(column, above=0)
    return build_column(column, minimum=0 if column is target and _is_amount(target) else None)


def _is_amount(target: Profile) -> bool:
    """Whether a target looks like a count or an amount: it was 0 and never below."""
    return target.low == 0


_INTERVAL = 1.32


def is_intermittent(target: Profile) -> bool:
    """Whether a target is never below 0 and so often 0 that demand comes at intervals of 1.32 readings and more.

    Source: Syntetos, Boylan and Croston, On the Categorization of Demand Patterns, Journal of the Operational Research
    Society 56 (2005).
    """
    return _is_amount(target) and target.n_not_positive >= (1 - 1 / _INTERVAL) * (target.n_rows - target.n_damaged)


def describe_bounds(target: Profile, kept: Sequence[Profile]) -> str:
    """Which columns have bounds, and why."""
    sentences = []
    if not any(each.n_not_positive for each in kept):
        sentences.append("Each is above 0 in every row, so `above=0` refuses values without a logarithm.")
    elif not all(each.n_not_positive for each in kept):
        sentences.append("`above=0` is set where every row is above 0; it refuses values without a logarithm.")
    if _is_amount(target):
        sentences.append(
            f"{target.source_name!r} is never below 0, so `minimum=0` refuses lower values and keeps answers at 0 or "
            "above; remove it if lower values can occur."
        )
    return " ".join(sentences)


def describe_features(kept: Sequence[Profile]) -> str:
    """The verb for how the columns move: they grow or change."""
    if not any(each.n_not_positive for each in kept):
        return "grows"
    return "changes" if all(each.n_not_positive for each in kept) else "grows or, where it is ever 0 or below, changes"


def describe_learnt(target: Profile) -> str:
    """The range of the target, and what models learn because of it."""
    if TRANSFORMS[choose_learnt(target)].needs_positive:
        return "a number above 0"
    return (
        f"a number that is 0 or below in {target.n_not_positive} of {target.n_rows} rows. These have no logarithm, so "
        "models learn differences, not growth"
    )
