"""The versions of a case's contract, one row each; a version never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.contract.case_changes import describe_changes, require_meaning
from okawari.contract.case_words import allow_missing, know_contract, learn_words, start_contract
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


Revise = Callable[[Contract], Contract]


def update_contract(case: Case, change: Revise, snapshot_version: int | None = None) -> Contract:
    """Store the next version of a case's contract with a change; the first version starts from the case's declaration.

    Nothing is stored if the change leaves the newest version as it is. If another process stores the same version
    first, the change is made again on top of it.
    """
    while True:
        newest = load_contract(case.name)
        known = replace(start_contract(case), version=0) if newest is None else newest
        changed = change(known)
        if newest is not None and changed == newest:
            return newest
        contract = replace(changed, version=known.version + 1)
        record_contract(contract, snapshot_version)
        stored = load_contract(case.name)
        if stored is not None and stored.to_json() == contract.to_json():
            return contract


def check_case(case: Case) -> list[str]:
    """Check a case file against the contract of its table; returns sentences about added and dropped columns.

    Raises:
        InvalidInput: the case file changes the meaning of a stored column.
    """
    contract = load_contract(case.name)
    require_meaning(case, contract)
    return describe_changes(case, contract)


def list_unsaid(case_name: str, remarks: Iterable[str]) -> tuple[str, ...]:
    """The remarks on a table's columns that no stored delivery has had."""
    contract = load_contract(case_name)
    said = () if contract is None else contract.remarks
    return tuple(remark for remark in dict.fromkeys(remarks) if remark not in said)


def know_case(case: Case, readings: pd.DataFrame) -> Case:
    """The case with the dictionary of its contract, and with the words of these readings that the contract lacks.

    A column that readings lack, because the case file has it since later, allows missing values.
    """
    contract = load_contract(case.name) or start_contract(case)
    return allow_missing(know_contract(case, learn_words(contract, case, readings)), readings)


def to_rows(contract: Contract, snapshot_version: int | None = None, now: datetime | None = None) -> pa.Table:
    """A version of a contract as the row of its table."""
    row = {
        "version": contract.version,
        "at": now or datetime.now(UTC),
        "snapshot_version": snapshot_version,
        "content": contract.to_json(),
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["contracts"])
