"""The log of the service's predictions and of their outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from okawari.errors import NotYet
from okawari.settings import load_settings
from okawari.storage import journal
from okawari.storage.tables import KEYS, SCHEMAS, Change, find_rows, load_or_empty, merge_rows


def absorb_journal(case_name: str) -> dict[str, int]:
    """Move the closed segments of the service's journal into the tables; returns the number of lines of each kind.

    Segments are deleted after their rows are merged; after a crash in between, the next call merges them again.
    """
    counts: dict[str, int] = {}
    for kind in ("predictions", "outcomes"):
        segments = [each for each in journal.list_segments(journal_dir(case_name), kind) if each.closed]
        rows = [row for segment in segments for row in segment.rows()]
        if rows:
            unique = {tuple(row.get(key) for key in KEYS[kind]): row for row in rows}
            table = _rows_to_arrow(list(unique.values()), SCHEMAS[kind])
            merge_rows(case_name, kind, Change(rows=table, keys=KEYS[kind]))
        for segment in segments:
            segment.path.unlink(missing_ok=True)
        counts[kind] = len(rows)
    return counts


def load_predictions(case_name: str) -> pd.DataFrame:
    """All absorbed predictions, oldest first."""
    return load_or_empty(case_name, "predictions").sort_values("at").reset_index(drop=True)


def load_outcomes(case_name: str) -> pd.DataFrame:
    """All absorbed outcomes, oldest first."""
    return load_or_empty(case_name, "outcomes").sort_values("at").reset_index(drop=True)


def find_prediction(prediction_id: str, index: int = 0) -> dict[str, Any]:
    """One prediction by its id, from the tables or, if it is only seconds old, from the journal.

    Raises:
        NotYet: no case has such a prediction.
    """
    for case_name in list_stored_cases():
        for row in _find_absorbed(case_name, prediction_id) or _find_journalled(case_name, prediction_id):
            if row["index"] == index:
                return {**row, "case": case_name}
    raise NotYet(
        f"There is no prediction {prediction_id!r} with index {index}; an id is the `id` field of an answer of the "
        "service. Use the id and an index of such an answer."
    )


def journal_dir(case_name: str) -> Path:
    """Folder of the case's journal."""
    return load_settings().state_dir / "journal" / case_name


def list_stored_cases() -> list[str]:
    """Names of the cases that have a journal."""
    folder = load_settings().state_dir / "journal"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _find_absorbed(case_name: str, prediction_id: str) -> list[dict[str, Any]]:
    return find_rows(case_name, "predictions", "id", prediction_id)


def _find_journalled(case_name: str, prediction_id: str) -> list[dict[str, Any]]:
    segments = journal.list_segments(journal_dir(case_name), "predictions")
    return [row for segment in segments for row in segment.rows() if row["id"] == prediction_id]


def _rows_to_arrow(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    parsed = [{**row, "at": datetime.fromisoformat(row["at"])} for row in rows]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in parsed], schema=schema)
