"""Quarantine: the refused rows of a case, with their reasons."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, count_rows, load_or_empty, merge_rows


def count_quarantined(case: Case) -> int:
    """Number of refused rows; reads none of them."""
    return count_rows(case.name, "quarantine")


def load_quarantine(case: Case) -> pd.DataFrame:
    """All refused rows: row_sha256, at, reason, values (JSON)."""
    return load_or_empty(case.name, "quarantine")


def record_refused(case: Case, refused: pd.DataFrame, now: datetime) -> int:
    """Store refused rows in quarantine, each once for the same reason; returns how many there are."""
    rows = key_refused(refused)
    if not rows:
        return 0
    table = pa.Table.from_pylist(
        [{"row_sha256": key, "at": now, "reason": reason, "values": value} for key, (reason, value) in rows.items()],
        schema=SCHEMAS["quarantine"],
    )
    merge_rows(case.name, "quarantine", Change(rows=table, keys=KEYS["quarantine"]))
    return len(rows)


def key_refused(refused: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """The reason and the values (JSON) of each refused row, by its key; equal rows are there once."""
    return dict(zip(list_keys(refused), zip(refused["reason"], _write_values(refused), strict=True), strict=True))


def list_keys(refused: pd.DataFrame) -> list[str]:
    """The key of each refused row: the sha256 of its values and its reason."""
    pairs = zip(_write_values(refused), refused["reason"], strict=True)
    return [hashlib.sha256(f"{value}|{reason}".encode()).hexdigest() for value, reason in pairs]


def _write_values(refused: pd.DataFrame) -> list[str]:
    return [
        json.dumps({name: str(value) for name, value in row.items()}, sort_keys=True)
        for row in refused.drop(columns="reason").to_dict("records")
    ]
