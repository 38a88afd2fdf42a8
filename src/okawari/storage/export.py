"""Export of a snapshot: its readings as a CSV or Parquet file, with labels as words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from okawari.case import Case
from okawari.data.chunked_reader import require_ending
from okawari.errors import InvalidInput, NotYet, require
from okawari.storage import snapshots
from okawari.storage.atomic_write import write_whole
from okawari.storage.snapshots import Snapshot


def export_readings(case: Case, target: Path, version: int | None = None, *, overwrite: bool = False) -> Snapshot:
    """Write the readings of a snapshot (the newest, if None) to a file, ascending in time. The write is atomic.

    The file has the time column (for records, the time of arrival) and the case's columns under their names, so the
    case can ingest it again.

    Args:
        case: the case that owns the readings.
        target: a .csv or .parquet file.
        version: number of the snapshot.
        overwrite: whether an existing file may be replaced.

    Raises:
        InvalidInput: the ending is not allowed, the folder is missing, the file exists, or the snapshot is unknown.
        NotYet: nothing has been ingested.
        OkawariError: the file cannot be written.
    """
    ending = require_ending(target)
    _check_target(target, overwrite=overwrite)
    snapshot = _find_snapshot(case, version)
    readings = snapshots.load_stored(case, snapshot.version)
    temporary = target.with_name(f".{target.name}")
    try:
        write_whole(temporary, lambda path: _write(readings, path, ending), target)
    finally:
        temporary.with_name(f"{temporary.name}.tmp").unlink(missing_ok=True)
    return snapshot


def _write(frame: pd.DataFrame, path: Path, ending: str) -> None:
    if ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)


def _check_target(target: Path, *, overwrite: bool) -> None:
    require(not target.is_dir(), f"{target} is a folder; the readings are written to a file. Choose another name.")
    require(target.parent.is_dir(), f"There is no folder {target.parent}; make it, or choose another.")
    require(
        overwrite or not target.exists(),
        f"{target} exists already; nothing was written. Choose another name, or use --overwrite.",
    )


def _find_snapshot(case: Case, version: int | None) -> Snapshot:
    newest = snapshots.snapshot_number(case)
    if newest is None:
        raise NotYet(f"Case {case.name} has no readings yet; run: okawari run {case.name}.")
    if version is not None and not 0 <= version <= newest:
        known = "only snapshot 0" if newest == 0 else f"the snapshots 0 to {newest}"
        raise InvalidInput(f"There is no snapshot {version} of case {case.name}; it has {known}. Choose one of these.")
    snapshot = snapshots.load_snapshot(case, newest if version is None else version)
    assert snapshot is not None  # its number was found above, and snapshots are never removed
    return snapshot
