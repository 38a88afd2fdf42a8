"""What a person should know of a table's columns, although it changes the meaning of no value."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from okawari.case import Case, Column
from okawari.schema.columns import find_words, spell_words

_MOST_NAMED = 5
_DIGITS = frozenset("01")


def describe_columns(raw: pd.DataFrame, case: Case) -> list[str]:
    """Sentences about columns that the case does not have, and about truth values that are written as 0 and 1."""
    return [*_describe_unknown(raw, case), *_describe_truths(raw, case)]


def _describe_unknown(raw: pd.DataFrame, case: Case) -> Iterator[str]:
    known = {case.time, case.key, *case.known_names}
    unknown = [str(name) for name in raw.columns if name not in known]
    if unknown:
        more = len(unknown) - _MOST_NAMED
        named = ", ".join(unknown[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        yield f"the case has no column {named}; what the table holds there is left out"


def _describe_truths(raw: pd.DataFrame, case: Case) -> Iterator[str]:
    for column in find_words(case.known_columns):
        if column.boolean and column.name in raw and _has_digits(raw[column.name], column):
            yield f"{column.name} is written as 0 and 1, which are read as false and true"


def _has_digits(values: pd.Series, column: Column) -> bool:
    return bool(_DIGITS & set(spell_words(pd.Series(values.unique()), column.missing_words)))
