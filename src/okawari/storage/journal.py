"""The journal: the service's answers and the outcomes it received, as JSON lines on local disk.

The service appends rows; the flows read the closed segments, move their rows into the `predictions` and `outcomes`
tables, and delete the segments. A writer owns one open segment at a time (`<kind>/<number>-<mark>.open`), holds a lock
on it (flock, which also works between containers on one volume), and closes it by an atomic rename to `.jsonl`: when it
is full, or old, or the writer ends. The system releases the lock of a dead writer; the next writer of the folder closes
its segment. Each line is written and flushed completely, so a killed process loses at most its last line; absorbing a
segment twice changes nothing (`okawari.storage.prediction_log`). Numbers of segments ascend in the order in which they
were opened; two that several replicas opened at the same moment may share one. The order of lines that replicas write
within the same seconds is therefore not known.
"""

from __future__ import annotations

import fcntl
import json
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Literal

Kind = Literal["predictions", "outcomes"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Segment:
    """One file of the journal; only `closed` segments are absorbed and deleted."""

    path: Path
    closed: bool

    @property
    def name(self) -> str:
        """Number and mark, which stay the same when the segment is closed."""
        return self.path.stem

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of all complete lines; skips bad JSON, and leaves an incomplete last line for the next call."""
        *lines, _torn = self._read().split("\n")
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                warnings.warn(
                    f"{self.path} has a line that is not valid JSON; it is skipped: {line[:80]!r}", stacklevel=2
                )

    def _read(self) -> str:
        for path in (self.path, self.path.with_suffix(".jsonl")):  # its writer may have closed it since it was listed
            with suppress(FileNotFoundError):
                return path.read_text(encoding="utf-8", errors="replace")
        return ""  # another process has absorbed it since


class Journal:
    """The journal's writer; several threads of one process may share it.

    Args:
        folder: the case's journal folder.
        kind: the table that the rows belong to.
        segment_rows: rows after which a segment is closed.
        segment_s: seconds after which it is closed, even if no further row comes; the longest time before an answer can
            be absorbed.
    """

    def __init__(self, folder: Path, kind: Kind, *, segment_rows: int = 5000, segment_s: float = 2.0) -> None:
        self._folder = folder / kind
        self._segment_rows, self._segment_s = segment_rows, segment_s
        self._lock = threading.Lock()
        self._file: TextIOWrapper | None = None
        self._path = self._folder
        self._rows = 0
        self._clock: threading.Timer | None = None
        close_abandoned(folder, kind)

    def append(self, rows: Sequence[Row]) -> None:
        """Write the rows as one flushed block."""
        block = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        with self._lock:
            if self._file is None or self._rows >= self._segment_rows:
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
        self._path, self._file = _create_locked(self._folder)
        self._rows = 0
        self._clock = threading.Timer(self._segment_s, self._close_old, (self._path,))
        self._clock.daemon = True
        self._clock.start()

    def _close_old(self, path: Path) -> None:
        with self._lock:
            if self._path == path:
                self._close_segment()

    def _close_segment(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if self._file is not None:
            _rename_closed(self._path)
            self._file.close()  # this also releases the lock
            self._file = None


def close_abandoned(folder: Path, kind: Kind) -> int:
    """Close the open segments of dead writers; returns their number."""
    return sum(_close_if_free(path) for path in sorted((folder / kind).glob("*.open")))


def _close_if_free(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if not _take_lock(file):
                return False
            _rename_closed(path)
            return True
    except FileNotFoundError:
        return False  # its writer has closed it since it was listed


def _create_locked(folder: Path) -> tuple[Path, TextIOWrapper]:
    """Open a new segment and lock it; open another one if a process closed it before the lock was taken."""
    while True:
        path = folder / f"{_next_number(folder):020d}-{uuid.uuid4().hex[:8]}.open"
        file = path.open("a", encoding="utf-8")
        if _take_lock(file) and path.exists():
            return path, file
        file.close()


def _next_number(folder: Path) -> int:
    """A number after those of all segments in a folder. A clock would not do: it can go back."""
    return 1 + max((_read_number(path) for path in _find_segments(folder)), default=0)


def _read_number(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _find_segments(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*-*") if path.suffix in (".open", ".jsonl")]


@contextmanager
def hold_absorption(folder: Path) -> Iterator[None]:
    """Let one process at a time absorb the segments of a journal; others wait."""
    with (folder / ".absorbing").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take_lock(file: IO[Any]) -> bool:
    """Take the lock of a file; returns whether it was free. It is held until the file is closed or the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _rename_closed(path: Path) -> None:
    with suppress(FileNotFoundError):  # a service must keep answering after its state folder was deleted
        path.rename(path.with_suffix(".jsonl"))


def list_segments(folder: Path, kind: Kind) -> list[Segment]:
    """All segments of a kind, oldest first."""
    found = sorted(_find_segments(folder / kind), key=lambda path: (_read_number(path), path.name))
    return [Segment(path, closed=path.suffix == ".jsonl") for path in found]
