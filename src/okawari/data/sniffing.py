"""Finding out how a text table is written, from its first bytes.

Pure: bytes in, a format and what was assumed out. What the bytes leave open is refused with the setting to give, never
guessed. `okawari.data.tables` reads the bytes of a file.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from okawari.data.file_format import NOTHING_STATED, PLAIN, SEPARATORS, FileFormat, Stated
from okawari.data.notation_sniffing import describe_numbers, find_notation, is_number
from okawari.data.text_encoding import find_encoding
from okawari.errors import InvalidInput

HEAD_BYTES = 1 << 20
"""Bytes of a file that are looked at."""
_N_LINES = 500


@dataclass(frozen=True)
class Sniffed:
    """The format of a table, and what was assumed: one sentence for each setting that is not the default."""

    format: FileFormat
    assumed: tuple[str, ...] = ()


def sniff_format(head: bytes, stated: Stated = NOTHING_STATED, columns: Sequence[str] = ()) -> Sniffed:
    """The format of a text table.

    Args:
        head: the first bytes of the file, with its header; its last line may be cut.
        stated: settings that need no finding.
        columns: the columns whose numbers decide how numbers are written; all of them, if empty.

    Example:
        >>> sniff_format("Tag;Menge\\n2024-01-02;96,26\\n2024-01-03;1.018,31\\n".encode()).format.describe()
        'fields separated by semicolons, a decimal comma, thousands separated by points, utf-8'

    Raises:
        InvalidInput: the encoding, the separator or the numbers read two ways; the message names the setting.
    """
    encoding, said = find_encoding(head) if not stated.encoding else (stated.encoding, "")
    text = decode(head, encoding)
    separator = stated.separator or _find_separator(text)
    table = read_rows(text, separator)
    chosen = [name for name in table.columns if not columns or name in columns]
    decimal, thousands = find_notation(table[chosen], separator, stated.decimal)
    found = FileFormat(separator=separator, decimal=decimal, thousands=thousands, encoding=encoding)
    return Sniffed(found, _tell(found, said, table[chosen]))


def _tell(found: FileFormat, said_of_encoding: str, table: pd.DataFrame) -> tuple[str, ...]:
    said = [said_of_encoding] if said_of_encoding else []
    if found.separator != PLAIN.separator:
        said.append(f"Fields are separated by {SEPARATORS[found.separator]}.")
    if not found.has_plain_numbers:
        said.append(describe_numbers(found, table))
    return tuple(said)


def decode(head: bytes, encoding: str) -> str:
    """The first bytes as text; what is no text in this encoding becomes U+FFFD."""
    content = head.removeprefix(codecs.BOM_UTF8)
    return codecs.getincrementaldecoder(encoding)("replace").decode(content)


# --- separator ----------------------------------------------------------------------------------------------------


def _find_separator(text: str) -> str:
    """The separator that gives all lines the header's number of fields; a comma, if none does.

    Raises:
        InvalidInput: two do, and neither gives more numbers and times.
    """
    tables = {mark: split_lines(text, mark) for mark in SEPARATORS}
    fits = {mark: _measure_fit(lines) for mark, lines in tables.items() if lines and len(lines[0]) > 1}
    good = [mark for mark, fit in fits.items() if fit >= 0.9] or [mark for mark, fit in fits.items() if fit >= 0.5]
    if len(good) < 2:
        return good[0] if good else max(fits, key=lambda mark: fits[mark], default=",")
    clear = {mark: _measure_clarity(tables[mark]) for mark in good}
    best, second = sorted(good, key=lambda mark: -clear[mark])[:2]
    if clear[best] - clear[second] > 0.05:
        return best
    raise InvalidInput(
        f"its fields are separated by {SEPARATORS[best]} or by {SEPARATORS[second]}, and nothing decides it; state it "
        f'with --separator "{best}" or FileFormat(separator={best!r})'
    )


def fits_separator(text: str, separator: str) -> bool:
    """Whether most lines have the header's number of fields, and that is more than one; or no separator gives more."""
    lines = split_lines(text, separator)
    if not lines or len(lines[0]) < 2:
        others = (split_lines(text, mark) for mark in SEPARATORS)
        return all(not rows or len(rows[0]) < 2 for rows in others)
    return _measure_fit(lines) >= 0.5


def split_lines(text: str, separator: str) -> list[list[str]]:
    """The fields of the first lines, blank ones left out; the last line, which may be cut, counts if it is the only
    one after the header.
    """
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(field for field in row) or len(row) > 1:
                rows.append(row)
            if len(rows) > _N_LINES:
                break
    except csv.Error:
        pass
    is_cut = len(rows) > 2 and len(rows) <= _N_LINES and not text.endswith(("\n", "\r"))
    return rows[:-1] if is_cut and len(rows[-1]) != len(rows[0]) else rows


def _measure_fit(lines: Sequence[Sequence[str]]) -> float:
    """Share of the lines that have as many fields as the header; with a header alone, 1."""
    counts = Counter(map(len, lines[1:]))
    return counts[len(lines[0])] / max(1, counts.total()) if counts else 1.0


def _measure_clarity(lines: Sequence[Sequence[str]]) -> float:
    """Share of the fields that are a number, a time or a word without any separator."""
    fields = [field.strip() for row in lines[:100] for field in row]
    clear = [not any(mark in field for mark in SEPARATORS) or is_number(field) for field in fields]
    return sum(clear) / max(1, len(fields))


def read_rows(text: str, separator: str) -> pd.DataFrame:
    """The first rows as texts; lines with other numbers of fields and repeated names are left out."""
    lines = split_lines(text, separator)
    if not lines:
        return pd.DataFrame()
    width = len(lines[0])
    rows = [row for row in lines[1:] if len(row) == width]
    return pd.DataFrame(rows, columns=lines[0], dtype=object).loc[:, lambda frame: ~frame.columns.duplicated()]
