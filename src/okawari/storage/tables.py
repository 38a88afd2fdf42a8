"""Delta tables: open, read at a version, merge by key. Only home of deltalake.

Each case owns five tables under `Settings.data_base`; every write is a version. All writes are merges by key,
so doing one twice changes nothing.

    readings     key time            the validated data; a version of it is a snapshot
    quarantine   key row_sha256      refused rows with their reasons
    predictions  key id, index       what was answered
    outcomes     key id, index, step the truth that arrived later
    decisions    key id              verdicts and decisions, with the cause of each
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from okawari.errors import OkawariError
from okawari.settings import load_settings

Table = Literal["readings", "quarantine", "predictions", "outcomes", "decisions"]

TIME = pa.timestamp("us", tz="UTC")
_NUMBERS = pa.list_(pa.float64())
_ATTEMPTS, _PAUSE_S = 6, 0.2
_MANY_FILES = 64
_KEEP_VERSIONS = {"delta.logRetentionDuration": "interval 36500 days"}
"""A hundred years: by default Delta forgets how to read versions that are older than 30 days."""
_FIRST_OR_NOT = CommitProperties(max_commit_retries=0)
"""Delta would put a merge after another one that it did not see, and a key that both insert would be there twice."""

SCHEMAS: dict[Table, pa.Schema] = {
    "quarantine": pa.schema({"row_sha256": pa.string(), "at": TIME, "reason": pa.string(), "values": pa.string()}),
    "predictions": pa.schema(
        {
            "id": pa.string(),
            "index": pa.int64(),
            "case": pa.string(),
            "at": TIME,
            "as_of": pa.string(),
            "level": pa.float64(),
            "mean": _NUMBERS,
            "lower": _NUMBERS,
            "upper": _NUMBERS,
            "version": pa.string(),
            "graph_sha256": pa.string(),
            "variant": pa.string(),
            "input_sha256": pa.string(),
            "source": pa.string(),
        }
    ),
    "outcomes": pa.schema(
        {
            "id": pa.string(),
            "index": pa.int64(),
            "step": pa.int64(),
            "value": pa.float64(),
            "at": TIME,
            "case": pa.string(),
        }
    ),
    "decisions": pa.schema(
        {
            "id": pa.string(),
            "at": TIME,
            "case": pa.string(),
            "kind": pa.string(),
            "action": pa.string(),
            "reason": pa.string(),
            "facts": pa.string(),
            "cause": pa.string(),
            "snapshot_version": pa.int64(),
            "run_id": pa.string(),
            "model_version": pa.string(),
        }
    ),
}
KEYS: dict[Table, tuple[str, ...]] = {
    "quarantine": ("row_sha256",),
    "predictions": ("id", "index"),
    "outcomes": ("id", "index", "step"),
    "decisions": ("id",),
}


class Unreadable(OkawariError, OSError):
    """The files of a table are damaged or gone; the message says of which."""


def open_table(case_name: str, table: Table, version: int | None = None) -> DeltaTable | None:
    """A table at a version (the newest, if None); None where it was never written.

    Raises:
        Unreadable: there is no such version, or its files are damaged.
    """
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
    opened = open_table(case_name, table)
    if opened is None:
        return []
    quoted = value.replace("'", "''")
    found = QueryBuilder().register("rows", opened).execute(f"SELECT * FROM rows WHERE \"{column}\" = '{quoted}'")
    return list(pa.table(found.read_all()).to_pylist())


def compact_table(case_name: str, table: Table) -> bool:
    """Join the small files that many merges leave behind; older versions stay readable. Tells whether it did."""
    opened = open_table(case_name, table)
    if opened is None or len(opened.file_uris()) < _MANY_FILES:
        return False
    opened.optimize.compact()
    return True


def merge_rows(case_name: str, table: Table, rows: pa.Table, keys: Sequence[str], *, update: bool = False) -> None:
    """Insert rows whose key is new and, with `update`, replace those whose key is known.

    Two writers at once are no error: the one that comes second merges again onto what the first has written.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _merge_once(case_name, table, rows, keys, update=update)
        except (CommitFailedError, DeltaError, Unreadable):
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # apart, lest all come again at once


def _merge_once(case_name: str, table: Table, rows: pa.Table, keys: Sequence[str], *, update: bool) -> None:
    opened = open_table(case_name, table)
    if opened is None:
        write_deltalake(
            _uri(case_name, table),
            rows,
            mode="error",
            configuration=_KEEP_VERSIONS,
            commit_properties=_FIRST_OR_NOT,
        )
        return
    same = " AND ".join(f"old.`{key}` = new.`{key}`" for key in keys)
    merge = opened.merge(
        rows, predicate=same, source_alias="new", target_alias="old", commit_properties=_FIRST_OR_NOT
    ).when_not_matched_insert_all()
    if update:
        merge = merge.when_matched_update_all()
    merge.execute()


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
    """Join the small files of the tables that grow with every merge; returns the names of those that needed it."""
    return [name for name in KEYS if compact_table(case_name, name)]
