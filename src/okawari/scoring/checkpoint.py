"""The unfinished output of a long job: a folder of complete parts beside the output, and the progress of the job.

    out.parquet.parts/
        job.json                identity of the job (input, version, graph), and its progress after the last part
        answers-000000.parquet  answers of the first chunk, and so on
        refused-000000.parquet  refused rows of that chunk
        lock                    held while a process works here

Every file is written under a temporary name, flushed to disk and renamed. `job.json` is written last and commits a
part. A killed process leaves at most one uncommitted part, which is written again. At the end the parts are joined into
the output in the same way, so the output is either complete or absent.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from okawari.errors import InvalidInput, OkawariError
from okawari.storage.atomic_write import write_whole

Kind = Literal["answers", "refused"]


Layout = Mapping[str, str]
"""Columns of a table and their Arrow types, such as {"level": "double"}."""


_OURS = ("answers-*.parquet", "refused-*.parquet", "*.tmp", "job.json", "lock")


@dataclass(frozen=True)
class Place:
    """Paths of the results of a job: answers in `target` (.csv or .parquet), refused rows in a CSV file beside it."""

    target: Path

    @property
    def refused(self) -> Path:
        """`out.refused.csv` for `out.parquet`."""
        return self.target.with_suffix(".refused.csv")

    @property
    def folder(self) -> Path:
        """`out.parquet.parts` for `out.parquet`."""
        return self.target.with_name(f"{self.target.name}.parts")


class Parts:
    """The parts of one job; one process works on them at a time."""

    def __init__(self, place: Place, layouts: Mapping[Kind, Layout], state: dict[str, Any]) -> None:
        self._place, self._layouts, self._state = place, layouts, state

    @property
    def progress(self) -> dict[str, Any]:
        """The progress after the last complete part; the initial progress if there is none. Plain JSON values."""
        return dict(self._state["progress"])

    @property
    def n_parts(self) -> int:
        """Number of complete parts."""
        return int(self._state["n_parts"])

    def add(self, tables: Mapping[Kind, pd.DataFrame], progress: Mapping[str, Any]) -> None:
        """Write a part together with its progress; after an interruption neither counts."""
        n_parts, n_rows = self.n_parts, self._state["n_rows"]
        for kind, table in tables.items():
            _save_part(self._path(kind, n_parts), table, self._layouts[kind])
        kept = {kind: n_rows[kind] + len(table) for kind, table in tables.items()}
        self.save_state(n_parts=n_parts + 1, n_rows=kept, progress=dict(progress))

    def join(self, labels: Mapping[str, str], *, overwrite: bool) -> None:
        """Write the output from the parts and remove them. `labels` become metadata of a Parquet file.

        Raises:
            InvalidInput: a part is missing, or another process has written the output in the meantime.
        """
        if not self._state["joining"]:
            require_free(self._place, overwrite=overwrite)
            self.save_state(joining=True)
        if self._state["n_rows"]["refused"]:
            self._write("refused", self._place.refused, {})
        else:
            self._place.refused.unlink(missing_ok=True)
        self._write("answers", self._place.target, labels)
        clear_parts(self._place.folder)

    def save_state(self, **changes: Any) -> None:
        """Write a change of the state to disk."""
        self._state |= changes
        content = json.dumps(self._state, indent=1).encode()
        write_whole(self._place.folder / "job.json", lambda path: path.write_bytes(content))

    def _path(self, kind: Kind, number: int) -> Path:
        return self._place.folder / f"{kind}-{number:06}.parquet"

    def _write(self, kind: Kind, target: Path, labels: Mapping[str, str]) -> None:
        paths = [self._path(kind, number) for number in range(self.n_parts)]
        schema = _to_schema(self._layouts[kind]).with_metadata(dict(labels) or None)
        place = self._place.folder / f"{kind}{target.suffix.lower()}"

        def write(path: Path) -> None:
            written = _join(path, schema, paths, as_csv=target.suffix.lower() == ".csv")
            if written != self._state["n_rows"][kind]:
                raise InvalidInput(
                    f"The parts in {self._place.folder} hold {written} rows instead of {self._state['n_rows'][kind]}; "
                    "they were changed by another program. Start again with --overwrite."
                )

        write_whole(place, write, target)


@contextmanager
def open_parts(
    place: Place, job: Mapping[str, Any], layouts: Mapping[Kind, Layout], begin: Mapping[str, Any], *, overwrite: bool
) -> Iterator[Parts]:
    """Open the parts of this job to resume it, or an empty folder for a new job.

    Args:
        place: location of the results.
        job: identity of the job, plain JSON values.
        layouts: columns of the two tables.
        begin: the initial progress of a new job.
        overwrite: whether an existing output and the parts of another job may be replaced.

    Raises:
        InvalidInput: the output exists, the folder holds another job, or another process holds the lock.
    """
    _make_folder(place.folder)
    _require_ours(place.folder)
    with _hold_lock(place.folder):
        state = _read_state(place.folder)
        if state is not None and state["job"] != job and not overwrite:
            raise InvalidInput(_describe_difference(place.folder, state["job"], job))
        if state is None or state["job"] != job:
            remove_parts(place.folder)
            state = None
        new = {"job": dict(job), "n_parts": 0, "n_rows": {"answers": 0, "refused": 0}, "joining": False}
        parts = Parts(place, layouts, state or {**new, "progress": dict(begin)})
        if state is None:
            parts.save_state()
        try:
            yield parts
        except OkawariError:
            if not parts.n_parts:  # remove the empty job folder after a failed start
                clear_parts(place.folder)
            raise


def require_free(place: Place, *, overwrite: bool) -> None:
    """Check that no existing result would be overwritten.

    Raises:
        InvalidInput: the output or the file of refused rows exists and may not be replaced.
    """
    there = [path for path in (place.target, place.refused) if path.exists()]
    folders = [path for path in there if path.is_dir()]
    if folders:
        raise InvalidInput(f"{folders[0]} is a folder; the output is a file. Choose another name.")
    if there and not overwrite and not is_joining(place):
        raise InvalidInput(f"{there[0]} exists already; nothing was written. Choose another name, or use --overwrite.")


def is_joining(place: Place) -> bool:
    """Whether a job was interrupted while it wrote its output, so that existing files are its own."""
    state = _read_state(place.folder)
    return state is not None and bool(state["joining"])


def clear_parts(folder: Path) -> None:
    """Remove the folder of a finished job. Files of other programs stay, and so does a folder that holds any."""
    remove_parts(folder)
    (folder / "lock").unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def remove_parts(folder: Path) -> None:
    """Remove the files of a job. `job.json` is removed first, so that a partly removed job is never resumed."""
    (folder / "job.json").unlink(missing_ok=True)
    for pattern in _OURS:
        for path in folder.glob(pattern):
            if path.name != "lock":
                path.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as refused:
        raise InvalidInput(
            f"{folder} cannot be created: {refused}. Write to an existing folder that you may write to."
        ) from None


@contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"Another process is writing to {folder}, and only one may. Wait for it, or choose another output."
            ) from None
        try:
            yield
        finally:
            _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a job that could not start."""
    if folder.is_dir() and [path.name for path in folder.iterdir()] == ["lock"]:
        clear_parts(folder)


