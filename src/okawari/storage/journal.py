"""The journal: what the service answered and what it was told, as JSON lines on local disk.

The service appends; the flows read, move the lines into the `predictions` and `outcomes` tables, and delete
what is closed. A writer owns one open segment at a time (`<kind>/<started>-<pid>.open`) and closes it by
renaming it to `.jsonl`. A line is written whole and flushed, so a killed process loses at most its last line;
absorbing a line twice changes nothing, because rows are keyed by (id, index[, step]).
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

Kind = Literal["predictions", "outcomes"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Segment:
    """One file of the journal; only a `closed` one may be deleted."""

    path: Path
    closed: bool

    def rows(self) -> Iterator[dict[str, Any]]:
        """The whole lines of the segment; a torn last line is left for the next reading, and noise is left out."""
        *lines, _torn = self._read().split("\n")
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                warnings.warn(f"{self.path} has a line that is no JSON; it is left out: {line[:80]!r}", stacklevel=2)

    def _read(self) -> str:
        for path in (self.path, self.path.with_suffix(".jsonl")):  # its writer may have closed it since it was listed
            with suppress(FileNotFoundError):
                return path.read_text(encoding="utf-8", errors="replace")
        return ""  # somebody else has absorbed it since


class Journal:
    """The writing end, safe for several threads of one process.

    Args:
        folder: the case's journal folder.
        kind: which table the rows are meant for.
        segment_rows: rows after which a segment is closed.
        segment_s: seconds after which the next row opens a new segment.
    """

    def __init__(self, folder: Path, kind: Kind, *, segment_rows: int = 5000, segment_s: float = 60.0) -> None:
        self._folder = folder / kind
        self._limits = segment_rows, segment_s
        self._lock = threading.Lock()
        self._file: TextIOWrapper | None = None
        self._path = self._folder
        self._rows, self._since = 0, 0.0

    def append(self, rows: Sequence[Row]) -> None:
        """Write the rows as one flushed block."""
        block = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        with self._lock:
            if self._file is None or self._rows >= self._limits[0] or time.monotonic() - self._since > self._limits[1]:
                self._open_segment()
            assert self._file is not None
            self._file.write(block)
            self._file.flush()
            self._rows += len(rows)

    def close(self) -> None:
        """Close the open segment, if any."""
        with self._lock:
            self._close_segment()

    def _open_segment(self) -> None:
        self._close_segment()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{time.time_ns()}-{os.getpid()}.open"
        self._file = self._path.open("a", encoding="utf-8")
        self._rows, self._since = 0, time.monotonic()

    def _close_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(FileNotFoundError):  # whoever deletes the state of a running service must not silence it
                self._path.rename(self._path.with_suffix(".jsonl"))


def list_segments(folder: Path, kind: Kind) -> list[Segment]:
    """All segments of a kind, oldest first. An open segment whose writer is gone counts as closed."""
    found = sorted(path for path in (folder / kind).glob("*-*") if path.suffix in (".open", ".jsonl"))
    return [Segment(path, path.suffix == ".jsonl" or not _is_alive(int(path.stem.rsplit("-", 1)[1]))) for path in found]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
