"""Snapshots: the validated data of a case, versioned.

A snapshot is a version of the `readings` table; it never changes. Its digest, its number of rows and its first and
newest time are written into its commit, so they are available without reading its rows. Refused rows are stored in
quarantine (`okawari.storage.quarantine`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.case import Case
from okawari.contract.case_words import learn_words
from okawari.dataset.arrays import decode_places, find_places
from okawari.dataset.changes import compare_readings
from okawari.dataset.steps import lay_out_steps
from okawari.errors import InvalidInput, NotYet
from okawari.schema.calendar import Calendar
from okawari.storage import quarantine
from okawari.storage.contracts import update_contract
from okawari.storage.reading_rows import arrange, know_words, lay_out, measure, to_arrow
from okawari.storage.tables import (
    Change,
    Unreadable,
    count_after,
    load_newest,
    load_table,
    merge_rows,
    open_table,
    read_notes,
    rewrite_table,
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An immutable version of a case's readings. Times are ISO 8601.

    `digest` is the sha256 of its values in order, as they are stored: numbers and words. The time of arrival of records
    is left out.
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
    """Stored readings that differ in an older edition of the source; they stay unchanged."""


def record_readings(
    case: Case, good: pd.DataFrame, refused: pd.DataFrame, now: datetime, *, from_source: bool = False
) -> Ingested:
    """Merge checked readings into the case's table; if all of them are stored already, no new snapshot is made.

    A reading of a series replaces the stored one of the same time. A record is identified by its values: the second of
    two equal records is new if the table holds only one of them.

    Args:
        case: the case that owns the readings.
        good: the checked readings.
        refused: the rows for quarantine.
        now: aware time of arrival.
        from_source: whether they come from the case's own source. If they end before the newest stored reading, the
            source is an older edition: missing readings are added, and no stored reading is revised.

    Raises:
        InvalidInput: no row is valid, and nothing is stored yet.
    """
    quarantined = quarantine.record_refused(case, refused, now)
    known = load_table(case.name, "readings")
    if good.empty and known is None:
        raise InvalidInput(f"None of the {len(refused)} rows for case {case.name} is valid; see its quarantine.")
    held = None if known is None else lay_out(case, known)
    changes = compare_readings(case, good, held, now, from_source=from_source)
    return Ingested(
        snapshot=store_readings(case, changes.sort(case.time)),
        new_rows=len(changes.new),
        revised_rows=len(changes.revised),
        quarantined_rows=quarantined,
        kept_rows=changes.kept_rows,
    )


def store_readings(case: Case, changed: pd.DataFrame) -> Snapshot:
    """Merge changed readings, with their times, into the table; returns the newest snapshot. Can be repeated."""
    if not changed.empty:
        newest = load_newest(case.name, "readings", case.time, 1)
        if newest is not None and find_places(newest, case):
            store_words(know_words(case))
        _merge_readings(case, changed)
    snapshot = load_snapshot(case)
    assert snapshot is not None
    return snapshot


def find_stored(case: Case) -> pd.DataFrame | None:
    """The stored rows as `load_stored` returns them; None where nothing has been ingested."""
    known = load_table(case.name, "readings")
    return None if known is None else lay_out(case, known)


def load_readings(case: Case, version: int | None = None) -> pd.DataFrame:
    """The readings of a snapshot (of the newest one, if None), ascending in time.

    A series with a calendar has one row for each step; missing steps have no values (`okawari.dataset.steps`).

    Raises:
        NotYet: nothing has been ingested.
        InvalidInput: stored readings are off the calendar of the case.
    """
    return lay_out_steps(load_stored(case, version), case)


def load_stored(case: Case, version: int | None = None) -> pd.DataFrame:
    """The stored rows of a snapshot (of the newest one, if None), ascending in time, without rows for missing steps.

    Raises:
        NotYet: nothing has been ingested.
    """
    frame = load_table(case.name, "readings", version)
    if frame is None:
        raise NotYet(f"Case {case.name} has no readings yet; run: okawari run {case.name}.")
    return lay_out(case, frame)


def load_recent(case: Case, rows: int) -> pd.DataFrame | None:
    """The newest readings, ascending in time; None where nothing has been ingested. Loads no other rows.

    A series with a calendar has one row for each step, as in `load_readings`.
    """
    newest = load_newest(case.name, "readings", case.time, rows)
    if newest is None:
        return None
    return lay_out_steps(lay_out(case, newest), case).tail(rows).reset_index(drop=True)


def load_calendar(case: Case) -> Calendar | None:
    """The calendar of the stored readings, to which later ones are held; None without a calendar or readings."""
    snapshot = None if case.calendar is None else load_snapshot(case)
    if case.calendar is None or snapshot is None:
        return None
    return case.calendar.anchored(np.array([snapshot.first_at], dtype="datetime64[ns]"))


def load_snapshot(case: Case, version: int | None = None) -> Snapshot | None:
    """Identity of a snapshot (of the newest one, if None) from its commit; None where nothing has been ingested.

    The readings themselves are not read, so damage to them is not noticed; `measure_snapshot` reads them.

    Raises:
        Unreadable: there is no such snapshot, or its commit does not hold its identity.
    """
    table = open_table(case.name, "readings", version)
    if table is None:
        return None
    notes = read_notes(table)
    if missing := {"digest", "rows", "first_at", "last_at"} - set(notes):
        raise Unreadable(
            f"Snapshot {table.version()} of case {case.name} has no {', '.join(sorted(missing))} in its commit; each "
            "commit of this version of Okawari has. Run: okawari migrate, or set OKAWARI_HOME to an empty folder."
        )
    return Snapshot(version=table.version(), **{**notes, "rows": int(notes["rows"])})  # type: ignore[arg-type]


def measure_snapshot(case: Case, version: int) -> Snapshot | None:
    """Identity of a snapshot, computed from its readings; None where nothing has been ingested.

    Raises:
        Unreadable: there is no such snapshot, or its files are damaged.
    """
    frame = load_table(case.name, "readings", version)
    return None if frame is None else Snapshot(version=version, **measure(case, arrange(case, frame)))


def count_newer(case: Case, snapshot: Snapshot) -> int:
    """Number of readings that are later than all readings of an earlier snapshot; reads only the time column."""
    return count_after(case.name, "readings", case.time, pd.Timestamp(snapshot.last_at).to_pydatetime())


def snapshot_number(case: Case) -> int | None:
    """Version of the newest snapshot without reading its data; None where nothing has been ingested."""
    table = open_table(case.name, "readings")
    return None if table is None else table.version()


def store_words(case: Case) -> bool:
    """Replace stored places of labels by the words of the case; returns whether there were any.

    State of version 2 stored the places. The older versions of the table keep them, and `load_readings` reads them by
    the words of the contract.
    """

    def convert(rows: pa.Table) -> tuple[pa.Table, Mapping[str, str]] | None:
        stored = rows.to_pandas()
        if not find_places(stored, case):
            return None
        words = decode_places(arrange(case, stored), case)
        return to_arrow(case, words), _note(case, words)

    return rewrite_table(case.name, "readings", convert)


def _merge_readings(case: Case, changed: pd.DataFrame) -> None:
    changed = changed[[case.time, *case.known_names]]

    def describe(before: pd.DataFrame | None) -> Mapping[str, str]:
        held = changed[:0] if before is None else arrange(case, before)
        after = pd.concat([held, changed])  # columns of the table first, then those that it lacks
        later = after.drop_duplicates(list(key), keep="last")
        dropped = [name for name in held.columns if name not in changed.columns]
        return _note(case, arrange(case, _keep(later, held, list(key), dropped)))

    # The words are learned first: a word in the contract that no reading holds does no harm.
    update_contract(case, lambda contract: learn_words(contract, case, changed))
    key, rows = case.layout.storage_key(case.time), to_arrow(case, changed)
    merge_rows(case.name, "readings", Change(rows=rows, keys=key, update=True, describe=describe))


def _keep(later: pd.DataFrame, held: pd.DataFrame, key: list[str], dropped: list[str]) -> pd.DataFrame:
    """The rows with the stored values of columns that the case has dropped: a merge does not touch them."""
    known = later[key].merge(held[[*key, *dropped]], on=key, how="left").set_index(later.index)
    return later.assign(**{name: known[name] for name in dropped})


def _note(case: Case, frame: pd.DataFrame) -> dict[str, str]:
    return {name: str(value) for name, value in measure(case, frame).items()}
