"""The format by which a file is read: the recorded one if it fits, else the one that is found, with a note."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace

from okawari.data.file_format import DECIMALS, PLAIN, SEPARATORS, THOUSANDS, FileFormat
from okawari.data.notation_sniffing import find_better_notation
from okawari.data.sniffing import decode, fits_separator, read_rows, sniff_format
from okawari.data.text_encoding import find_encoding


@dataclass(frozen=True)
class ChosenFile:
    """The format by which a file is read, what was assumed, and what differs from the recorded format (sentences)."""

    format: FileFormat
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose_format(head: bytes, recorded: FileFormat = PLAIN, numbers: Sequence[str] = ()) -> ChosenFile:
    """The format of a file that is expected to be written as recorded.

    Args:
        head: the first bytes of the file.
        recorded: how the case says that its files are written.
        numbers: the columns that hold numbers; all of them may, if empty.

    Raises:
        InvalidInput: the file is not written as recorded, and reads two ways.
    """
    encoding, said = _choose_encoding(head, recorded)
    text = decode(head, encoding)
    if not fits_separator(text, recorded.separator):
        return _sniff(head, replace(recorded, encoding=encoding), recorded, numbers)
    table = read_rows(text, recorded.separator)
    chosen = [name for name in table.columns if not numbers or name in numbers]
    decimal, thousands = find_better_notation(table[chosen], recorded)
    found = replace(recorded, encoding=encoding, decimal=decimal, thousands=thousands)
    return ChosenFile(found, (said,) if said else (), _note_changes(found, recorded))


def _choose_encoding(head: bytes, recorded: FileFormat) -> tuple[str, str]:
    """The recorded encoding, unless the bytes show another one: a mark at their start, or text that is UTF-8."""
    is_utf8 = codecs.lookup(recorded.encoding).name in ("utf-8", "utf-8-sig")
    if head.isascii() and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" not in head[:200]:
        return recorded.encoding, ""
    if is_utf8:
        return find_encoding(head)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return recorded.encoding, ""
    return find_encoding(head)


def _sniff(head: bytes, expected: FileFormat, recorded: FileFormat, numbers: Sequence[str]) -> ChosenFile:
    sniffed = sniff_format(head, columns=numbers)
    found = replace(sniffed.format, missing_words=expected.missing_words, sheet=expected.sheet)
    return ChosenFile(found, sniffed.assumed, _note_changes(found, recorded))


def _note_changes(found: FileFormat, recorded: FileFormat) -> tuple[str, ...]:
    """What differs from the recorded format, one sentence each."""
    notes = []
    if found.separator != recorded.separator:
        names = SEPARATORS[found.separator], SEPARATORS[recorded.separator]
        notes.append(f"fields are separated by {names[0]}, the case says {names[1]}")
    if (found.decimal, found.thousands) != (recorded.decimal, recorded.thousands):
        notes.append(f"numbers have {_tell_notation(found)}, the case says {_tell_notation(recorded)}")
    if codecs.lookup(found.encoding).name != codecs.lookup(recorded.encoding).name:
        notes.append(f"the text is in {found.encoding}, the case says {recorded.encoding}")
    return tuple(notes)


def _tell_notation(format: FileFormat) -> str:
    decimal = DECIMALS[format.decimal].replace("a ", "a decimal ")
    return f"{decimal} and {THOUSANDS[format.thousands]} between thousands"
