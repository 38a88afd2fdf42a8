"""Read a table file in chunks, with a bounded number of rows in memory.

Rows are numbered from 1, the first row below the header; blank lines are not counted. A chunk depends only on the file
and on its first row, so a run that continues later gets the same chunks. `okawari.data.csv_reader` reads CSV and
defines broken lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from okawari.data import csv_reader, json_lines
from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.format_choice import ChosenFile, choose_format
from okawari.data.sniffing import HEAD_BYTES
from okawari.data.spreadsheets import read_sheet
from okawari.data.table_bytes import find_kind, open_content, read_content, read_head
from okawari.data.table_files import DAMAGE, list_files, require_kind
from okawari.data.tabular import refuse_repeats
from okawari.errors import InvalidInput

ENDINGS = (".csv", ".parquet")
LOOK_AHEAD = 64
"""Rows after a chunk that the caller may inspect, to decide which of two contradicting rows is wrong."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file, indexed by their number, and the reasons of the broken lines among them.

    `following` are the first rows of the next chunk, for inspection only.
    """

    rows: pd.DataFrame
    broken: Mapping[int, str]
    following: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def last(self) -> int:
        """Number of the last row or broken line."""
        return int(max([*self.rows.index[-1:], *self.broken]))

    def __len__(self) -> int:
        return len(self.rows) + len(self.broken)


def require_ending(path: Path) -> str:
    """The ending of a table's file, in lower case.

    Raises:
        InvalidInput: the ending is neither .csv nor .parquet.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InvalidInput(f"{path} ends in {path.suffix!r}; Okawari reads and writes .csv and .parquet. Rename it.")
    return ending


def find_format(path: Path, recorded: FileFormat = PLAIN, numbers: Sequence[str] = ()) -> ChosenFile:
    """The format by which a file is read, or the first file of a folder; see `okawari.data.format_choice`.

    Raises:
        InvalidInput: there is no such file, or it is not written as recorded and reads two ways.
    """
    first = _list_parts(path)[0]
    if find_kind(first) != "csv":
        return ChosenFile(recorded)
    with _reading(first, "in its header"):
        head = read_head(first, HEAD_BYTES)
        try:
            return choose_format(head, recorded, numbers)
        except InvalidInput as bad:
            raise InvalidInput(f"{first}: {str(bad).rstrip('.')}.") from bad


def _list_parts(path: Path) -> list[Path]:
    """The file itself, or the tables of a folder in the order of their names."""
    if path.is_dir():
        return list_files(path)
    require_kind(path)
    return [path]


def read_names(path: Path, format: FileFormat = PLAIN) -> list[str]:
    """Names of the columns of a table's file.

    Raises:
        InvalidInput: the file does not exist, has an unknown ending or holds no table, or a column name repeats.
    """
    first = _list_parts(path)[0]
    with _reading(first, "in its header"):
        names = _read_names(first, format)
    refuse_repeats(names, str(path))
    return names


def _read_names(path: Path, format: FileFormat) -> list[str]:
    kind = require_kind(path)
    if kind == "csv":
        return csv_reader.read_header(path, format)
    if kind == "parquet":
        names: list[str] = _open_parquet(path).schema_arrow.names
        return names
    if kind == "spreadsheet":
        return [str(name) for name in read_sheet(read_content(path), format.sheet)[0].columns]
    with open_content(path) as stream:
        return json_lines.read_names(stream)


def count_rows(path: Path) -> int:
    """Number of rows of a table's file; for text, the number of lines below the header, blank ones included."""
    return sum(map(_count_rows, _list_parts(path)))


def _count_rows(path: Path) -> int:
    kind = require_kind(path)
    if kind == "parquet":
        return int(_open_parquet(path).metadata.num_rows)
    if kind == "spreadsheet":
        return len(read_sheet(read_content(path))[0])
    with open_content(path) as file:
        n_lines = sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b""))
    return n_lines if kind == "lines" else max(0, n_lines - 1)


