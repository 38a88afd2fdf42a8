"""The user's own keys of the rows of a table."""

from __future__ import annotations

import pandas as pd

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.schema.keys import read_key


def read_keys(rows: pd.DataFrame, case: Case) -> tuple[dict[int, str], dict[int, str]]:
    """The keys of the rows that have one, and the reasons for the rows whose key is none; both by row number.

    A case without a key, and a table without its column, have no keys.
    """
    keys: dict[int, str] = {}
    reasons: dict[int, str] = {}
    if not case.key or case.key not in rows:
        return keys, reasons
    for number, value in zip(map(int, rows.index), rows[case.key].tolist(), strict=True):
        try:
            key = read_key(_plain(value))
        except InvalidInput as refused:
            reasons[number] = f"{case.key} {refused}"
        else:
            if key is not None:
                keys[number] = key
    return keys, reasons


def _plain(value: object) -> object:
    """Missing values of every type of column as None."""
    return None if value is pd.NaT or value is pd.NA else value
