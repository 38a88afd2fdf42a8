"""The only reader of separated text: fields as text, and the broken lines.

A line with too many or too few fields is *broken*: it is returned by its number with the reason, and later rows keep
their numbers. Rows are numbered from 1, the first row below the header; blank lines are not counted. A file that cannot
be read at all raises `CsvError` with the reason; the caller adds the name of the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from okawari.data.file_format import PLAIN, SEPARATORS, FileFormat
from okawari.data.tabular import RawTable, find_repeats
from okawari.data.text_stream import Content, CsvError, decode_strictly, open_utf8, read_blocks, require_text

BLOCK_BYTES = 1 << 20
_MOST_LINES = 4
"""A broken row that spans more lines has two stray quotes, and good rows between them; the file is not read then."""
_MOST_BROKEN = 100_000
"""Most broken lines held in memory; more of them mean that the header is wrong, not the lines."""


def read_header(source: Content, format: FileFormat = PLAIN) -> list[str]:
    """Names of the columns.

    Raises:
        CsvError: no header, another encoding or delimiter, an open quote, or a repeated name.
        pyarrow.ArrowException: the first lines are damaged.
    """
    from pyarrow import csv

    _require_encoding(next(read_blocks(source, BLOCK_BYTES), b""), format.encoding)
    parsing = csv.ParseOptions(
        delimiter=format.separator, invalid_row_handler=lambda _: "skip", newlines_in_values=True
    )
    with open_utf8(source, format) as stream:
        head = bytes(stream.read(BLOCK_BYTES))
    try:
        with open_utf8(source, format) as stream, csv.open_csv(stream, parse_options=parsing) as reader:
            names: list[str] = reader.schema.names
    except pa.ArrowInvalid as bad:
        raise _explain_header(head) or bad from None
    _require_names(names, format.separator)
    return names


def read_table(source: Content, format: FileFormat = PLAIN) -> RawTable:
    """All rows and columns, and the broken lines.

    Unlike in `read_pieces`, a field may hold line breaks; bytes that are no text raise, so that no text changes.

    Raises:
        CsvError: as `read_header`; or some bytes are not UTF-8, or all lines are broken.
        pyarrow.ArrowException: the content is damaged.
    """
    names, lines = read_header(source, format), _BrokenLines(separator=format.separator)
    require_text(source, format.encoding, BLOCK_BYTES)
    pieces = list(_read_rows(_Request(source, names, format), lines, whole=True))
    if lines.reasons and not pieces:
        raise CsvError(lines.explain())
    frame = pd.concat(pieces) if pieces else pd.DataFrame(columns=names, dtype=object)
    _require_closed(source, frame)
    return RawTable(frame, lines.reasons)


def read_pieces(
    path: Path, columns: Sequence[str], after: int, broken: dict[int, str], format: FileFormat = PLAIN
) -> Iterator[pd.DataFrame]:
    """The rows after number `after`, indexed by their number, in pieces; adds the broken lines to `broken`.

    Bytes that are no text become U+FFFD, which the checks accept neither in a number nor in a time.

    Raises:
        CsvError: an open quote, or too many broken lines.
        pyarrow.ArrowException: the file is damaged.
    """
    request = _Request(path, columns, format, after)
    return _read_rows(request, _BrokenLines(broken, format.separator), whole=False)


@dataclass(frozen=True)
class _Request:
    """What is read: the `columns` of the rows after number `after`."""

    source: Content
    columns: Sequence[str]
    format: FileFormat
    after: int = 0


@dataclass
class _BrokenLines:
    """The reasons of broken lines by number; `shapes` are pairs of their number of fields and the header's."""

    reasons: dict[int, str] = field(default_factory=dict)
    separator: str = ","
    shapes: set[tuple[int, int]] = field(default_factory=set)
    first: str = ""
    all_end_in_comma: bool = True
    stop: CsvError | None = None
    """The error that ends reading, if there is one."""

    def add(self, row: Any) -> str:
        """Record a line that PyArrow cannot read; returns "skip" or "error". Must not raise: PyArrow would continue."""
        shape, text = (row.actual_columns, row.expected_columns), row.text[:80]
        number = row.number - 1  # the reader counts the header, too
        self.reasons[number] = f"the line has {shape[0]} fields, the header {shape[1]}: {text!r}"
        self.shapes.add(shape)
        self.first = self.first or text
        self.all_end_in_comma &= row.text.endswith(self.separator)
        n_lines = row.text.count("\n") + 1
        if n_lines > 1:
            self.reasons[number] += f"; it spans {n_lines} lines, so look for an open quote"
        if row.text.count('"') % 2:
            self.stop = CsvError(f"row {number} opens a quote and does not close it: {text!r}; close the open quote")
        elif n_lines > _MOST_LINES:
            self.stop = CsvError(f"row {number} spans {n_lines} lines: {text!r}; look for an open quote and close it")
        elif len(self.reasons) >= _MOST_BROKEN:
            self.stop = CsvError(f"{self.explain()}; so many broken lines mean a wrong header; correct the header")
        return "skip" if self.stop is None else "error"

    def explain(self) -> str:
        """The message if all lines are broken."""
        n = len(self.reasons)
        if len(self.shapes) > 1:
            return f"none of its {n} lines has as many fields as the header; the first one is {self.first!r}"
        [(n_fields, n_names)] = self.shapes
        repair = "name each field in the header, and nothing else"
        if self.all_end_in_comma:
            mark = "comma" if self.separator == "," else repr(self.separator)
            repair = f"remove the {mark} at the end of each line, or name that field in the header, too"
        return (
            f"each of its {n} lines has {n_fields} fields, the header names {n_names}; the first line is "
            f"{self.first!r}. Correct it: {repair}"
        )


