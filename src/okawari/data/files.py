"""Table files on disk, and the choice between a case's sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from okawari.errors import InvalidInput, SourceUnavailable

if TYPE_CHECKING:
    from okawari.case import Case
from okawari.case.source import Source
from okawari.data.file_format import NOTHING_STATED, PLAIN, FileFormat, Stated
from okawari.data.sql import SqlQuery
from okawari.data.table_files import Expected, list_files, read_file, read_folder, require_kind
from okawari.data.tabular import Names, RawTable, find_until, name_columns
from okawari.data.time_format import ISO, require_time_format
from okawari.data.time_recognition import choose_time_format


@dataclass(frozen=True)
class TableFile:
    """A table in a file, or in the files of a folder; the ending selects the reader (`okawari.data.table_files`).

    `rename` changes the names of columns on reading, so that later code uses one name only; `time` is the new name. A
    file that already has the new names can be read too, because only the checks look for missing columns. `format` is
    how its fields and numbers are written, `time_format` how its times are.

    Example:
        >>> TableFile(Path("sales.csv"), time="day", rename=(("Sold on", "day"), ("Unit Price", "unit_price"))).time
        'day'
    """

    path: Path
    time: str | None = "date"
    rename: Names = ()
    format: FileFormat = PLAIN
    time_format: str = ISO

    def __post_init__(self) -> None:
        require_time_format(self.time_format)

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The file's columns, unconverted; broken lines are left out.

        Raises:
            SourceUnavailable: the file does not exist or has an unknown ending.
            InvalidInput: the file holds no table or no rows, a column name repeats, or the file is not written as
                stated and reads two ways.
        """
        return self.read_table(until).frame

    def read_table(self, until: date | None = None, numbers: Sequence[str] = ()) -> RawTable:
        """The file's columns, unconverted, its broken lines, and what was assumed; raises like `read`."""
        self.require_readable()
        given = {name: there for there, name in self.rename}
        expected = Expected(self.format, [*numbers, *(given[name] for name in numbers if name in given)])
        found = read_folder(self.path, expected) if self.path.is_dir() else read_file(self.path, expected)
        if found.frame.empty or len(found.frame.columns) < 2:
            kinds = "columns" if self.time is None else "a time column, number columns"
            raise InvalidInput(
                f"{self.path} holds {len(found.frame)} rows of {len(found.frame.columns)} columns; a table of readings "
                f"has {kinds} and at least one row, and a .csv separates them by commas."
            )
        return self._keep_until(replace(found, frame=name_columns(found.frame, self, str(self.path))), until)

    def _keep_until(self, found: RawTable, until: date | None) -> RawTable:
        """The rows until a day, their times read by the format that fits all of them."""
        if self.time is None:
            return replace(found, time_format=self.time_format)
        chosen = choose_time_format(found.frame[self.time], self.time_format, self.time)
        notes = (*found.notes, chosen.note) if chosen.note else found.notes
        found = replace(found, time_format=chosen.format, notes=notes)
        if until is None:
            return found
        kept = find_until(found.frame[self.time], until, chosen.format)
        origins = tuple(name for name, is_kept in zip(found.origins, kept, strict=bool(found.origins)) if is_kept)
        return replace(found, frame=found.frame[kept].reset_index(drop=True), origins=origins)

    def require_readable(self) -> None:
        """Check that the path can be a table, without reading it.

        Raises:
            SourceUnavailable: the file does not exist or has an unknown ending, or the folder holds no table.
        """
        if self.path.is_dir():
            list_files(self.path)
        else:
            require_kind(self.path)


Table = TableFile | SqlQuery
"""Sources that can read any table."""


def choose_source(case: Case, file: Path | None, live: bool, stated: Stated = NOTHING_STATED) -> Source:
    """The source to read: the given file or folder, else the case's live source if `live`, else the case's source.

    Raises:
        SourceUnavailable: the file does not exist or has another ending, the case reads no folder of pictures, or it
            has no live source.
    """
    if file is not None:
        return read_instead(file, case, stated)
    if stated != NOTHING_STATED:
        raise SourceUnavailable(
            "--time-format and --decimal say how a file is written, and none is given; add --file, or write them into "
            f"the source of case {case.name}."
        )
    if not live:
        if isinstance(case.source, TableFile):
            case.source.require_readable()
        return case.source
    if case.live is None:
        raise SourceUnavailable(
            f"Case {case.name} has no live source; leave out --live, or add a live source to the case."
        )
    return case.live


def expect_format(case: Case, stated: Stated = NOTHING_STATED) -> FileFormat:
    """How a file of a case is expected to be written: as stated, else as its source is."""
    return stated.apply(getattr(case.source, "format", PLAIN))


def expect_time_format(case: Case, stated: Stated = NOTHING_STATED) -> str:
    """How the times of a case's file are expected to be written: as stated, else as those of its source.

    Raises:
        InvalidInput: what is stated is no time format.
    """
    return require_time_format(stated.time_format or getattr(case.source, "time_format", ISO))


def read_instead(path: Path, case: Case, stated: Stated = NOTHING_STATED) -> Source:
    """The source that replaces a case's own: a file or folder, expected to be written and named like the case's source.

    Raises:
        SourceUnavailable: the file does not exist or has another ending; or the folder holds no table and no pictures.
    """
    pictures = _read_pictures_instead(path, case) if path.is_dir() else None
    if pictures is not None:
        return pictures
    found = TableFile(
        path,
        time=next(iter(case.time_columns), None),
        rename=getattr(case.source, "rename", ()),
        format=expect_format(case, stated),
        time_format=expect_time_format(case, stated),
    )
    found.require_readable()
    return found


def _read_pictures_instead(folder: Path, case: Case) -> Source | None:
    from okawari.data.images import PictureFolder

    for own in (case.source, case.live):
        if isinstance(own, PictureFolder):
            found = replace(own, path=folder.resolve())
            found.require_readable()
            return found
    return None


def find_source_names(found: Sequence[str], source: Source | None) -> dict[str, str]:
    """The names of a table's columns (`found`) by their names in the case, where the two differ."""
    return {name: given for given, name in getattr(source, "rename", ()) if given in found and name not in found}
