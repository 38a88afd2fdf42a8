"""The only CSV reader: comma-separated fields as text, and the broken lines.

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

from okawari.data.tabular import RawTable, find_repeats

BLOCK_BYTES = 1 << 20
_MOST_LINES = 4
"""A broken row that spans more lines has two stray quotes, and good rows between them; the file is not read then."""
_MOST_BROKEN = 100_000
"""Most broken lines held in memory; more of them mean that the header is wrong, not the lines."""
_MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Texts that mean an empty field in every CSV: the default list of pandas."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class CsvError(ValueError):
    """Bytes that are not CSV; the message has the reason and the remedy, and the caller adds the source."""


def read_header(source: Path | bytes) -> list[str]:
    """Names of the columns.

    Raises:
        CsvError: no header, another encoding or delimiter, an open quote, or a repeated name.
        pyarrow.ArrowException: the first lines are damaged.
    """
    from pyarrow import csv

    head = _read_head(source)
    _require_encoding(head)
    parsing = csv.ParseOptions(invalid_row_handler=lambda _: "skip", newlines_in_values=True)
    try:
        with csv.open_csv(_open(source), parse_options=parsing) as reader:
            names: list[str] = reader.schema.names
    except pa.ArrowInvalid as bad:
        raise _explain_header(head) or bad from None
    _require_names(names)
    return names


def read_table(source: Path | bytes) -> RawTable:
    """All rows and columns, and the broken lines.

    Unlike in `read_pieces`, a field may hold line breaks; bytes that are not UTF-8 raise, so that no text changes.

    Raises:
        CsvError: as `read_header`; or some bytes are not UTF-8, or all lines are broken.
        pyarrow.ArrowException: the content is damaged.
    """
    names, lines = read_header(source), _BrokenLines()
    _require_utf8(source)
    pieces = list(_read_rows(source, names, 0, lines, whole=True))
    if lines.reasons and not pieces:
        raise CsvError(lines.explain())
    frame = pd.concat(pieces) if pieces else pd.DataFrame(columns=names, dtype=object)
    _require_closed(source, frame)
    return RawTable(frame, lines.reasons)


def read_pieces(path: Path, columns: Sequence[str], after: int, broken: dict[int, str]) -> Iterator[pd.DataFrame]:
    """The rows after number `after`, indexed by their number, in pieces; adds the broken lines to `broken`.

    Bytes that are not UTF-8 become U+FFFD, which the checks accept neither in a number nor in a time.

    Raises:
        CsvError: an open quote, or too many broken lines.
        pyarrow.ArrowException: the file is damaged.
    """
    return _read_rows(path, columns, after, _BrokenLines(broken), whole=False)


@dataclass
class _BrokenLines:
    """The reasons of broken lines by number; `shapes` are pairs of their number of fields and the header's."""

    reasons: dict[int, str] = field(default_factory=dict)
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
        self.all_end_in_comma &= row.text.endswith(",")
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
            repair = "remove the comma at the end of each line, or name that field in the header, too"
        return (
            f"each of its {n} lines has {n_fields} fields, the header names {n_names}; the first line is "
            f"{self.first!r}. Correct it: {repair}"
        )


def _read_rows(
    source: Path | bytes, columns: Sequence[str], after: int, lines: _BrokenLines, *, whole: bool
) -> Iterator[pd.DataFrame]:
    last, broken = 0, lines.reasons
    try:
        with _open_rows(source, columns, lines) as reader:
            for batch in reader:
                if not batch.num_rows:
                    continue
                numbers = _number(last, batch.num_rows, broken)
                last, skipped = int(numbers[-1]), int(np.searchsorted(numbers, after, side="right"))
                _forget(broken, min(after, last))
                if skipped < len(numbers):
                    texts = {name: _to_text(batch.column(name).slice(skipped), whole=whole) for name in columns}
                    yield pd.DataFrame(texts, index=numbers[skipped:], dtype=object)
    except pa.ArrowInvalid as bad:
        raise lines.stop or _explain_length(bad, last) or bad from None
    _forget(broken, after)


def _open_rows(source: Path | bytes, columns: Sequence[str], lines: _BrokenLines) -> Any:
    """Open a text reader that reports broken lines. It uses one thread, because line numbers are known only then."""
    from pyarrow import csv

    return csv.open_csv(
        _open(source),
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(invalid_row_handler=lines.add, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=list(_MISSING),
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


# --- bytes --------------------------------------------------------------------------------------------------------


class _Repair:
    """Replaces invalid UTF-8 in blocks of bytes by U+FFFD, because PyArrow would drop the reason of such a line."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, block: Any) -> bytes:
        content = bytes(block)
        return self._decoder.decode(content, final=not content).encode("utf-8")


def _open(source: Path | bytes) -> Any:
    return pa.TransformInputStream(_open_bytes(source), _Repair())


def _open_bytes(source: Path | bytes) -> Any:
    return pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source))


def _read_head(source: Path | bytes) -> bytes:
    with _open_bytes(source) as stream:
        return bytes(stream.read(BLOCK_BYTES)).removeprefix(codecs.BOM_UTF8)


def _require_encoding(head: bytes) -> None:
    first = head.partition(b"\n")[0]
    if head.startswith(_UTF_16) or b"\0" in first:
        raise CsvError("it is text in UTF-16 or no text at all; save it as UTF-8")
    _decode_strictly(first, codecs.getincrementaldecoder("utf-8")(), 1)


def _require_utf8(source: Path | bytes) -> None:
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with _open_bytes(source) as stream:
        while block := bytes(stream.read(BLOCK_BYTES)):
            _decode_strictly(block, decoder, line)
            line += block.count(b"\n")
    _decode_strictly(b"", decoder, line, final=True)


def _decode_strictly(block: bytes, decoder: codecs.IncrementalDecoder, line: int, *, final: bool = False) -> None:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as bad:
        line += bad.object.count(b"\n", 0, bad.start)
        raise CsvError(
            f"line {line} of the file holds the byte {bad.object[bad.start]:#04x}, which is not UTF-8; save it as UTF-8"
        ) from None


# --- faults of a file ---------------------------------------------------------------------------------------------


def _require_names(names: Sequence[str]) -> None:
    nameless = [place for place, name in enumerate(names, 1) if not name]
    if len(nameless) > 1:
        raise CsvError(
            f"its header leaves the columns {nameless} of {len(names)} without a name; name them, or remove the commas "
            "at the end of every line"
        )
    if twice := find_repeats(names):
        raise CsvError(f"it names the columns {twice} more than once; give each column its own name")
    if len(names) == 1:
        for mark, words in _DELIMITERS.items():
            if mark in names[0]:
                raise CsvError(f"its header {names[0][:80]!r} is separated by {words}; separate fields by commas")


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


def _require_closed(source: Path | bytes, frame: pd.DataFrame) -> None:
    """Refuse a table whose last quote is open, because that field may hold any number of rows."""
    last = frame.iloc[-1, -1] if len(frame) else None
    if not isinstance(last, str) or "\n" not in last:
        return
    with _open_bytes(source) as stream:
        stream.seek(max(0, stream.size() - BLOCK_BYTES))
        tail = bytes(stream.read()).rstrip()
    if not tail.endswith(b'"'):
        row = frame.index[-1]
        raise CsvError(f"row {row} opens a quote and does not close it: {last[:80]!r}; close the open quote")