def _read_rows(request: _Request, lines: _BrokenLines, *, whole: bool) -> Iterator[pd.DataFrame]:
    last, broken, after = 0, lines.reasons, request.after
    try:
        with open_utf8(request.source, request.format) as stream, _open_rows(stream, request, lines) as reader:
            for batch in reader:
                if not batch.num_rows:
                    continue
                numbers = _number(last, batch.num_rows, broken)
                last, skipped = int(numbers[-1]), int(np.searchsorted(numbers, after, side="right"))
                _forget(broken, min(after, last))
                if skipped < len(numbers):
                    texts = {name: _to_text(batch.column(name).slice(skipped), whole=whole) for name in request.columns}
                    yield pd.DataFrame(texts, index=numbers[skipped:], dtype=object)
    except pa.ArrowInvalid as bad:
        raise lines.stop or _explain_length(bad, last) or bad from None
    _forget(broken, after)


def _open_rows(stream: Any, request: _Request, lines: _BrokenLines) -> Any:
    """Open a text reader that reports broken lines. It uses one thread, because line numbers are known only then."""
    from pyarrow import csv

    return csv.open_csv(
        stream,
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(
            delimiter=request.format.separator, invalid_row_handler=lines.add, newlines_in_values=True
        ),
        convert_options=csv.ConvertOptions(
            include_columns=list(request.columns),
            column_types=dict.fromkeys(request.columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _forget(broken: dict[int, str], until: int) -> None:
    for number in [number for number in broken if number <= until]:
        del broken[number]


def _number(last: int, count: int, broken: Mapping[int, str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Numbers of the next `count` rows after `last`, leaving out those of broken lines."""
    ahead = [number for number in broken if number > last]
    return np.setdiff1d(np.arange(last + 1, last + 1 + count + len(ahead)), ahead)[:count]


def _to_text(column: Any, *, whole: bool) -> np.ndarray[Any, Any]:
    """Text as objects. In pieces, a field with a line break raises, because an open quote has joined good lines."""
    if not whole and compute.any(compute.match_substring(column, "\n")).as_py():
        raise CsvError("a time or number holds a line break; look for an open quote and close it")
    found: np.ndarray[Any, Any] = column.to_pandas().to_numpy()
    return found


# --- faults of a file ---------------------------------------------------------------------------------------------


def _require_encoding(head: bytes, encoding: str) -> None:
    first = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
    if "16" not in encoding and (head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in first):
        raise CsvError("it is text in UTF-16 or no text at all; save it as UTF-8")
    decode_strictly(first, codecs.getincrementaldecoder(encoding)(), encoding, 1)


def _require_names(names: Sequence[str], separator: str) -> None:
    nameless = [place for place, name in enumerate(names, 1) if not name]
    if len(nameless) > 1:
        raise CsvError(
            f"its header leaves the columns {nameless} of {len(names)} without a name; name them, or remove the "
            f"{SEPARATORS[separator]} at the end of every line"
        )
    if twice := find_repeats(names):
        raise CsvError(f"it names the columns {twice} more than once; give each column its own name")
    if len(names) == 1:
        for mark, words in SEPARATORS.items():
            if mark in names[0]:
                raise CsvError(
                    f"its header {names[0][:80]!r} is separated by {words}; separate fields by "
                    f"{SEPARATORS[separator]}, or state FileFormat(separator={mark!r})"
                )


def _explain_header(head: bytes) -> CsvError | None:
    if not head.strip():
        return CsvError("it is empty; give it a header and at least one row")
    if head.count(b'"') % 2:
        where = "header" if head.partition(b"\n")[0].count(b'"') % 2 else "first lines"
        return CsvError(f"a quote in its {where} is never closed; close it")
    if len(head.strip().splitlines()) == 1:
        return CsvError("it holds a header and no rows; add at least one row")
    return None


def _explain_length(bad: pa.ArrowInvalid, last: int) -> CsvError | None:
    if "straddl" not in str(bad):
        return None
    return CsvError(f"a line after row {last} is longer than {BLOCK_BYTES} bytes; look for an open quote and close it")


def _require_closed(source: Content, frame: pd.DataFrame) -> None:
    """Refuse a table whose last quote is open, because that field may hold any number of rows."""
    last = frame.iloc[-1, -1] if len(frame) else None
    if not isinstance(last, str) or "\n" not in last:
        return
    tail = b""
    for block in read_blocks(source, BLOCK_BYTES):
        tail = block
    if not tail.rstrip(b"\r\n\0 \t").endswith(b'"'):
        row = frame.index[-1]
        raise CsvError(f"row {row} opens a quote and does not close it: {last[:80]!r}; close the open quote")
