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
from okawari.dataset.arrays import format_time
from okawari.errors import InvalidInput, NotYet
from okawari.storage.tables import KEYS, SCHEMAS, TIME, load_or_empty, load_table, merge_rows, open_table


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An immutable version of a case's readings. Times are ISO 8601.

    `digest` is the sha256 of its values in their order; when a record arrived says nothing of it and is left out.
    """

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
    kept_rows: int = 0
    """Readings that an older edition of the source had otherwise, and that stay as they are."""


def record_readings(
    case: Case, good: pd.DataFrame, refused: pd.DataFrame, now: datetime, *, from_source: bool = False
) -> Ingested:
    """Merge checked readings into the case's table; equal rows write nothing, so no new snapshot appears.

    A reading of a series replaces the one of its time. A record is known by its values: the second of two equal records
    is new if the table holds only one such.

    Args:
        case: whose readings they are.
        good: the checked readings.
        refused: the rows for quarantine.
        now: aware time of arrival.
        from_source: whether they come from the case's own source. If that ends before the newest reading known, from a
            live source, say, it is an older edition: it adds what is missing and revises nothing.

    Raises:
        InvalidInput: not a single good row, now or ever.
    """
    quarantined = _record_refused(case, refused, now)
    known = load_table(case.name, "readings")
    if good.empty and known is None:
        raise InvalidInput(f"None of the {len(refused)} rows for case {case.name} is data; see its quarantine.")
    new, revised = _compare(case, good, known) if case.is_series else _find_new_records(case, good, known, now)
    n_kept = len(revised) if from_source and _ends_early(case, good, known) else 0
    revised = revised.iloc[: len(revised) - n_kept]
    changed = pd.concat([new, revised]).sort_values(case.time)
    if not changed.empty:
        merge_rows(case.name, "readings", _to_arrow(case, changed), (case.time,), update=True)
    snapshot = load_snapshot(case)
    assert snapshot is not None
    return Ingested(
        snapshot=snapshot,
        new_rows=len(new),
        revised_rows=len(revised),
        quarantined_rows=quarantined,
        kept_rows=n_kept,
    )


def load_readings(case: Case, version: int | None = None) -> pd.DataFrame:
    """The readings of a snapshot (of the newest one, if None), ascending in time.

    Raises:
        NotYet: nothing has been ingested.
    """
    frame = load_table(case.name, "readings", version)
    if frame is None:
        raise NotYet(f"Case {case.name} has no readings yet; run: okawari run {case.name}.")
    frame[case.time] = frame[case.time].dt.tz_localize(None).astype("datetime64[ns]")
    return frame[[case.time, *case.known_names]].sort_values(case.time).reset_index(drop=True)


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
        digest=_digest(frame if case.is_series else frame.drop(columns=case.time)),
        rows=len(frame),
        first_at=format_time(at.iloc[0]),
        last_at=format_time(at.iloc[-1]),
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
    fields = {case.time: TIME, **dict.fromkeys(case.known_names, pa.float64())}
    utc = frame.assign(**{case.time: frame[case.time].dt.tz_localize("UTC")})
    return pa.Table.from_pandas(utc[list(fields)], schema=pa.schema(fields), preserve_index=False)


def _ends_early(case: Case, good: pd.DataFrame, known: pd.DataFrame | None) -> bool:
    if known is None or good.empty or not case.is_series:
        return False
    return bool(good[case.time].max() < known[case.time].max().tz_localize(None))


def _compare(case: Case, good: pd.DataFrame, known: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split checked readings into those of new times and those whose numbers have been revised."""
    if known is None:
        return good, good.iloc[:0]
    known = known.assign(**{case.time: known[case.time].dt.tz_localize(None).astype("datetime64[ns]")})
    columns = list(case.column_names)
    both = good.merge(known, on=case.time, how="left", suffixes=("", " known"), indicator=True)
    is_new = (both["_merge"] == "left_only").to_numpy()
    before = both[[f"{name} known" for name in columns]].to_numpy()
    differs = (both[columns].to_numpy() != before).any(axis=1) & ~is_new
    return good[is_new], good[differs]


def _find_new_records(
    case: Case, good: pd.DataFrame, known: pd.DataFrame | None, now: datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records that the table does not hold, with their time of arrival, a microsecond apart; none is ever revised."""
    values = list(case.known_names)
    held = good.iloc[:0] if known is None else known
    # The n-th of equal records is looked for among the n-th of equal ones.
    ours, theirs = (frame[values].assign(_nth=frame.groupby(values).cumcount()) for frame in (good, held))
    found = ours.merge(theirs, how="left", on=[*values, "_nth"], indicator=True)
    new = good[(found["_merge"] == "left_only").to_numpy()]
    start = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    if known is not None:
        start = max(start, known[case.time].max().tz_localize(None) + pd.Timedelta(microseconds=1))
    arrived = (start + pd.to_timedelta(np.arange(len(new)), unit="us")).astype("datetime64[ns]")
    return new.assign(**{case.time: arrived}), new.iloc[:0]


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
