"""A table file in chunks: never more than so many rows in memory, however long the file is.

Rows are numbered as a person counts them: 1 is the first row below the header; blank lines are not counted. A chunk
depends only on the file and on where it begins, so that a reader who comes back later gets the same chunks.
This is the only reader of CSV. Fields are read as text; a line with too many or too few fields is *broken*: it is
handed on by its number with the reason and shifts nothing.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from okawari.data.tabular import RawTable
from okawari.errors import InvalidInput

ENDINGS = (".csv", ".parquet")
LOOK_AHEAD = 64
"""Rows after a chunk that its reader may look at, to tell which of two rows that contradict each other is wrong."""
_BLOCK_BYTES = 1 << 20
_WHOLE = 1 << 62
_MOST_BROKEN = 100_000
"""Broken lines in a row that are still held in memory; more say that the header is wrong, not the lines."""
_MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Words of an empty field, for every reader of CSV: those that pandas knows by default."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file, indexed by their number, and the reasons of the broken lines among them.

    `following` are the first rows of the next chunk, to look at only.
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
        InvalidInput: neither .csv nor .parquet.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InvalidInput(f"{path} ends in {path.suffix!r}; Okawari reads and writes .csv and .parquet. Rename it.")
    return ending


def read_names(path: Path) -> list[str]:
    """Names of the columns of a table's file.

    Raises:
        InvalidInput: no such file, an unknown ending, no table inside, or a column named twice.
    """
    ending = require_ending(path)
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}; give the path of a .csv or .parquet file.")
    with _reading(path, "its header"):
        names: list[str] = _open_parquet(path).schema_arrow.names if ending == ".parquet" else _read_header(path)
    _require_once(path, names)
    return names


def _require_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
            decoder.decode(block)
        decoder.decode(b"", final=True)


def _require_once(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{path} names the columns {twice} more than once; give each column its own name.")


def count_rows(path: Path) -> int:
    """Rows of a table's file; for CSV its lines below the header, which is more where some are blank."""
    if require_ending(path) == ".parquet":
        return int(_open_parquet(path).metadata.num_rows)
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK_BYTES), b"")) - 1)


def read_whole(path: Path) -> RawTable:
    """All rows and columns of a CSV file as text, and the lines that are no rows.

    Unlike in chunks, a field may hold line breaks, and bytes that are no UTF-8 refuse the file: words must not change.

    Raises:
        InvalidInput: a column is named twice.
        UnicodeDecodeError: the file is not UTF-8.
        pyarrow.ArrowException: the file is damaged.
    """
    _require_utf8(path)
    names, broken = _read_header(path), dict[int, str]()
    _require_once(path, names)
    pieces = list(_read_csv(path, names, _WHOLE, 0, broken, decode=_decode_strictly))
    frame = pd.concat(pieces) if pieces else pd.DataFrame(columns=names, dtype=object)
    return RawTable(frame, broken)


def read_chunks(
    path: Path, columns: Sequence[str], *, size: int, after: int = 0, told: Mapping[str, str] | None = None
) -> Iterator[Chunk]:
    """The rows after number `after`, in chunks of at most `size` rows; values as found.

    `told` says what the file calls a column, where that is not its name.

    Raises:
        InvalidInput: the file breaks off or is damaged; the message says after which row.
    """
    broken: dict[int, str] = {}
    readers: dict[str, Callable[..., Iterator[pd.DataFrame]]] = {".csv": _read_csv, ".parquet": _read_parquet}
    names = [(told or {}).get(name, name) for name in columns]
    pieces = readers[require_ending(path)](path, names, size, after, broken)
    waiting, last = pd.DataFrame(columns=list(columns), index=pd.RangeIndex(0)), after
    while True:
        with _reading(path, f"what follows row {last}"):
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
    """The first rows as a chunk, which takes the broken lines before its last row with it."""
    rows = waiting.iloc[:size]
    taken = [number for number in broken if number <= rows.index[-1]]
    found = {number: broken.pop(number) for number in taken}
    return Chunk(rows, found, waiting.iloc[size : size + LOOK_AHEAD])


