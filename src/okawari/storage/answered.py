"""Finds recorded predictions by their ids or by the user's own keys, in the table and in the journal."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from okawari.storage import journal
from okawari.storage.tables import open_table

_COLUMNS = ("key", "id", "index", "at")


@dataclass(frozen=True)
class Answered:
    """One recorded prediction: its id, its index in that answer, and when it was computed (aware time)."""

    id: str
    index: int
    at: datetime


def find_by_key(case_name: str, folder: Path, keys: Collection[str]) -> dict[str, list[Answered]]:
    """The predictions of each of these keys that has any, oldest first.

    Args:
        case_name: the case that answered.
        folder: the case's journal folder.
        keys: the user's own keys.
    """
    wanted = set(keys)
    rows = _load(case_name, folder, "key", wanted)
    found: dict[str, dict[tuple[str, int], Answered]] = {}
    for row in rows:
        each = Answered(row["id"], int(row["index"]), _read_time(row["at"]))
        found.setdefault(row["key"], {})[each.id, each.index] = each
    return {key: sorted(those.values(), key=lambda each: each.at) for key, those in found.items()}


def find_by_id(case_name: str, folder: Path, ids: Collection[str]) -> set[tuple[str, int]]:
    """Id and index of the recorded predictions that have one of these ids."""
    return {(row["id"], int(row["index"])) for row in _load(case_name, folder, "id", set(ids))}


def _load(case_name: str, folder: Path, column: str, wanted: set[str]) -> list[dict[str, Any]]:
    """The recorded predictions whose column has one of these values: those of the journal, then those of the table."""
    journalled = list(_read_journalled(folder, column, wanted))  # first: they may move into the table meanwhile
    opened = open_table(case_name, "predictions")
    if opened is None:
        return journalled
    # A scan in parts with a filter of our own: thousands of values would need a long query, and the filter of PyArrow
    # cannot compare a merged table's statistics (string_view) with texts.
    values = pa.array(sorted(wanted), pa.string())
    batches = opened.to_pyarrow_dataset().to_batches(columns=list(_COLUMNS))
    kept = (batch.filter(pc.is_in(batch[column].cast(pa.string()), values)) for batch in batches)
    return [*journalled, *(row for batch in kept for row in batch.to_pylist())]


def _read_journalled(folder: Path, column: str, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """The rows of all segments, also of those that are still written."""
    for segment in journal.list_segments(folder, "predictions"):
        yield from (row for row in segment.rows() if row.get(column) in wanted)


def _read_time(at: str | datetime) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at