def _read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / "job.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as damage:
        raise InvalidInput(f"{folder}/job.json is not a valid job record: {damage}. Remove the folder.") from damage
    return state


def _require_ours(folder: Path) -> None:
    ours = {path.name for pattern in _OURS for path in folder.glob(pattern)}
    foreign = sorted({path.name for path in folder.iterdir()} - ours)
    if foreign and "job.json" not in ours:
        raise InvalidInput(
            f"{folder} holds {foreign[0]!r}, which is not a file of a scoring job. Choose another output."
        )


def _describe_difference(folder: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    differing = [
        f"{name} {theirs.get(name)} instead of {ours[name]}" for name in ours if theirs.get(name) != ours[name]
    ]
    return (
        f"{folder} holds the unfinished output of another job: {'; '.join(differing)}. Finish that job with its own "
        "options (--version sets the version), or start again with --overwrite."
    )


def _to_schema(layout: Layout) -> pa.Schema:
    kinds = {"timestamp[ns]": pa.timestamp("ns")}
    return pa.schema([(name, kinds.get(kind) or pa.type_for_alias(kind)) for name, kind in layout.items()])


def _save_part(path: Path, table: pd.DataFrame, layout: Layout) -> None:
    from pyarrow import parquet

    content = pa.Table.from_pandas(table, schema=_to_schema(layout), preserve_index=False).replace_schema_metadata(None)
    write_whole(path, lambda passing: parquet.write_table(content, passing))


def _read_parts(paths: list[Path]) -> Iterator[pa.Table]:
    from pyarrow import parquet

    for path in paths:
        try:
            yield parquet.read_table(path)
        except (FileNotFoundError, pa.ArrowException) as damage:
            raise InvalidInput(f"The part {path} cannot be read: {damage}. Start again with --overwrite.") from damage


def _join(path: Path, schema: pa.Schema, paths: list[Path], *, as_csv: bool) -> int:
    """Write the parts one after the other. Returns the number of rows."""
    from pyarrow import csv, parquet

    n_rows = 0
    with csv.CSVWriter(path, schema) if as_csv else parquet.ParquetWriter(path, schema) as writer:
        for table in _read_parts(paths):
            if table.num_rows:
                writer.write_table(table.replace_schema_metadata(schema.metadata))
            n_rows += table.num_rows
    return n_rows