# --- Parquet ------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path) -> Any:
    from pyarrow import parquet

    # Without a buffer size the reader would fetch a whole row group, which may be the whole file.
    return parquet.ParquetFile(path, buffer_size=_BLOCK_BYTES, pre_buffer=False)


def _read_parquet(
    path: Path, columns: list[str], size: int, after: int, broken: dict[int, str]
) -> Iterator[pd.DataFrame]:
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
            # What pandas wrote beside the columns is left aside: it would make an index of the time column.
            frame = pa.Table.from_batches([batch.slice(skipped)]).replace_schema_metadata(None).to_pandas()
            yield frame[columns].set_axis(pd.RangeIndex(number - len(frame) + 1, number + 1))


# --- CSV ----------------------------------------------------------------------------------------------------------


def _read_header(path: Path) -> list[str]:
    from pyarrow import csv

    with csv.open_csv(path, parse_options=csv.ParseOptions(invalid_row_handler=lambda _: "skip")) as reader:
        names: list[str] = reader.schema.names
    return names


def _read_csv(
    path: Path,
    columns: list[str],
    size: int,
    after: int,
    broken: dict[int, str],
    *,
    decode: Callable[[Any], np.ndarray[Any, Any]] | None = None,
) -> Iterator[pd.DataFrame]:
    last = 0
    with _open_csv(path, columns, broken) as reader:
        for batch in reader:
            if not batch.num_rows:
                continue
            numbers = _number(last, batch.num_rows, broken)
            last, skipped = int(numbers[-1]), int(np.searchsorted(numbers, after, side="right"))
            _forget(broken, min(after, last))
            if skipped < len(numbers):
                texts = {name: (decode or _decode)(batch.column(name).slice(skipped)) for name in columns}
                yield pd.DataFrame(texts, index=numbers[skipped:], dtype=object)
    _forget(broken, after)


def _forget(broken: dict[int, str], until: int) -> None:
    for number in [number for number in broken if number <= until]:
        del broken[number]


def _open_csv(path: Path, columns: list[str], broken: dict[int, str]) -> Any:
    """Open a text reader that reports broken lines. One thread, because only then are line numbers known."""
    from pyarrow import csv

    def note(row: Any) -> str:
        reason = f"the line has {row.actual_columns} fields, the header {row.expected_columns}: {row.text[:80]!r}"
        broken[row.number - 1] = reason  # the reader counts the header, too
        return "skip" if len(broken) < _MOST_BROKEN and "\n" not in row.text else "error"

    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(invalid_row_handler=note, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.binary()),
            null_values=list(_MISSING),
            strings_can_be_null=True,
        ),
    )


def _number(last: int, count: int, broken: Mapping[int, str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Numbers of the next `count` rows after `last`, leaving out those of broken lines."""
    ahead = [number for number in broken if number > last]
    return np.setdiff1d(np.arange(last + 1, last + 1 + count + len(ahead)), ahead)[:count]


def _decode(column: Any) -> np.ndarray[Any, Any]:
    """Text as objects; bytes that are no UTF-8 become marks, which no check takes for a number or a time."""
    if compute.any(compute.match_substring(column, "\n")).as_py():
        raise pa.ArrowInvalid("a time or number holds a line break")  # an open quote has swallowed good lines
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([None if value is None else value.decode("utf-8", "replace") for value in column.to_pylist()])
    found: np.ndarray[Any, Any] = text.to_pandas().to_numpy()
    return found


def _decode_strictly(column: Any) -> np.ndarray[Any, Any]:
    """Text as objects; bytes that are no UTF-8 are an error."""
    found: np.ndarray[Any, Any] = column.cast(pa.string()).to_pandas().to_numpy()
    return found


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as damage:
        kind = path.suffix.lower().lstrip(".")
        raise InvalidInput(
            f"{path} cannot be read as a {kind} table, {what} in particular: {damage}. Mend the file (in CSV, look for "
            "an open quote or a wrong header) and begin again."
        ) from damage
