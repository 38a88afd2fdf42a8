"""Snapshots and quarantine: the validated data of a case, versioned.

A snapshot is a version of the `readings` table; it never changes. Refused rows keep their reasons in quarantine.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.errors import InvalidInput, NotYet
from okawari.tables import KEYS, SCHEMAS, TIME, load_or_empty, load_table, merge_rows, open_table


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An immutable version of a case's readings. `digest` is the sha256 of its sorted values; times are ISO dates."""

    version: int
    digest: str
    rows: int
    first_at: str
    last_at: str


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What an ingest changed."""

    snapshot: Snapshot
    new_rows: int
    revised_rows: int
    quarantined_rows: int


def record_readings(case: Case, good: pd.DataFrame, refused: pd.DataFrame, now: datetime) -> Ingested:
    """Merge checked readings into the case's table; equal rows write nothing, so no new snapshot appears.

    Raises:
        InvalidInput: not a single good row, now or ever.
    """
    quarantined = _record_refused(case, refused, now)
    known = load_table(case.name, "readings")
    if good.empty and known is None:
        raise InvalidInput(f"None of the {len(refused)} rows for case {case.name} is data; see its quarantine.")
    new, revised = _compare(case, good, known)
    changed = pd.concat([new, revised]).sort_values(case.time)
    if not changed.empty:
        merge_rows(case.name, "readings", _to_arrow(case, changed), (case.time,), update=True)
    snapshot = load_snapshot(case)
    assert snapshot is not None
    return Ingested(snapshot=snapshot, new_rows=len(new), revised_rows=len(revised), quarantined_rows=quarantined)


def load_readings(case: Case, version: int | None = None) -> pd.DataFrame:
    """The readings of a snapshot (of the newest one, if None), ascending in time.

    Raises:
        NotYet: nothing has been ingested.
    """
    frame = load_table(case.name, "readings", version)
    if frame is None:
        raise NotYet(f"Case {case.name} has no readings yet; run: okawari run {case.name}.")
    frame[case.time] = frame[case.time].dt.tz_localize(None).astype("datetime64[ns]")
    return frame[[case.time, *case.column_names]].sort_values(case.time).reset_index(drop=True)


def load_recent(case: Case, rows: int) -> pd.DataFrame | None:
    """The newest readings, ascending in time; None where nothing has been ingested."""
    try:
        return load_readings(case).tail(rows).reset_index(drop=True)
    except NotYet:
        return None


def load_snapshot(case: Case, version: int | None = None) -> Snapshot | None:
    """Identity of a snapshot (of the newest one, if None); None where nothing has been ingested."""
    table = open_table(case.name, "readings", version)
    if table is None:
        return None
    frame = load_readings(case, table.version())
    at = frame[case.time]
    return Snapshot(
        version=table.version(),
        digest=_digest(frame),
        rows=len(frame),
        first_at=f"{at.iloc[0]:%Y-%m-%d}",
        last_at=f"{at.iloc[-1]:%Y-%m-%d}",
    )


def snapshot_number(case: Case) -> int | None:
    """Version of the newest snapshot without reading its data; None where nothing has been ingested."""
    table = open_table(case.name, "readings")
    return None if table is None else table.version()


def count_quarantined(case: Case) -> int:
    """Rows refused so far."""
    return len(load_quarantine(case))


def load_quarantine(case: Case) -> pd.DataFrame:
    """All refused rows: row_sha256, at, reason, values (JSON)."""
    return load_or_empty(case.name, "quarantine")


def _to_arrow(case: Case, frame: pd.DataFrame) -> pa.Table:
    fields = {case.time: TIME, **dict.fromkeys(case.column_names, pa.float64())}
    utc = frame.assign(**{case.time: frame[case.time].dt.tz_localize("UTC")})
    return pa.Table.from_pandas(utc[list(fields)], schema=pa.schema(fields), preserve_index=False)


def _compare(case: Case, good: pd.DataFrame, known: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split checked readings into those of new times and those whose numbers have been revised."""
    if known is None:
        return good, good.iloc[:0]
    known = known.assign(**{case.time: known[case.time].dt.tz_localize(None).astype("datetime64[ns]")})
    columns = list(case.column_names)
    both = good.merge(known, on=case.time, how="left", suffixes=("", "_known"), indicator=True)
    is_new = (both["_merge"] == "left_only").to_numpy()
    before = both[[f"{name}_known" for name in columns]].to_numpy()
    differs = (both[columns].to_numpy() != before).any(axis=1) & ~is_new
    return good[is_new], good[differs]


def _record_refused(case: Case, refused: pd.DataFrame, now: datetime) -> int:
    if refused.empty:
        return 0
    values = [
        json.dumps({name: str(value) for name, value in row.items()}, sort_keys=True)
        for row in refused.drop(columns="reason").to_dict("records")
    ]
    rows = {
        hashlib.sha256(f"{value}|{reason}".encode()).hexdigest(): (reason, value)
        for value, reason in zip(values, refused["reason"], strict=True)
    }
    table = pa.Table.from_pylist(
        [{"row_sha256": key, "at": now, "reason": reason, "values": value} for key, (reason, value) in rows.items()],
        schema=SCHEMAS["quarantine"],
    )
    merge_rows(case.name, "quarantine", table, KEYS["quarantine"])
    return len(rows)


def _digest(frame: pd.DataFrame) -> str:
    content = hashlib.sha256("|".join(frame.columns).encode())
    for name in frame.columns:
        values = frame[name].to_numpy()
        content.update(np.ascontiguousarray(values.view("int64") if values.dtype.kind == "M" else values).tobytes())
    return content.hexdigest()
