"""What a person should know of a table's columns, although it changes the meaning of no value."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from okawari.case import Case, Column
from okawari.schema.columns import find_words
from okawari.schema.words import spell_words

_DIGITS = frozenset("01")


def describe_truths(raw: pd.DataFrame, case: Case) -> Iterator[str]:
    """A sentence for each column of truth values that a table writes as 0 and 1."""
    for column in find_words(case.known_columns):
        if column.boolean and column.name in raw and _has_digits(raw[column.name], column):
            yield f"{column.name} is written as 0 and 1, which are read as false and true"


def _has_digits(values: pd.Series, column: Column) -> bool:
    return bool(_DIGITS & set(spell_words(pd.Series(values.unique()), column.missing_words)))
