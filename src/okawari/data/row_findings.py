"""What is wrong with the rows of a table, as reasons by row. Pandera states the rules; only home of pandera.

A bad row costs as little as a good one: every rule is tried on whole columns, and its sentences are written together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from okawari.case import AtLeast, Case, Column
from okawari.data.time_format import parse_times
from okawari.data.writing import Writing
from okawari.schema.columns import find_numbers

Reasons = dict[int, list[str]]
"""The reasons by the number of the damaged row."""
_MANY = 5
"""If a row has more missing values than this, the reason counts them instead of listing them."""
_USUAL_MISSING = {"na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "-", "--"}
"""Texts that often mean an empty field; a reason says how to state that."""


def add_reasons(reasons: Reasons, rows: Iterable[int], texts: Iterable[str]) -> None:
    """Add one reason to each of the rows, once."""
    for row, text in zip(rows, texts, strict=True):
        found = reasons.get(row)
        if found is None:
            reasons[row] = [text]
        elif text not in found:
            found.append(text)


def add_unreadable(reasons: Reasons, raw: pd.DataFrame, typed: pd.DataFrame, case: Case, writing: Writing) -> None:
    """Add the values that are not of their column's kind, and those that are missing.

    Args:
        reasons: the reasons by row; further ones are added.
        raw: the values as found, None for an empty field.
        typed: the values as read; a missing one is empty, or cannot be read.
        case: the columns, and what they expect.
        writing: how the values are written.
    """
    is_missing: dict[str, NDArray[np.bool_]] = {}
    for name in typed.columns:
        unread = typed[name].isna().to_numpy()
        is_missing[name] = unread & raw[name].isna().to_numpy()
        rows = np.flatnonzero(unread & ~is_missing[name])
        if typed[name].dtype.kind == "O":  # whatever is there is a word
            is_missing[name] = unread
        elif typed[name].dtype.kind == "M":
            add_reasons(reasons, rows.tolist(), _explain_times(name, raw[name].iloc[rows], writing))
        else:
            add_reasons(reasons, rows.tolist(), _explain_numbers(case.column(name), raw[name].iloc[rows]))
    refusing = {name: missing for name, missing in is_missing.items() if not _allows_missing(case, name)}
    _add_missing(reasons, refusing)


def _allows_missing(case: Case, name: str) -> bool:
    return name not in case.time_columns and case.column(name).missing == "allow"


def _explain_numbers(column: Column, values: pd.Series) -> list[str]:
    return [f"{column.name} is {value!r}, not {column.expected}{_advise(value)}" for value in values]


def _advise(value: object) -> str:
    if isinstance(value, str) and value.strip().lower() in _USUAL_MISSING:
        return f'; if that means an empty field, write missing_words=("{value.strip()}",) in its column'
    return ""


def _explain_times(name: str, values: pd.Series, writing: Writing) -> list[str]:
    """Why values are no times; a local time that the clocks skip is one that does not exist."""
    if writing.zone == "UTC" or values.empty:
        return [f"{name} is {value!r}, not a time" for value in values]
    skipped = parse_times(values, writing.time_format).notna()
    return [
        f"{name} is {value!r}, a time that does not exist in {writing.zone}, because clocks skip it"
        if is_skipped
        else f"{name} is {value!r}, not a time"
        for value, is_skipped in zip(values, skipped, strict=True)
    ]


def _add_missing(reasons: Reasons, is_missing: dict[str, NDArray[np.bool_]]) -> None:
    """Add missing values, column by column; rows with many of them get one sentence."""
    if not is_missing:
        return
    missing_NF = np.column_stack(list(is_missing.values()))
    n_missing = missing_NF.sum(axis=1)
    names = list(is_missing)
    many = np.flatnonzero(n_missing > _MANY)  # a record of pixels has hundreds
    firsts = missing_NF[many].argmax(axis=1)
    texts = [
        f"{names[first]} and {count - 1} other columns are missing"
        for first, count in zip(firsts, n_missing[many], strict=True)
    ]
    add_reasons(reasons, many.tolist(), texts)
    for place, name in enumerate(names):
        rows = np.flatnonzero(missing_NF[:, place] & (n_missing <= _MANY))
        add_reasons(reasons, rows.tolist(), [f"{name} is missing"] * len(rows))


def add_strange(reasons: Reasons, typed: pd.DataFrame, columns: Sequence[Column]) -> None:
    """Add the words that their column does not take."""
    for column in columns:
        words = typed[column.name]
        rows = column.find_refused(words)
        texts = [f"{column.name} is {word!r}, not {column.expected}" for word in words.iloc[rows]]
        add_reasons(reasons, rows.tolist(), texts)


def add_violations(reasons: Reasons, typed: pd.DataFrame, case: Case, columns: Sequence[Column], now: datetime) -> None:
    """Add what violates a rule of the case: rules between columns first, then times, then bounds."""
    for rule in case.rules:
        held = _build_rule(rule)(typed).check_output
        rows = typed.index[~held.reindex(typed.index, fill_value=True).to_numpy(dtype=bool)]
        add_reasons(reasons, rows.tolist(), [f"{rule.greater} is below {rule.smaller}"] * len(rows))
    checks = {name: [_build_past(name, now)] for name in case.time_columns}
    checks |= {column.name: _build_checks(column) for column in find_numbers(tuple(columns))}
    for name, each in checks.items():
        for check in each:
            _add_failures(reasons, typed[name], check)


def _add_failures(reasons: Reasons, values: pd.Series, check: pa.Check) -> None:
    held = check(values).check_output
    failed = values[~held.reindex(values.index, fill_value=True).to_numpy(dtype=bool)]  # a missing value holds
    add_reasons(reasons, failed.index.tolist(), [f"{check.error}, came {value}" for value in failed.tolist()])


def _build_past(time: str, now: datetime) -> pa.Check:
    latest = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    # The reason must not contain the time of the check: quarantine keeps a row once for the same reason.
    return pa.Check.le(latest, error=f"{time} lies in the future")


def _build_checks(column: Column) -> list[pa.Check]:
    checks = [pa.Check(np.isfinite, error=f"{column.name} is infinite")]
    if column.above is not None:
        checks.append(pa.Check.gt(column.above, error=f"{column.name} must be above {column.above:g}"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"{column.name} must be at least {column.minimum:g}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"{column.name} must be at most {column.maximum:g}"))
    if column.integer:
        checks.append(pa.Check(lambda values: values % 1 == 0, error=f"{column.name} must be a whole number"))
    return checks


def _build_rule(rule: AtLeast) -> pa.Check:
    def holds(frame: pd.DataFrame) -> pd.Series:
        greater, smaller = frame[rule.greater].to_numpy(), frame[rule.smaller].to_numpy()
        return pd.Series(rule.holds(greater, smaller), index=frame.index)

    return pa.Check(holds, error=f"{rule.greater} is below {rule.smaller}")


def add_repeats(reasons: Reasons, typed: pd.DataFrame, case: Case) -> None:
    """Add the rows whose key appeared before; rows without a key have no repeats."""
    key = list(case.key_columns)
    if not key:
        return
    repeated = typed[typed.duplicated(key, keep="first")]
    keys = zip(*(map(str, repeated[name].tolist()) for name in key), strict=True)
    texts = [f"{', '.join(key)} appears more than once, came {', '.join(values)}" for values in keys]
    add_reasons(reasons, repeated.index.tolist(), texts)
