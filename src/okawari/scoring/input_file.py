"""The file that is scored: how its fields, numbers and times are written, and what its content is identified by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okawari.case import Case
from okawari.data.chunked_reader import Chunk, find_format, read_chunks, read_names
from okawari.data.file_format import NOTHING_STATED, FileFormat, Stated
from okawari.data.files import expect_format, expect_time_format, find_source_names
from okawari.data.time_recognition import choose_time_format
from okawari.data.writing import Writing
from okawari.schema.columns import find_numbers
from okawari.storage.deployable import digest

_HEAD_BYTES = 1 << 20
_N_TIMES = 65_536
"""Times that decide by which format a file's times are read."""


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file or folder, the names of its columns, and how it is written; `said` has what was assumed."""

    path: Path
    format: FileFormat
    names: tuple[str, ...]
    time_format: str
    zone: str = "UTC"
    said: tuple[str, ...] = ()

    @property
    def writing(self) -> Writing:
        """How the values are written."""
        return Writing(format=self.format, time_format=self.time_format, zone=self.zone)

    def read(self, columns: list[str], told: dict[str, str], *, size: int, after: int = 0) -> Iterator[Chunk]:
        """The rows after a number, in chunks; `told` has the names in the file of columns with another name."""
        return read_chunks(self.path, columns, size=size, after=after, source_names=told, format=self.format)

    def identify(self) -> dict[str, Any]:
        """What tells this content from another: sizes, times of change, the first bytes, and how they are read."""
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        found = [each.stat() for each in files if each.is_file()]
        with next(each for each in files if each.is_file()).open("rb") as file:
            head = digest(file.read(_HEAD_BYTES))
        return {
            "bytes": sum(each.st_size for each in found),
            "changed_at_ns": max(each.st_mtime_ns for each in found),
            "head_sha256": head,
            "written": [self.format.describe(), self.time_format],
        }


def open_input(case: Case, path: Path, stated: Stated = NOTHING_STATED) -> InputFile:
    """Find out how a file is written: as the case's source, or otherwise if that is certain.

    Raises:
        InvalidInput: there is no such table, or it reads two ways.
    """
    numbers = [column.name for column in find_numbers(case.columns)]
    given = {name: there for there, name in getattr(case.source, "rename", ())}
    chosen = find_format(path, expect_format(case, stated), [*numbers, *(given.get(name, name) for name in numbers)])
    names = read_names(path, chosen.format)
    time_format, note = _find_time_format(case, path, chosen.format, names, stated)
    said = (*chosen.assumed, *(f"{note}." for note in (*chosen.notes, *filter(None, [note]))))
    return InputFile(
        path=path,
        format=chosen.format,
        names=tuple(names),
        time_format=time_format,
        zone=case.zone,
        said=said,
    )


def _find_time_format(case: Case, path: Path, format: FileFormat, names: list[str], stated: Stated) -> tuple[str, str]:
    """The format of the file's first times, and what differs from the case's."""
    recorded = expect_time_format(case, stated)
    told = find_source_names(names, case.source)
    if not case.time_columns or case.time not in {*names, *told}:
        return recorded, ""
    chunks = read_chunks(path, [case.time], size=_N_TIMES, source_names=told, format=format)
    first = next(chunks, None)
    if first is None:
        return recorded, ""
    chosen = choose_time_format(first.rows[case.time], recorded, case.time)
    return chosen.format, chosen.note
