"""The versions of a case's contract, one row each; a version never changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from okawari.contract.contract import Contract, read_contract
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, load_newest, merge_rows


def load_contract(case_name: str) -> Contract | None:
    """The newest version of a case's contract; None where none was recorded yet."""
    newest = load_newest(case_name, "contracts", "version", 1)
    if newest is None or newest.empty:
        return None
    return read_contract(str(newest["content"].iloc[0]))


def record_contract(contract: Contract, snapshot_version: int | None = None, now: datetime | None = None) -> None:
    """Store a version of a contract, and the snapshot that it was recorded with; a stored version stays unchanged."""
    rows = to_rows(contract, snapshot_version, now)
    merge_rows(contract.case, "contracts", Change(rows=rows, keys=KEYS["contracts"]))


def to_rows(contract: Contract, snapshot_version: int | None = None, now: datetime | None = None) -> pa.Table:
    """A version of a contract as the row of its table."""
    row = {
        "version": contract.version,
        "at": now or datetime.now(UTC),
        "snapshot_version": snapshot_version,
        "content": contract.to_json(),
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["contracts"])
