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

from okawari.data import csv_reader
from okawari.data.csv_reader import CsvError
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


def read_names(path: Path) -> list[str]:
    """Names of the columns of a table's file.

    Raises:
        InvalidInput: the file does not exist, has an unknown ending or holds no table, or a column name repeats.
    """
    ending = require_ending(path)
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}; give the path of a .csv or .parquet file.")
    with _reading(path, "in its header"):
        names: list[str] = csv_reader.read_header(path) if ending == ".csv" else _open_parquet(path).schema_arrow.names
    refuse_repeats(names, str(path))
    return names


def count_rows(path: Path) -> int:
    """Number of rows of a table's file; for CSV, the number of lines below the header, blank ones included."""
    if require_ending(path) == ".parquet":
        return int(_open_parquet(path).metadata.num_rows)
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b"")) - 1)


def read_chunks(
    path: Path, columns: Sequence[str], *, size: int, after: int = 0, source_names: Mapping[str, str] | None = None
) -> Iterator[Chunk]:
    """The rows after number `after`, in chunks of at most `size` rows; values as found.

    `source_names` maps a column to its name in the file, where the two differ.

    Raises:
        InvalidInput: the file is truncated or damaged; the message has the number of the last good row.
    """
    broken: dict[int, str] = {}
    names = [(source_names or {}).get(name, name) for name in columns]
    is_csv = require_ending(path) == ".csv"
    pieces = csv_reader.read_pieces(path, names, after, broken) if is_csv else _read_parquet(path, names, size, after)
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
    except (pa.ArrowException, CsvError, UnicodeDecodeError, OSError) as damage:
        kind = path.suffix.lower().lstrip(".")
        raise InvalidInput(
            f"{path} cannot be read as a {kind} table {where}: {damage}. Repair the file (in CSV, look for an open "
            "quote or a wrong header) and start again."
        ) from damage
