"""Rows of the table of readings, and the frames of readings that a case sees in them.

A table keeps every column that it ever had. A column that the case has added since is missing in older rows, and one
that the case has dropped stays in the table and is not in frames.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.contract.case_changes import require_meaning
from okawari.contract.case_words import apply_words, read_words
from okawari.dataset.arrays import decode_places, find_places, format_time
from okawari.schema.columns import find_numbers, find_words
from okawari.storage.content_digest import digest_content
from okawari.storage.contracts import load_contract
from okawari.storage.table_schemas import TIME


def lay_out(case: Case, stored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table as readings: times without a zone, the case's columns, ascending in time."""
    _require_kinds(case, stored)
    frame = arrange(case, stored)
    frame = frame.reindex(columns=[case.time, *case.known_names])
    absent = {column.name: _blank(frame) for column in find_words(case.known_columns) if column.name not in stored}
    frame = frame.assign(**absent)
    return decode_places(frame, know_words(case)) if find_places(frame, case) else frame


def _require_kinds(case: Case, stored: pd.DataFrame) -> None:
    """Raise `InvalidInput` where words are stored for numbers, or numbers for words that are not places of labels."""
    found = [column for column in case.known_columns if column.name in stored]
    texts = [column for column in find_numbers(found) if stored[column.name].dtype.kind == "O"]
    if texts or find_places(stored, case):
        require_meaning(case, load_contract(case.name))


def _blank(frame: pd.DataFrame) -> pd.Series:
    return pd.Series([None] * len(frame), index=frame.index, dtype=object)


def arrange(case: Case, stored: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table with all its columns, ascending in time: times without a zone, float64, `str` or None."""
    at = stored[case.time]
    times = at.dt.tz_localize(None) if at.dt.tz is not None else at
    values = {str(name): _to_values(stored[name]) for name in stored.columns if name != case.time}
    frame = pd.DataFrame({case.time: times.astype("datetime64[ns]"), **values})
    return frame.sort_values(case.time).reset_index(drop=True)


def _to_values(stored: pd.Series) -> pd.Series:
    if stored.dtype.kind in "fiu":
        return stored.astype("float64")
    words = stored.astype(object)
    words[stored.isna()] = None
    return words


def know_words(case: Case) -> Case:
    """The case with the words of its contract, whose places do not change."""
    return apply_words(case, read_words(load_contract(case.name)))


def to_arrow(case: Case, frame: pd.DataFrame) -> pa.Table:
    """Readings as rows of the table: the columns of the frame, numbers as float64 and words as text."""
    kinds = {
        str(name): pa.string() if frame[name].dtype.kind == "O" else pa.float64()
        for name in frame.columns
        if name != case.time
    }
    utc = frame.assign(**{case.time: frame[case.time].dt.tz_localize("UTC")})
    return pa.Table.from_pandas(utc, schema=pa.schema({case.time: TIME, **kinds}), preserve_index=False)


def measure(case: Case, frame: pd.DataFrame) -> dict[str, Any]:
    """Identity of a snapshot of these arranged rows: digest, rows, first_at and last_at."""
    at, names = frame[case.time], [str(name) for name in frame.columns if name != case.time]
    return {
        "digest": digest_content(frame[list(case.layout.list_digested(case.time, names))]),
        "rows": len(frame),
        "first_at": format_time(at.iloc[0]),
        "last_at": format_time(at.iloc[-1]),
    }
