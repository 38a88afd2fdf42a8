"""Rows of the table of readings, and the frames of readings that a case sees in them.

A table keeps every column that it ever had. A column that the case has added since is missing in older rows, and one
that the case has dropped stays in the table and is not in frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.contract.case_changes import require_meaning
from okawari.contract.case_words import apply_words, read_words
from okawari.dataset.arrays import decode_places, find_places, format_time
from okawari.schema.columns import find_dates, find_words
from okawari.storage.content_digest import digest_content
from okawari.storage.contracts import load_contract
from okawari.storage.table_schemas import TIME

_STORED = {"O": pa.string(), "M": TIME}
"""Types of stored columns by the kind of their values; all others are numbers."""


def lay_out(case: Case, stored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table as readings: times without a zone, the case's columns, ascending in time."""
    _require_kinds(case, stored)
    frame = arrange(case, stored)
    frame = frame.reindex(columns=[case.time, *case.known_names])
    lacking = [column for column in case.known_columns if column.name not in stored]
    words = {column.name: _blank(frame) for column in find_words(lacking)}
    dates = {column.name: np.datetime64("NaT", "ns") for column in find_dates(lacking)}
    frame = frame.assign(**words, **dates)
    return decode_places(frame, know_words(case)) if find_places(frame, case) else frame


def _require_kinds(case: Case, stored: pd.DataFrame) -> None:
    """Raise `InvalidInput` where other values are stored than the case has, such as words for numbers."""
    found = [column for column in case.known_columns if column.name in stored]
    wrong = [column for column in found if _is_date(stored[column.name]) != column.date]
    wrong += [column for column in found if column.kind != "word" and stored[column.name].dtype.kind == "O"]
    if wrong or find_places(stored, case):
        require_meaning(case, load_contract(case.name))


def _is_date(values: pd.Series) -> bool:
    return values.dtype.kind == "M"


def _blank(frame: pd.DataFrame) -> pd.Series:
    return pd.Series([None] * len(frame), index=frame.index, dtype=object)


def arrange(case: Case, stored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table with all its columns, ascending in time: times without a zone, float64, `str` or None."""
    values = {str(name): _to_values(stored[name]) for name in stored.columns if name != case.time}
    frame = pd.DataFrame({case.time: _to_values(stored[case.time]), **values})
    return frame.sort_values(case.time).reset_index(drop=True)


def _to_values(stored: pd.Series) -> pd.Series:
    if _is_date(stored):
        return (stored.dt.tz_localize(None) if stored.dt.tz is not None else stored).astype("datetime64[ns]")
    if stored.dtype.kind in "fiu":
        return stored.astype("float64")
    words = stored.astype(object)
    words[stored.isna()] = None
    return words


def know_words(case: Case) -> Case:
    """The case with the words of its contract, whose places do not change."""
    return apply_words(case, read_words(load_contract(case.name)))


def to_arrow(case: Case, frame: pd.DataFrame) -> pa.Table:
    """Readings as rows of the table: the columns of the frame, numbers as float64, words as text and dates as times."""
    kinds = {str(name): _STORED.get(frame[name].dtype.kind, pa.float64()) for name in frame.columns}
    utc = frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name, kind in kinds.items() if kind == TIME})
    schema = pa.schema({case.time: TIME, **kinds})
    return pa.Table.from_pandas(utc, schema=schema, preserve_index=False)


def measure(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """Identity of a snapshot of these arranged rows: digest, rows, first_at and last_at."""
    at, names = frame[case.time], [str(name) for name in frame.columns if name != case.time]
    return {
        "digest": digest_content(frame[list(case.layout.list_digested(case.time, names))]),
        "rows": len(frame),
        "first_at": format_time(at.iloc[0]),
        "last_at": format_time(at.iloc[-1]),
    }
