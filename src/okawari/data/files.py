"""Table files on disk: CSV and Parquet, and what is read in place of a case's own source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from okawari.errors import InvalidInput

if TYPE_CHECKING:
    from okawari.case import Case
from okawari.case.source import Source
from okawari.data.sql import SqlQuery
from okawari.data.tabular import Names, name_columns, refuse_repeats


@dataclass(frozen=True)
class TableFile:
    """A CSV or Parquet file on disk, told apart by its ending.

    `rename` gives columns other names as they are read, so that everything after knows one name only; `time` is the
    new one. A column of `rename` that the file lacks is left to the checks, so a file with the new names is read, too.

    Example:
        >>> TableFile(Path("sales.csv"), time="day", rename=(("Sold on", "day"), ("Unit Price", "unit_price"))).time
        'day'
    """

    path: Path
    time: str | None = "date"
    rename: Names = ()

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The file's columns as they are.

        Raises:
            InvalidInput: no such file, an unknown ending, no table inside, no rows, or a column named twice.
        """
        if not self.path.is_file():
            raise InvalidInput(f"There is no file {self.path}; give the path of a .csv or .parquet file.")
        frame = self._parse()
        if frame.empty or len(frame.columns) < 2:
            kinds = "columns" if self.time is None else "a time column, number columns"
            raise InvalidInput(
                f"{self.path} holds {len(frame)} rows of {len(frame.columns)} columns; a table of readings has "
                f"{kinds} and at least one row, and a .csv separates them by commas."
            )
        return name_columns(frame, self, str(self.path), until)

    def _parse(self) -> pd.DataFrame:
        import pyarrow as pa

        readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": _read_csv, ".parquet": _read_parquet}
        reader = readers.get(self.path.suffix.lower())
        if reader is None:
            raise InvalidInput(f"{self.path} ends in {self.path.suffix!r}; Okawari reads .csv and .parquet.")
        try:
            frame = reader(self.path)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, pa.ArrowException, OSError) as bad:
            kind = self.path.suffix.lower().lstrip(".")
            raise InvalidInput(f"{self.path} is not a {kind} table: {bad}. Nothing was ingested.") from bad
        return refuse_repeats(frame, str(self.path))


Table = TableFile | SqlQuery
"""Sources that read whatever table they are pointed at."""


def read_instead(path: Path, case: Case) -> Source:
    """What is read in place of a case's own source: a file, under the names that this one gives, or pictures.

    Raises:
        InvalidInput: a folder, and the case says nowhere how a picture becomes a record.
    """
    if path.is_dir():
        return _read_pictures_instead(path, case)
    return TableFile(path, time=next(iter(case.time_columns), None), rename=getattr(case.source, "rename", ()))


def _read_pictures_instead(folder: Path, case: Case) -> Source:
    from okawari.data.images import PictureFolder

    for own in (case.source, case.live):
        if isinstance(own, PictureFolder):
            return replace(own, path=folder.resolve())
    raise InvalidInput(
        f"{folder} is a folder, and case {case.name} reads no pictures; give a .csv or .parquet file, or the case a "
        "PictureFolder as its live source."
    )


def find_told(found: Sequence[str], source: Source | None) -> dict[str, str]:
    """The case's names for columns of a table and what the table calls them, where it does not call them so."""
    return {name: told for told, name in getattr(source, "rename", ()) if told in found and name not in found}


def _read_csv(path: Path) -> pd.DataFrame:
    # Read as a line like all others, the names also count the fields; else a longer line would shift every column.
    lines = pd.read_csv(path, header=None, dtype=object, encoding="utf-8")
    return lines.iloc[1:].set_axis([str(name) for name in lines.iloc[0]], axis="columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    # What pandas wrote beside the columns is left aside: it would make an index of the time column.
    frame: pd.DataFrame = parquet.ParquetFile(path).read().replace_schema_metadata(None).to_pandas()
    return frame
