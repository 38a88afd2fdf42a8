"""The unfinished output of a long job: a folder of whole parts beside the output, and how far the job has come.

    out.parquet.parts/
        job.json                whose job it is (input, version, graph), and its progress after the last whole part
        answers-000000.parquet  the answers of the first chunk, and so on
        refused-000000.parquet  the rows of that chunk that were refused
        lock                    held while a process works here

Every file is written under another name, brought to disk, and renamed; `job.json` comes last and makes a part count. A
process killed at any moment leaves at most a part that does not count and is written again. At the end the parts are
joined into the output the same way: the output is whole or not there.
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
    """Where a job's results go: answers to `target` (.csv or .parquet), refused rows to a CSV file beside it."""

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
    """The parts of one job, in the hands of one process."""

    def __init__(self, place: Place, layouts: Mapping[Kind, Layout], state: dict[str, Any]) -> None:
        self._place, self._layouts, self._state = place, layouts, state

    @property
    def progress(self) -> dict[str, Any]:
        """What the last whole part was kept with; what the job began with, if there is none. Plain JSON values."""
        return dict(self._state["progress"])

    @property
    def n_parts(self) -> int:
        """Whole parts so far."""
        return int(self._state["n_parts"])

    def add(self, tables: Mapping[Kind, pd.DataFrame], progress: Mapping[str, Any]) -> None:
        """Keep a part, and the progress with it: both or, if this is broken off, neither."""
        n_parts, n_rows = self.n_parts, self._state["n_rows"]
        for kind, table in tables.items():
            _save_part(self._path(kind, n_parts), table, self._layouts[kind])
        kept = {kind: n_rows[kind] + len(table) for kind, table in tables.items()}
        self.save_state(n_parts=n_parts + 1, n_rows=kept, progress=dict(progress))

    def join(self, labels: Mapping[str, str], *, overwrite: bool) -> None:
        """Write the output from the parts and remove them. `labels` become metadata of a Parquet file.

        Raises:
            InvalidInput: a part is gone, or somebody else has written the output meanwhile.
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
        """Bring a change of the state to disk."""
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
                    "somebody has changed them. Begin anew with --overwrite."
                )

        write_whole(place, write, target)


@contextmanager
def open_parts(
    place: Place, job: Mapping[str, Any], layouts: Mapping[Kind, Layout], begin: Mapping[str, Any], *, overwrite: bool
) -> Iterator[Parts]:
    """The parts of this very job, to go on with, or the empty folder of a new one.

    Args:
        place: where the results go.
        job: what tells this job from others, plain JSON values.
        layouts: columns of the two tables.
        begin: the progress of a job that has done nothing yet.
        overwrite: whether an output that is there, and the parts of another job, may be replaced.

    Raises:
        InvalidInput: the output is there, the folder holds another job, or another process works on it.
    """
    _make_folder(place.folder)
    _require_ours(place.folder)
    with _hold_lock(place.folder):
        state = _read_state(place.folder)
        if state is not None and state["job"] != job and not overwrite:
            raise InvalidInput(_tell_difference(place.folder, state["job"], job))
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
    """Make sure that no result would be lost.

    Raises:
        InvalidInput: the output or the file of refused rows is there and may not be replaced.
    """
    there = [path for path in (place.target, place.refused) if path.exists()]
    folders = [path for path in there if path.is_dir()]
    if folders:
        raise InvalidInput(f"{folders[0]} is a folder; the output is a file. Choose another name.")
    if there and not overwrite and not is_joining(place):
        raise InvalidInput(f"{there[0]} is there already; nothing was written. Choose another name, or --overwrite.")


def is_joining(place: Place) -> bool:
    """Whether a job was broken off while it wrote its output, so that what is there is its own."""
    state = _read_state(place.folder)
    return state is not None and bool(state["joining"])


def clear_parts(folder: Path) -> None:
    """Remove the folder of a job that has ended; a file that is not ours stays, and so does the folder then."""
    remove_parts(folder)
    (folder / "lock").unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def remove_parts(folder: Path) -> None:
    """Remove what a job has left in its folder; its record goes first, so that no half of a job is taken for one."""
    (folder / "job.json").unlink(missing_ok=True)
    for pattern in _OURS:
        for path in folder.glob(pattern):
            if path.name != "lock":
                path.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as refused:
        raise InvalidInput(f"{folder} cannot be made: {refused}. Write to a folder that is there and yours.") from None


@contextmanager
def _hold_lock(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"Another process is writing to {folder}; one job at a time. Wait for it, or choose another output."
            ) from None
        try:
            yield
        finally:
            _leave(folder)


def _leave(folder: Path) -> None:
    """Take an empty folder away again: that of a job that could not begin."""
    if folder.is_dir() and [path.name for path in folder.iterdir()] == ["lock"]:
        clear_parts(folder)


def _read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / "job.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as damage:
        raise InvalidInput(f"{folder}/job.json is no record of a job: {damage}. Remove that folder.") from damage
    return state


def _require_ours(folder: Path) -> None:
    ours = {path.name for pattern in _OURS for path in folder.glob(pattern)}
    foreign = sorted({path.name for path in folder.iterdir()} - ours)
    if foreign and "job.json" not in ours:
        raise InvalidInput(f"{folder} holds {foreign[0]!r}, which no job has put there. Choose another output.")


def _tell_difference(folder: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    differing = [
        f"{name} {theirs.get(name)} instead of {ours[name]}" for name in ours if theirs.get(name) != ours[name]
    ]
    return (
        f"{folder} holds the unfinished output of another job: {'; '.join(differing)}. Finish that one as it was begun "
        "(--version names its version), or begin anew with --overwrite."
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
            raise InvalidInput(f"The part {path} cannot be read: {damage}. Begin anew with --overwrite.") from damage


def _join(path: Path, schema: pa.Schema, paths: list[Path], *, as_csv: bool) -> int:
    """Write the parts one after the other; returns the rows written."""
    from pyarrow import csv, parquet

    n_rows = 0
    with csv.CSVWriter(path, schema) if as_csv else parquet.ParquetWriter(path, schema) as writer:
        for table in _read_parts(paths):
            if table.num_rows:
                writer.write_table(table.replace_schema_metadata(schema.metadata))
            n_rows += table.num_rows
    return n_rows
