"""Reading a whole file, or a folder of files, of any kind: text, Parquet, spreadsheet, JSON lines.

`okawari.data.files.TableFile` is the source that a case names; `okawari.data.chunked_reader` reads files of any length.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa

from okawari.data import csv_reader, json_lines
from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.format_choice import choose_format
from okawari.data.sniffing import HEAD_BYTES
from okawari.data.spreadsheets import read_sheet
from okawari.data.table_bytes import PACKED, READABLE, Kind, ends_in_line, find_kind, read_content, read_head
from okawari.data.tabular import RawTable, refuse_repeats
from okawari.data.text_stream import CsvError
from okawari.errors import InvalidInput, SourceUnavailable

DAMAGE = (pa.ArrowException, CsvError, UnicodeError, EOFError, OSError, zlib.error, zipfile.BadZipFile)
"""What is raised by bytes that are no table."""


@dataclass(frozen=True)
class Expected:
    """What a file is expected to be: its recorded format, and the columns of numbers (all may be, if empty)."""

    format: FileFormat = PLAIN
    numbers: Sequence[str] = ()


def require_kind(path: Path) -> Kind:
    """The kind of a file that can be a table, without reading it.

    Raises:
        SourceUnavailable: the file does not exist or has an unknown ending.
    """
    if not path.is_file():
        raise SourceUnavailable(f"There is no file {path}; give the path of a .csv or .parquet file.")
    kind = find_kind(path)
    if kind is None:
        raise SourceUnavailable(f"{path} ends in {path.suffix!r}; Okawari reads {READABLE}. Convert it.")
    return kind


def list_files(folder: Path) -> list[Path]:
    """The tables in a folder, in the order of their names.

    Raises:
        SourceUnavailable: the folder holds none.
        InvalidInput: the files are of several kinds.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "~")))
    tables = {path: kind for path in files if (kind := find_kind(path)) is not None}
    if not tables:
        raise SourceUnavailable(f"The folder {folder} holds no table; Okawari reads {READABLE}.")
    if len(set(tables.values())) > 1:
        raise InvalidInput(
            f"The folder {folder} holds tables of several kinds: {sorted(path.name for path in tables)[:6]}; the files "
            "of a folder are of one kind. Move the others."
        )
    return list(tables)


def read_file(path: Path, expected: Expected) -> RawTable:
    """The table of a file, as found.

    Raises:
        InvalidInput: the file holds no table, or it is not written as expected and reads two ways.
    """
    kind = require_kind(path)
    try:
        found = _READERS[kind](path, expected)
    except InvalidInput as bad:
        raise InvalidInput(f"{path}: {str(bad).rstrip('.')}. Nothing was ingested.") from bad
    except DAMAGE as bad:
        title = "json lines" if kind == "lines" else kind
        raise InvalidInput(f"{path} is not a {title} table: {bad}. Nothing was ingested.") from bad
    refuse_repeats(found.frame.columns, str(path))
    return found


def _read_text(path: Path, expected: Expected) -> RawTable:
    chosen = choose_format(read_head(path, HEAD_BYTES), expected.format, expected.numbers)
    is_packed = path.suffix.lower() in PACKED
    found = csv_reader.read_table(read_content(path) if is_packed else path, chosen.format)
    return replace(
        found, format=chosen.format, assumed=chosen.assumed, notes=chosen.notes, ends_cut=not ends_in_line(path)
    )


def _read_parquet(path: Path, expected: Expected) -> RawTable:
    from pyarrow import parquet

    # The metadata of pandas is dropped, because it would make an index of the time column.
    frame = parquet.ParquetFile(path).read().replace_schema_metadata(None).to_pandas()
    return RawTable(frame, format=expected.format)


def _read_spreadsheet(path: Path, expected: Expected) -> RawTable:
    frame, said = read_sheet(read_content(path), expected.format.sheet)
    return RawTable(frame, format=expected.format, assumed=(said,) if said else ())


def _read_lines(path: Path, expected: Expected) -> RawTable:
    content, broken = read_content(path), dict[int, str]()
    names = json_lines.read_names(io.BytesIO(content))
    pieces = list(json_lines.read_pieces(io.BytesIO(content), names, broken))
    frame = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=names, dtype=object)
    return RawTable(frame, broken, format=expected.format, ends_cut=not ends_in_line(path))


_READERS = {"csv": _read_text, "parquet": _read_parquet, "spreadsheet": _read_spreadsheet, "lines": _read_lines}


# --- folders ------------------------------------------------------------------------------------------------------


def read_folder(folder: Path, expected: Expected) -> RawTable:
    """The tables of a folder, one below the other, in the order of their names.

    Raises:
        InvalidInput: the files differ in kind, in columns or in how they are written.
    """
    parts: dict[str, RawTable] = {}
    for path in list_files(folder):
        known = next(iter(parts.values()), None)
        parts[path.name] = part = read_file(path, expected if known is None else replace(expected, format=known.format))
        if known is not None:
            _require_alike(path, part, known)
    return _join(parts)


def _require_alike(path: Path, part: RawTable, first: RawTable) -> None:
    if set(part.frame.columns) != set(first.frame.columns):
        raise InvalidInput(
            f"{path} has the columns {list(part.frame.columns)}; the first file of its folder has "
            f"{list(first.frame.columns)}. The files of a folder have the same columns; correct or move it."
        )
    if part.notes:
        raise InvalidInput(
            f"{path} is written unlike the first file of its folder: {'; '.join(part.notes)}. Convert or move it."
        )


def _join(parts: dict[str, RawTable]) -> RawTable:
    first = next(iter(parts.values()))
    broken: dict[int, str] = {}
    n_before = 0
    for name, part in parts.items():
        broken |= {n_before + number: f"row {number} of {name}: {why}" for number, why in part.broken.items()}
        n_before += len(part.frame) + len(part.broken)
    frame = pd.concat([part.frame[list(first.frame.columns)] for part in parts.values()], ignore_index=True)
    return replace(
        first,
        frame=frame,
        broken=broken,
        ends_cut=any(part.ends_cut for part in parts.values()),
        origins=tuple(name for name, part in parts.items() for _ in range(len(part.frame))),
    )
