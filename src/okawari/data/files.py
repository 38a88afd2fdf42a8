"""Table files on disk (CSV and Parquet), and the choice between a case's sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from okawari.errors import InvalidInput, SourceUnavailable

if TYPE_CHECKING:
    from okawari.case import Case
from okawari.case.source import Source
from okawari.data import csv_reader
from okawari.data.csv_reader import CsvError
from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.sql import SqlQuery
from okawari.data.tabular import Names, RawTable, name_columns, refuse_repeats
from okawari.data.time_format import ISO, require_time_format


@dataclass(frozen=True)
class TableFile:
    """A CSV or Parquet file on disk; the file extension selects the reader.

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
            InvalidInput: the file holds no table or no rows, or a column name repeats.
        """
        return self.read_table(until).frame

    def read_table(self, until: date | None = None) -> RawTable:
        """The file's columns, unconverted, and its broken lines; raises like `read`."""
        self.require_readable()
        found = self._parse()
        if found.frame.empty or len(found.frame.columns) < 2:
            kinds = "columns" if self.time is None else "a time column, number columns"
            raise InvalidInput(
                f"{self.path} holds {len(found.frame)} rows of {len(found.frame.columns)} columns; a table of readings "
                f"has {kinds} and at least one row, and a .csv separates them by commas."
            )
        return RawTable(name_columns(found.frame, self, str(self.path), until), found.broken)

    def require_readable(self) -> None:
        """Check that the path can be a table, without reading it.

        Raises:
            SourceUnavailable: the file does not exist or has an unknown ending.
        """
        if not self.path.is_file():
            raise SourceUnavailable(f"There is no file {self.path}; give the path of a .csv or .parquet file.")
        if self.path.suffix.lower() not in _READERS:
            raise SourceUnavailable(
                f"{self.path} ends in {self.path.suffix!r}; Okawari reads .csv and .parquet. Convert it."
            )

    def _parse(self) -> RawTable:
        import pyarrow as pa

        kind = self.path.suffix.lower()
        try:
            found = _READERS[kind](self.path)
        except (pa.ArrowException, CsvError, UnicodeDecodeError, OSError) as bad:
            raise InvalidInput(f"{self.path} is not a {kind.lstrip('.')} table: {bad}. Nothing was ingested.") from bad
        refuse_repeats(found.frame.columns, str(self.path))
        return found


def _read_parquet(path: Path) -> RawTable:
    from pyarrow import parquet

    # The metadata of pandas is dropped, because it would make an index of the time column.
    return RawTable(parquet.ParquetFile(path).read().replace_schema_metadata(None).to_pandas())


_READERS: Mapping[str, Callable[[Path], RawTable]] = {".csv": csv_reader.read_table, ".parquet": _read_parquet}


Table = TableFile | SqlQuery
"""Sources that can read any table."""


def choose_source(case: Case, file: Path | None, live: bool) -> Source:
    """The source to read: the given file or folder, else the case's live source if `live`, else the case's source.

    Raises:
        SourceUnavailable: the file does not exist or has another ending, the case reads no folder of pictures, or it
            has no live source.
    """
    if file is not None:
        return read_instead(file, case)
    if not live:
        if isinstance(case.source, TableFile):
            case.source.require_readable()
        return case.source
    if case.live is None:
        raise SourceUnavailable(
            f"Case {case.name} has no live source; leave out --live, or add a live source to the case."
        )
    return case.live


def read_instead(path: Path, case: Case) -> Source:
    """The source that replaces a case's own: a file, renamed like the case's source, or a folder of pictures.

    Raises:
        SourceUnavailable: the file does not exist or has another ending; or the path is a folder without pictures, or
            the case has no `PictureFolder`.
    """
    if path.is_dir():
        return _read_pictures_instead(path, case)
    found = TableFile(path, time=next(iter(case.time_columns), None), rename=getattr(case.source, "rename", ()))
    found.require_readable()
    return found


def _read_pictures_instead(folder: Path, case: Case) -> Source:
    from okawari.data.images import PictureFolder

    for own in (case.source, case.live):
        if isinstance(own, PictureFolder):
            found = replace(own, path=folder.resolve())
            found.require_readable()
            return found
    raise SourceUnavailable(
        f"{folder} is a folder, and case {case.name} reads no pictures; give a .csv or .parquet file, or add a "
        "PictureFolder to the case as its live source."
    )


def find_source_names(found: Sequence[str], source: Source | None) -> dict[str, str]:
    """The names of a table's columns (`found`) by their names in the case, where the two differ."""
    return {name: given for given, name in getattr(source, "rename", ()) if given in found and name not in found}


def ends_cut(source: Source) -> bool | None:
    """Whether a text file ends without a line end, so that its last line may be cut; None for other sources."""
    if not isinstance(source, TableFile) or source.path.suffix.lower() != ".csv" or not source.path.is_file():
        return None
    size = source.path.stat().st_size
    with source.path.open("rb") as file:
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"\n", b"\r", b"")
