"""Records of what the loop decided, what the service answered, and what turned out to be true."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.errors import NotYet
from okawari.policy.decision import Decision
from okawari.settings import load_settings
from okawari.storage import journal
from okawari.storage.tables import KEYS, SCHEMAS, compact_table, find_rows, load_or_empty, load_table, merge_rows


def new_id() -> str:
    """A fresh id for a decision that something else has to name before it is recorded."""
    return uuid.uuid4().hex


def record_decision(case_name: str, decision: Decision, **links: Any) -> str:
    """Append a decision and return its id. `links`: id, cause, snapshot_version, run_id, model_version."""
    unknown = set(links) - {"id", "cause", "snapshot_version", "run_id", "model_version"}
    assert not unknown, unknown
    row = {
        "id": new_id(),
        "at": datetime.now(UTC),
        "case": case_name,
        "kind": decision.kind,
        "action": decision.action,
        "reason": decision.reason,
        "facts": json.dumps(decision.facts, default=str),
        "cause": None,
        "snapshot_version": None,
        "run_id": None,
        "model_version": None,
        **links,
    }
    merge_rows(case_name, "decisions", pa.Table.from_pylist([row], schema=SCHEMAS["decisions"]), KEYS["decisions"])
    return str(row["id"])


def load_decisions(case_name: str, limit: int = 20, *, kind: str | None = None) -> list[dict[str, Any]]:
    """The newest verdicts and decisions, newest first, facts as values; of one kind, if given."""
    frame = load_table(case_name, "decisions")
    if frame is None:
        return []
    if kind is not None:
        frame = frame[frame["kind"] == kind]
    newest = frame.sort_values("at", ascending=False).head(limit)
    return [_plain(row.to_dict()) for _, row in newest.iterrows()]


def find_decision(case_name: str, decision_id: str) -> dict[str, Any] | None:
    """One decision by its id."""
    return next((_plain(row) for row in find_rows(case_name, "decisions", "id", decision_id)), None)


def absorb_journal(case_name: str) -> dict[str, int]:
    """Move what the service has journalled into the tables; returns the lines read by kind.

    Closed segments are deleted after their rows are safely merged; a crash in between only merges them again.
    """
    counts: dict[str, int] = {}
    for kind in ("predictions", "outcomes"):
        segments = journal.list_segments(journal_dir(case_name), kind)
        rows = [row for segment in segments for row in segment.rows()]
        if rows:
            unique = {tuple(row[key] for key in KEYS[kind]): row for row in rows}
            merge_rows(case_name, kind, _rows_to_arrow(list(unique.values()), SCHEMAS[kind]), KEYS[kind])
        for segment in segments:
            if segment.closed:
                segment.path.unlink(missing_ok=True)
        counts[kind] = len(rows)
    return counts


def compact_records(case_name: str) -> list[str]:
    """Join the small files of the tables that grow with every merge; returns the names of those that needed it."""
    return [name for name in KEYS if compact_table(case_name, name)]


def load_predictions(case_name: str) -> pd.DataFrame:
    """All absorbed predictions, oldest first."""
    return load_or_empty(case_name, "predictions").sort_values("at").reset_index(drop=True)


def load_outcomes(case_name: str) -> pd.DataFrame:
    """All absorbed outcomes, oldest first."""
    return load_or_empty(case_name, "outcomes").sort_values("at").reset_index(drop=True)


def find_prediction(prediction_id: str, index: int = 0) -> dict[str, Any]:
    """One prediction by its id, from the tables or, if it is only seconds old, from the journal.

    Raises:
        NotYet: no case has journalled such a prediction.
    """
    for case_name in list_stored_cases():
        for row in _find_absorbed(case_name, prediction_id) or _find_journalled(case_name, prediction_id):
            if row["index"] == index:
                return {**row, "case": case_name}
    raise NotYet(
        f"No prediction {prediction_id!r} with index {index} is on record; the id is the `id` of a service's answer."
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


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A table row as JSON-like values: arrays to lists, missing to None, facts unpacked."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, np.ndarray):
            plain[str(name)] = value.tolist()
        elif name == "facts":
            plain["facts"] = json.loads(value)
        else:
            plain[str(name)] = None if value is None or value is pd.NaT or value != value else value
    if plain.get("snapshot_version") is not None:
        plain["snapshot_version"] = int(plain["snapshot_version"])
    return plain
