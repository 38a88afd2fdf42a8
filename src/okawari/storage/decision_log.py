"""The log of verdicts and decisions, each with its cause."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.policy.decision import Decision
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, find_rows, load_newest, merge_rows


def new_id() -> str:
    """A new id, for a decision that a run or event refers to before it is recorded."""
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
        "seq": None,  # assigned by the merge
        **links,
    }
    rows = pa.Table.from_pylist([row], schema=SCHEMAS["decisions"])
    merge_rows(case_name, "decisions", Change(rows=rows, keys=KEYS["decisions"]))
    return str(row["id"])


def record_once(case_name: str, decision: Decision, **links: Any) -> tuple[str, bool]:
    """Record a verdict, unless the newest one of its kind is the same: action, reason, facts and links.

    Returns:
        The id of the verdict, and whether it was recorded now.
    """
    newest = next(iter(load_decisions(case_name, 1, kind=decision.kind)), None)
    if newest is not None and _is_same(newest, decision, links):
        return str(newest["id"]), False
    return record_decision(case_name, decision, **links), True


def _is_same(row: Mapping[str, Any], decision: Decision, links: Mapping[str, Any]) -> bool:
    # Compared as text, because a missing number (NaN) does not equal itself.
    facts = json.dumps(json.loads(json.dumps(decision.facts, default=str)), sort_keys=True)
    found = (row["action"], row["reason"], json.dumps(row["facts"], sort_keys=True))
    return found == (decision.action, decision.reason, facts) and all(row[name] == links[name] for name in links)


def load_decisions(
    case_name: str, limit: int = 20, *, kind: str | tuple[str, ...] | None = None
) -> list[dict[str, Any]]:
    """The newest verdicts and decisions, newest first, with facts as values; only those of `kind`, if given.

    The order is that in which they were recorded (`seq`), whatever the clock said.
    """
    only = None if kind is None else ("kind", *((kind,) if isinstance(kind, str) else kind))
    newest = load_newest(case_name, "decisions", "seq", limit, only)
    return [] if newest is None else [_plain(row.to_dict()) for _, row in newest.iterrows()]


def find_decision(case_name: str, decision_id: str) -> dict[str, Any] | None:
    """One decision by its id."""
    return next((_plain(row) for row in find_rows(case_name, "decisions", "id", decision_id)), None)


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
