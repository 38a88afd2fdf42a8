"""How a text table is written: its separator, its numbers, its encoding, and the words that mean an empty field.

Independent of cases. `okawari.data.sniffing` finds the format of a file, `okawari.data.number_format` reads numbers by
it, `okawari.data.csv_reader` reads rows by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from okawari.errors import require

SEPARATORS: Mapping[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""The separators that Okawari reads, and their names in messages."""
DECIMALS: Mapping[str, str] = {".": "a point", ",": "a comma"}
THOUSANDS: Mapping[str, str] = {
    "": "nothing", ",": "commas", ".": "points", " ": "spaces", "'": "apostrophes",
}  # fmt: skip
"""The marks between thousands; a space stands for no-break spaces too, an apostrophe for its typographic form."""


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """How the fields of a table are written. The defaults are those of plain CSV.

    `missing_words` are texts that mean an empty field in every column, such as ("NA",); an empty field is always
    missing. `sheet` is the sheet of a spreadsheet; its first one, if empty.

    Example:
        >>> FileFormat(separator=";", decimal=",", thousands=".").describe()
        'fields separated by semicolons, a decimal comma, thousands separated by points, utf-8'

    Raises:
        InvalidInput: a setting is not one of those that Okawari reads.
    """

    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    missing_words: tuple[str, ...] = ()
    sheet: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("separator", SEPARATORS), ("decimal", DECIMALS), ("thousands", THOUSANDS)):
            given = getattr(self, name)
            require(given in allowed, f"FileFormat.{name} is {given!r}; use one of {list(allowed)}.")
        require(
            self.decimal != self.thousands,
            f"FileFormat.decimal and FileFormat.thousands are both {self.decimal!r}; they have to differ.",
        )
        require(
            _is_encoding(self.encoding),
            f"FileFormat.encoding is {self.encoding!r}; use a codec of Python, such as utf-8, cp1252 or latin-1.",
        )

    @property
    def has_plain_numbers(self) -> bool:
        """Whether numbers have a decimal point and no mark between thousands."""
        return (self.decimal, self.thousands) == (".", "")

    def describe(self) -> str:
        """The format in words."""
        parts = [f"fields separated by {SEPARATORS[self.separator]}", f"a decimal {DECIMALS[self.decimal][2:]}"]
        if self.thousands:
            parts.append(f"thousands separated by {THOUSANDS[self.thousands]}")
        return ", ".join([*parts, self.encoding])

    def list_changes(self) -> dict[str, Any]:
        """The settings that differ from their defaults, by name."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {each.name: given[each.name] for each in fields(self) if given[each.name] != each.default}


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


PLAIN = FileFormat()
"""Plain CSV: commas, decimal points, UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a person states about a file; what is empty is to be found out."""

    separator: str = ""
    decimal: str = ""
    encoding: str = ""
    time_format: str = ""

    def apply(self, recorded: FileFormat) -> FileFormat:
        """The recorded format with what is stated. The mark that is not decimal may stand between thousands."""
        given = {name: value for name in ("separator", "encoding") if (value := getattr(self, name))}
        if self.decimal:
            given |= {"decimal": self.decimal, "thousands": "," if self.decimal == "." else "."}
        return replace(recorded, **given)


NOTHING_STATED = Stated()
