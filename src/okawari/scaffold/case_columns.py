"""Columns of a case from the profiles of a table: words, missing values and bounds, and their descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from okawari.case import Column
from okawari.formats import format_share
from okawari.scaffold.column_profiles import Profile


def build_column(
    column: Profile, *, above: float | None = None, minimum: float | None = None, as_labels: bool = False
) -> Column:
    """A column of a case, with labels if it holds words or `as_labels`; empty fields are allowed if there are any."""
    description = f"{column.source_name!r} in the table" if column.source_name != column.name else ""
    boolean = column.is_boolean
    labels = column.words if (as_labels or column.kind == "words") and not boolean else ()
    return Column(
        name=column.name,
        above=above,
        minimum=minimum,
        labels=labels,
        boolean=boolean,
        missing="allow" if column.n_missing else "refuse",
        missing_words=column.missing_words,
        description=description,
    )


def build_record_column(column: Profile) -> Column:
    """A column of a record: dates, or at least 0 and whole if its values are such amounts or counts."""
    if column.kind == "times":
        return replace(build_column(column), date=True)
    if not _has_bound(column):
        return build_column(column)
    return replace(build_column(column, minimum=0), integer=column.is_whole)


def build_record_target(target: Profile, *, labelled: bool) -> Column:
    """The target of records: every record needs it, so an empty field refuses its row."""
    if labelled:
        return replace(build_column(target, as_labels=True), missing="refuse")
    bounds: dict[str, Any] = {"above": 0} if target.is_skewed else {"minimum": 0} if target.is_amount else {}
    return replace(build_column(target, **bounds), missing="refuse")


def _has_bound(column: Profile) -> bool:
    return column.kind == "numbers" and column.is_amount


def describe_record_bounds(columns: Sequence[Profile]) -> str:
    """Which columns of records have bounds, and why; empty if none has."""
    if not any(_has_bound(each) for each in columns):
        return ""
    whole = " and `integer=True` where they are whole" * any(_has_bound(each) and each.is_whole for each in columns)
    return (
        f"`minimum=0` is set where no number is below 0 and some are near it{whole}; rows with other numbers are "
        "refused, so remove such a bound if they can occur."
    )


def describe_holes(columns: Sequence[Profile]) -> str:
    """Which columns have empty fields, and what becomes of them; empty if none has."""
    holes = [each for each in columns if each.n_missing]
    if not holes:
        return ""
    shares = ", ".join(f"{each.source_name!r} in {format_share(each.n_missing / each.n_rows)}" for each in holes[:5])
    more = f" and {len(holes) - 5} more" * (len(holes) > 5)
    words = sorted({word for each in holes for word in each.missing_words})
    read = f" Here {', '.join(map(repr, words))} mean an empty field, too." * bool(words)
    return f'Empty fields are values (`missing="allow"`) where there are some: {shares} of the rows{more}.{read}'