def read_chunks(
    path: Path,
    columns: Sequence[str],
    *,
    size: int,
    after: int = 0,
    source_names: Mapping[str, str] | None = None,
    format: FileFormat = PLAIN,
) -> Iterator[Chunk]:
    """The rows after number `after`, in chunks of at most `size` rows; values as found.

    `source_names` maps a column to its name in the file, where the two differ; `format` is how the file is written.

    Raises:
        InvalidInput: the file is truncated or damaged; the message has the number of the last good row.
    """
    broken: dict[int, str] = {}
    names = [(source_names or {}).get(name, name) for name in columns]
    request = _Request(names, size, format)
    pieces = _read_parts(_list_parts(path), request, after, broken)
    waiting, last = pd.DataFrame(columns=list(columns), index=pd.RangeIndex(0)), after
    while True:
        with _reading(path, f"after row {last}"):
            piece = next(pieces, None)
        if piece is None:
            break
        piece, last = piece.set_axis(list(columns), axis="columns"), int(piece.index[-1])
        waiting = pd.concat([waiting, piece]) if len(waiting) else piece
        while len(waiting) >= size + LOOK_AHEAD:
            yield _cut(waiting, size, broken)
            waiting = waiting.iloc[size:]
    while len(waiting) > size:
        yield _cut(waiting, size, broken)
        waiting = waiting.iloc[size:]
    if len(waiting) or broken:
        yield Chunk(waiting, broken)


def _cut(waiting: pd.DataFrame, size: int, broken: dict[int, str]) -> Chunk:
    """The first rows as a chunk, with the broken lines before its last row."""
    rows = waiting.iloc[:size]
    taken = [number for number in broken if number <= rows.index[-1]]
    found = {number: broken.pop(number) for number in taken}
    return Chunk(rows, found, waiting.iloc[size : size + LOOK_AHEAD])


@dataclass(frozen=True)
class _Request:
    """The columns to read, by their names in the file, the rows of a piece, and how the file is written."""

    names: list[str]
    size: int
    format: FileFormat


def _read_parts(paths: Sequence[Path], request: _Request, after: int, broken: dict[int, str]) -> Iterator[pd.DataFrame]:
    """The pieces of one file, or of several, whose rows are numbered on from file to file."""
    if len(paths) == 1:
        yield from _read_pieces(paths[0], request, after, broken)
        return
    n_before = 0
    for path in paths:
        last, found = 0, dict[int, str]()
        for piece in _read_pieces(path, request, 0, found):
            last = int(piece.index[-1])
            moved = piece.set_axis(piece.index + n_before)
            if (kept := moved[moved.index > after]).size:
                broken |= {n_before + number: f"{why} ({path.name})" for number, why in found.items()}
                yield kept
        broken |= {n_before + number: f"{why} ({path.name})" for number, why in found.items()}
        for number in [number for number in broken if number <= after]:
            del broken[number]
        n_before += max([last, *found])


def _read_pieces(path: Path, request: _Request, after: int, broken: dict[int, str]) -> Iterator[pd.DataFrame]:
    kind = require_kind(path)
    if kind == "csv":
        yield from csv_reader.read_pieces(path, request.names, after, broken, request.format)
    elif kind == "parquet":
        yield from _read_parquet(path, request.names, request.size, after)
    elif kind == "spreadsheet":
        frame = read_sheet(read_content(path), request.format.sheet)[0]
        numbered = frame[request.names].set_axis(pd.RangeIndex(1, len(frame) + 1))
        if (kept := numbered[numbered.index > after]).size:
            yield kept
    else:
        yield from _read_lines(path, request.names, after, broken)


def _read_lines(path: Path, names: list[str], after: int, broken: dict[int, str]) -> Iterator[pd.DataFrame]:
    with open_content(path) as stream:
        for piece in json_lines.read_pieces(stream, names, broken):
            for number in [number for number in broken if number <= after]:
                del broken[number]
            if (kept := piece[piece.index > after]).size:
                yield kept


# --- Parquet ------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> Any:
    from pyarrow import parquet

    # Without a buffer size the reader loads a whole row group, which may be the whole file.
    return parquet.ParquetFile(path, buffer_size=_BLOCK_BYTES, pre_buffer=False)


def _read_parquet(path: Path, columns: list[str], size: int, after: int) -> Iterator[pd.DataFrame]:
    file = _open_parquet(path)
    lengths = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    ends = np.cumsum(lengths)
    first = int(np.searchsorted(ends, after, side="right"))
    number = int(ends[first - 1]) if first else 0
    groups = list(range(first, len(lengths)))
    for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=columns, use_threads=False):
        skipped = min(max(0, after - number), batch.num_rows)
        number += batch.num_rows
        if skipped < batch.num_rows:
            # The metadata of pandas is dropped, because it would make an index of the time column.
            frame = pa.Table.from_batches([batch.slice(skipped)]).replace_schema_metadata(None).to_pandas()
            yield frame[columns].set_axis(pd.RangeIndex(number - len(frame) + 1, number + 1))


@contextmanager
def _reading(path: Path, where: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as damage:
        kind = path.suffix.lower().lstrip(".")
        raise InvalidInput(
            f"{path} cannot be read as a {kind} table {where}: {damage}. Repair the file (in CSV, look for an open "
            "quote or a wrong header) and start again."
        ) from damage
