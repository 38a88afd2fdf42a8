"""Outcomes that name the user's own key: which prediction each is about, and those that are about none.

The outcome of a key applies to its newest prediction before the outcome. An outcome whose key was never answered is
stored in `refused_outcomes` with the reason, so that it is not lost silently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from okawari.storage.answered import Answered
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, count_rows, load_newest, merge_rows

Row = dict[str, Any]


def is_keyed(outcome: Mapping[str, Any]) -> bool:
    """Whether an outcome names a key instead of an id."""
    return outcome.get("id") is None


def pick_prediction(outcome: Mapping[str, Any], answered: Mapping[str, Sequence[Answered]]) -> Answered | None:
    """The prediction that an outcome is about: the newest one of its key that is not later; None if there is none."""
    at = datetime.fromisoformat(outcome["at"])
    return next((each for each in reversed(answered.get(outcome["key"], ())) if each.at <= at), None)


def record_refused(case_name: str, outcomes: Sequence[tuple[str, Row]]) -> None:
    """Store outcomes without a prediction, each with its origin (a segment of the journal); a stored one stays."""
    rows = [_describe_refused(case_name, origin, row) for origin, row in outcomes]
    unique = {row["row_sha256"]: row for row in rows}
    content = pa.Table.from_pylist(list(unique.values()), schema=SCHEMAS["refused_outcomes"])
    merge_rows(case_name, "refused_outcomes", Change(rows=content, keys=KEYS["refused_outcomes"]))


def count_refused(case_name: str) -> int:
    """Number of outcomes whose key no prediction had."""
    return count_rows(case_name, "refused_outcomes")


def find_newest_refused(case_name: str) -> Row | None:
    """The newest refused outcome: its key, value, time and reason; None if there is none."""
    newest = load_newest(case_name, "refused_outcomes", "at", 1)
    return None if newest is None or newest.empty else dict(newest.iloc[0])


def explain_unknown_key(case_name: str, key: str) -> str:
    """Why an outcome with this key is refused, and what to do."""
    return (
        f"no answer of {case_name} before this outcome has the key {key!r}; send the key with the prediction, "
        "unchanged, and the outcome after it"
    )


def _describe_refused(case_name: str, origin: str, row: Row) -> Row:
    content = json.dumps([origin, row], sort_keys=True).encode()
    return {
        "row_sha256": hashlib.sha256(content).hexdigest(),
        **{name: row.get(name) for name in ("key", "step", "target", "value", "label")},
        "at": datetime.fromisoformat(row["at"]),
        "case": case_name,
        "reason": explain_unknown_key(case_name, row["key"]),
    }
