"""Delta tables: open, read at a version, query, merge by key. Only home of deltalake.

Each case owns the tables of `okawari.storage.table_schemas` under `Settings.data_base`; every write makes a version.
All writes are merges by key, so a repeated write changes nothing. A commit can carry notes about the rows of its
version, which are available without reading the rows.

The rows of outcomes and decisions have a number, `seq`, that counts the rows of the table in the order in which they
were stored. It is assigned in the merge itself, so no two rows have the same one; numbers may be missing. What came
first is read from `seq` and never from `at`, because clocks go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from okawari.errors import OkawariError
from okawari.polling import retry_with_backoff
from okawari.settings import load_settings
from okawari.storage.state_version import ensure_state
from okawari.storage.table_schemas import KEYS, SCHEMAS, Table

_ATTEMPTS, _PAUSE_S = 6, 0.3
_MANY_FILES = 64
_KEEP_VERSIONS = {"delta.logRetentionDuration": "interval 36500 days"}
"""A hundred years; by default Delta deletes the log of versions older than 30 days, which then cannot be read."""
_SEQUENCE = "seq"
_NOTE = "okawari."
"""Prefix of our notes in the metadata of a commit."""

Describe = Callable[[pd.DataFrame | None], Mapping[str, str]]
"""Notes on a table's rows after a merge, from its rows before (None where there is no table yet)."""

Choose = Callable[[pd.DataFrame, Mapping[str, str]], pa.Table]
"""The rows to merge, from the stored rows whose `id` is among those of the change, and the notes of the version
before."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Rows to merge by `keys`: new ones are inserted and, with `update`, known ones replaced.

    A column `seq` is filled in by the merge. `describe` computes the notes of the commit, and `choose` computes the
    rows to merge in place of `rows`; both are called again after a conflict with another writer. Without a chosen row,
    nothing is committed.
    """

    rows: pa.Table
    keys: Sequence[str]
    update: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    describe: Describe | None = None
    choose: Choose | None = None


class Unreadable(OkawariError, OSError):
    """The files of a table are damaged or gone; the message names the table."""


def open_table(case_name: str, table: Table, version: int | None = None) -> DeltaTable | None:
    """A table at a version (the newest, if None); None where it was never written.

    Raises:
        Unreadable: there is no such version, or its files are damaged.
    """
    ensure_state(load_settings().state_dir)
    uri = _uri(case_name, table)
    with _reading(uri, version):
        return DeltaTable(uri, version=version) if DeltaTable.is_deltatable(uri) else None


def load_table(case_name: str, table: Table, version: int | None = None) -> pd.DataFrame | None:
    """All rows of a table at a version; None where it was never written. Raises like `open_table`."""
    opened = open_table(case_name, table, version)
    if opened is None:
        return None
    with _reading(_uri(case_name, table), version):
        frame: pd.DataFrame = opened.to_pandas()
    return frame


def load_or_empty(case_name: str, table: Table) -> pd.DataFrame:
    """All rows of a table; an empty frame of its columns where it was never written."""
    found = load_table(case_name, table)
    return SCHEMAS[table].empty_table().to_pandas() if found is None else found


def find_rows(case_name: str, table: Table, column: str, value: str) -> list[dict[str, Any]]:
    """The rows whose column has a value, found without reading the others."""
    return [] if (found := _query(case_name, table, _where(column, value))) is None else list(found.to_pylist())


def load_newest(
    case_name: str, table: Table, by: str, limit: int, only: tuple[str, ...] | None = None, *, columns: str = "*"
) -> pd.DataFrame | None:
    """The `limit` rows with the largest values of column `by`, descending; None where the table was never written.

    Args:
        case_name: the case that owns the table.
        table: its name.
        by: the column to sort by.
        limit: the largest number of rows; no more are loaded.
        only: a column and the values of which rows must have one in it.
        columns: the columns to load, separated by commas.
    """
    condition = "" if only is None else _where(*only)
    found = _query(case_name, table, f'{condition} ORDER BY "{by}" DESC LIMIT {limit:d}', select=columns)
    return None if found is None else found.to_pandas()


def count_rows(case_name: str, table: Table) -> int:
    """Number of rows, from the table's own statistics; 0 where it was never written."""
    opened = open_table(case_name, table)
    return 0 if opened is None else int(opened.count())


def count_after(case_name: str, table: Table, column: str, after: datetime) -> int:
    """Number of rows whose time (UTC, to the microsecond) is later than a given one; reads only that column."""
    moment = f"arrow_cast('{after:%Y-%m-%dT%H:%M:%S.%f}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
    found = _query(case_name, table, f'WHERE "{column}" > {moment}', select="count(*) AS n")
    return 0 if found is None else int(found["n"][0].as_py())


def read_notes(opened: DeltaTable) -> dict[str, str]:
    """The metadata in the commit of an opened version; reads no row."""
    # History is listed from the newest commit of all down to the opened version, whose commit is the last one.
    commit = opened.history(1)[-1]
    return {name.removeprefix(_NOTE): str(value) for name, value in commit.items() if name.startswith(_NOTE)}


def compact_table(case_name: str, table: Table) -> bool:
    """Join the small files that many merges leave behind; returns whether it did. Older versions stay readable.

    The rows do not change, so the new version keeps the notes of the one before.
    """
    opened = open_table(case_name, table)
    if opened is None or len(opened.file_uris()) < _MANY_FILES:
        return False
    try:
        opened.optimize.compact(commit_properties=_write_notes(read_notes(opened)))
    except CommitFailedError:
        return False  # another writer was first; the next call sees its rows
    return True


