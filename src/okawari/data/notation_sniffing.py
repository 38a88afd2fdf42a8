"""Finding the notation of a table's numbers: its decimal mark, and the mark between thousands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from okawari.data.file_format import DECIMALS, PLAIN, THOUSANDS, FileFormat
from okawari.data.number_format import NOTATIONS, Notation, compile_notation, parse_numbers
from okawari.data.time_recognition import FIT_SHARE, recognise_times
from okawari.errors import InvalidInput

_MARKED = re.compile(r"[.,' \u00a0\u202f\u2009\u2019]")


def find_notation(table: pd.DataFrame, separator: str = ",", decimal: str = "") -> Notation:
    """The notation that reads most of a table's numbers; the simplest one, if several read them alike.

    Args:
        table: columns of texts; columns of words and of times are left out.
        separator: the separator of the table. Between commas, points are decimal, as in 0.123, unless a number such
            as 1.234.567 shows the contrary; between semicolons, 1.234 may be 1234.
        decimal: the decimal mark, if it is known.

    Raises:
        InvalidInput: two notations read them with different results.
    """
    marked = _list_marked(table)
    allowed = [notation for notation in NOTATIONS if decimal in ("", notation[0])]
    texts = pd.Series([text for texts in marked.values() for text in texts], dtype=object).drop_duplicates()
    counts = {notation: _count_read(texts, notation) for notation in allowed}
    most = max(counts.values())
    best = [notation for notation in allowed if counts[notation] == most]
    if texts.empty or not most:
        return best[0]
    different = _drop_alike(best, texts)
    if len(different) > 1:
        different = _decide_by_zeros(different, marked, table)
    if len(different) > 1 and separator != ";" and (".", "") in different:
        return ".", ""
    if len(different) > 1:
        _refuse_two_notations(different, marked)
    return different[0]


def find_better_notation(table: pd.DataFrame, recorded: FileFormat) -> Notation:
    """The recorded notation, unless another one reads more of a table's numbers; raises like `find_notation`."""
    texts = [text for texts in _list_marked(table).values() for text in texts]
    known = (recorded.decimal, recorded.thousands)
    counts = {notation: _count_read(pd.Series(texts, dtype=object), notation) for notation in NOTATIONS}
    return known if counts[known] == max(counts.values()) else find_notation(table, recorded.separator)


def is_number(text: str) -> bool:
    """Whether a text is a number in any notation."""
    return any(compile_notation(notation).fullmatch(text) for notation in NOTATIONS)


def _list_marked(table: pd.DataFrame) -> dict[str, list[str]]:
    """For each column of numbers, its texts with a mark that is a decimal mark or stands between thousands."""
    found: dict[str, list[str]] = {}
    for name in table.columns:
        texts = [text.strip() for text in table[name] if isinstance(text, str) and text.strip()]
        numbers = [text for text in texts if is_number(text)]
        marked = [text for text in numbers if _MARKED.search(text)]
        if marked and len(numbers) >= 0.5 * len(texts) and not _are_times(texts):
            found[str(name)] = marked
    return found


def _are_times(texts: Sequence[str]) -> bool:
    found = recognise_times(pd.Series(texts, dtype=object))
    return found.share >= FIT_SHARE and not found.from_numbers


def _count_read(texts: pd.Series, notation: Notation) -> int:
    pattern = compile_notation(notation)
    return sum(bool(pattern.fullmatch(text)) for text in texts)


def _drop_alike(notations: Sequence[Notation], texts: pd.Series) -> list[Notation]:
    """The notations without those that read every text as an earlier one does."""
    kept: list[tuple[Notation, np.ndarray]] = []
    for notation in notations:
        read = parse_numbers(texts, _use(notation)).to_numpy()
        if not any(np.array_equal(read, other, equal_nan=True) for _, other in kept):
            kept.append((notation, read))
    return [notation for notation, _ in kept]


def _use(notation: Notation) -> FileFormat:
    return replace(PLAIN, decimal=notation[0], thousands=notation[1])


def _decide_by_zeros(notations: list[Notation], marked: dict[str, list[str]], table: pd.DataFrame) -> list[Notation]:
    """Leave out the decimal readings of a mark that separates thousands.

    A column with whole numbers below 1000 beside numbers such as 1,230: as decimals, 1,230 would be written 1,23, or
    the whole numbers with as many zeros.
    """
    for name, texts in marked.items():
        has_small = table[name].map(lambda text: isinstance(text, str) and bool(re.fullmatch(r"\s*-?\d{1,3}\s*", text)))
        marks = {mark for text in texts for mark in ".," if re.search(rf"\{mark}\d\d0$", text)}
        if has_small.any():
            notations = [notation for notation in notations if notation[0] not in marks] or notations
    return notations


def _refuse_two_notations(notations: Sequence[Notation], marked: dict[str, list[str]]) -> None:
    name, texts = next(iter(marked.items()))
    readings = {mark: parse_numbers(pd.Series(texts[:1], dtype=object), _use((mark, other))).iloc[0]
                for mark, other in notations}  # fmt: skip
    told = " or ".join(f"{value:g} (--decimal {mark!r})" for mark, value in readings.items())
    raise InvalidInput(
        f"numbers of {name!r}, such as {texts[0]!r}, read in two ways: {told}; nothing in the file decides it. State "
        f"the decimal mark with --decimal, or FileFormat(decimal=..., thousands=...) in the case"
    )


def describe_numbers(found: FileFormat, table: pd.DataFrame) -> str:
    """How numbers are written, as a sentence with an example."""
    texts = [text for texts in _list_marked(table).values() for text in texts]
    pattern = compile_notation((found.decimal, found.thousands))
    fitting = [text for text in texts if pattern.fullmatch(text)]
    example = max(fitting, key=lambda text: (len(_MARKED.findall(text)), len(text)), default="")
    value = parse_numbers(pd.Series([example], dtype=object), found).iloc[0] if example else 0.0
    thousands = f", thousands are separated by {THOUSANDS[found.thousands]}" if found.thousands else ""
    shown = f": {example!r} is {value:.15g}" if example else ""
    return f"Numbers have {DECIMALS[found.decimal].replace('a ', 'a decimal ')}{thousands}{shown}."