def merge_rows(case_name: str, table: Table, change: Change) -> None:
    """Insert rows whose key is new and, where the change updates, replace those whose key is known.

    Several writers may merge at the same time: after a conflict, a writer merges again into the newest version.
    """
    retry_with_backoff(
        lambda: _merge_once(case_name, table, change),
        errors=(CommitFailedError, DeltaError, Unreadable),
        n_attempts=_ATTEMPTS,
        first_wait_s=_PAUSE_S,
    )


def _merge_once(case_name: str, table: Table, change: Change) -> None:
    opened = open_table(case_name, table)
    rows = _number_rows(opened, _choose_rows(opened, table, change))
    if change.choose is not None and not len(rows):
        return
    described = {} if change.describe is None else change.describe(_load_before(opened))
    properties = _write_notes({**change.notes, **described})
    if opened is None:
        write_deltalake(
            _uri(case_name, table),
            rows,
            mode="error",
            configuration=_KEEP_VERSIONS,
            commit_properties=properties,
        )
        return
    same = " AND ".join(f"old.`{key}` = new.`{key}`" for key in change.keys)
    merge = opened.merge(rows, same, "new", "old", merge_schema=True, commit_properties=properties)
    merge = merge.when_not_matched_insert_all()
    if change.update:
        merge = merge.when_matched_update_all()
    merge.execute()


def _choose_rows(opened: DeltaTable | None, table: Table, change: Change) -> pa.Table:
    if change.choose is None:
        return change.rows
    if opened is None:
        return change.choose(SCHEMAS[table].empty_table().to_pandas(), {})
    ids = change.rows["id"].unique().to_pylist()
    return change.choose(opened.to_pandas(filters=[("id", "in", ids)]), read_notes(opened))


def _number_rows(opened: DeltaTable | None, rows: pa.Table) -> pa.Table:
    """Number the rows without a number after the largest one; a commit on top of another version fails, so no other
    writer can use these numbers.
    """
    if _SEQUENCE not in rows.column_names:
        return rows
    first = 1 if opened is None else _find_largest(opened) + 1
    given = rows[_SEQUENCE].to_pylist()
    numbers = pa.array([first + place if number is None else number for place, number in enumerate(given)], pa.int64())
    return rows.set_column(rows.column_names.index(_SEQUENCE), _SEQUENCE, numbers)


def _find_largest(opened: DeltaTable) -> int:
    found = QueryBuilder().register("rows", opened).execute(f'SELECT max("{_SEQUENCE}") AS n FROM rows').read_all()
    return pa.table(found)["n"][0].as_py() or 0


def _load_before(opened: DeltaTable | None) -> pd.DataFrame | None:
    return None if opened is None else opened.to_pandas()


def _write_notes(notes: Mapping[str, str]) -> CommitProperties:
    """Metadata of a commit that fails if another writer was first.

    With retries, Delta would commit the merge after another one that it has not read: a key that both insert would be
    stored twice, and the notes would describe other rows.
    """
    return CommitProperties(
        custom_metadata={f"{_NOTE}{name}": value for name, value in notes.items()}, max_commit_retries=0
    )


def _query(case_name: str, table: Table, conditions: str, *, select: str = "*") -> pa.Table | None:
    """Result of a query on the newest version; None where the table was never written."""
    opened = open_table(case_name, table)
    if opened is None:
        return None
    with _reading(_uri(case_name, table), None):
        found = QueryBuilder().register("rows", opened).execute(f"SELECT {select} FROM rows {conditions}")
        return pa.table(found.read_all())


def _where(column: str, *values: str) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f'WHERE "{column}" IN ({quoted})'


@contextmanager
def _reading(uri: str, version: int | None) -> Iterator[None]:
    try:
        yield
    except (DeltaError, pa.ArrowException, OSError) as damage:
        which = "newest version" if version is None else f"version {version}"
        raise Unreadable(f"The {which} of {uri} cannot be read: {damage}. Restore that folder from a copy.") from damage


def _uri(case_name: str, table: Table) -> str:
    return f"{load_settings().data_base}/{case_name}/{table}"


def compact_records(case_name: str) -> list[str]:
    """Join the small files of the tables that grow with every merge; returns the names of the joined tables."""
    return [name for name in KEYS if compact_table(case_name, name)]


Convert = Callable[[pa.Table], tuple[pa.Table, Mapping[str, str]] | None]
"""The new rows of a table with the notes of their commit, from its rows; None if nothing changes."""


def rewrite_table(case_name: str, table: Table, convert: Convert) -> bool:
    """Replace the rows and the columns of a table in one commit; returns whether it did. Older versions stay readable.

    For changes of a layout; notes of the version before stay unless new ones replace them. The version of the state is
    not checked, because `okawari migrate` calls it. A killed call starts again from the old rows.
    """
    uri = _uri(case_name, table)
    if not DeltaTable.is_deltatable(uri):
        return False
    opened = DeltaTable(uri)
    converted = convert(opened.to_pyarrow_table())
    if converted is None:
        return False
    rows, notes = converted
    properties = _write_notes({**read_notes(opened), **notes})
    write_deltalake(uri, rows, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
    return True


def is_stored(case_name: str, table: Table) -> bool:
    """Whether a table was written, in state of any version."""
    return bool(DeltaTable.is_deltatable(_uri(case_name, table)))


def start_table(case_name: str, table: Table, rows: pa.Table) -> bool:
    """Write the first rows of a table; returns False where it exists. Like `rewrite_table`, for `okawari migrate`."""
    uri = _uri(case_name, table)
    if DeltaTable.is_deltatable(uri):
        return False
    write_deltalake(uri, rows, mode="error", configuration=_KEEP_VERSIONS, commit_properties=_write_notes({}))
    return True
