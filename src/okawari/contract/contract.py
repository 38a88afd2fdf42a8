"""The contract: the recorded meaning of a table's columns and times. Pure; JSON in and out.

A contract is recorded with the first snapshot. A later version replaces it when its meaning grows: a new word, or a
usual share that a person accepted. `okawari.storage.contracts` stores the versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from okawari.errors import InvalidInput

ColumnKind = Literal["number", "word", "date"]


@dataclass(frozen=True, kw_only=True)
class ColumnMeaning:
    """The meaning of one column. `words` only ever grow at their end, so a word keeps its place.

    `n_first` counts the words of the first version. `missing_words` are texts that mean an empty field. Usual figures
    are in `usual`, by name, in the column's own unit or as shares from 0 to 1.
    """

    name: str
    kind: ColumnKind
    unit: str = ""
    words: tuple[str, ...] = ()
    n_first: int = 0
    missing_words: tuple[str, ...] = ()
    allows_missing: bool = False
    usual: Mapping[str, float] = field(default_factory=dict)
    accepted: tuple[tuple[float, ...], ...] = ()
    """Levels that a person has accepted: (before, after) of a jump in a series; (after,) of a delivery of records."""

    def learn_words(self, found: tuple[str, ...]) -> ColumnMeaning:
        """The column with further words at the end, in the given order; known words keep their places.

        Example:
            >>> plan = ColumnMeaning(name="plan", kind="word", words=("plus", "pro"))
            >>> plan.learn_words(("basic", "pro")).words
            ('plus', 'pro', 'basic')
        """
        return replace(self, words=tuple(dict.fromkeys((*self.words, *found))))


@dataclass(frozen=True, kw_only=True)
class TimeMeaning:
    """The meaning of the time column: how its texts are written, their zone, and the step of the series' calendar.

    `format` is "iso", a pattern of strptime, or another name that `okawari.data.time_format` reads. `frequency` is an
    offset alias of pandas; empty where steps follow no calendar.
    """

    name: str
    format: str = "iso"
    zone: str = "UTC"
    frequency: str = ""
    holidays: str = ""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The recorded meaning of a case's table. `dialect` describes how its file is written; `usual` has shares of rows.

    Versions count from 1.
    """

    case: str
    version: int = 1
    columns: tuple[ColumnMeaning, ...] = ()
    time: TimeMeaning | None = None
    dialect: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)
    edition: str = ""
    """Name of the source whose edition the stored history is; a read of another one may replace the history once."""
    remarks: tuple[str, ...] = ()
    """What was said of the columns of stored deliveries, so that it is said once."""
    delivery: str = ""
    """Key of the delivery that was learned last, so that a repeated step does not learn it twice."""

    def find(self, name: str) -> ColumnMeaning | None:
        """The column of that name; None if the contract has none."""
        return next((column for column in self.columns if column.name == name), None)

    def with_column(self, column: ColumnMeaning) -> Contract:
        """The contract with this column in the place of the one of the same name, or as its last column."""
        if self.find(column.name) is None:
            return replace(self, columns=(*self.columns, column))
        return replace(self, columns=tuple(column if each.name == column.name else each for each in self.columns))

    def to_json(self) -> str:
        """Canonical JSON: equal contracts give equal texts."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


def read_contract(text: str) -> Contract:
    """A contract from its JSON.

    Raises:
        InvalidInput: the text is not the JSON of a contract.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        columns = tuple(_read_column(column) for column in found.pop("columns"))
        time = found.pop("time")
        remarks = tuple(found.pop("remarks", ()))
        return Contract(columns=columns, time=TimeMeaning(**time) if time else None, remarks=remarks, **found)
    except (ValueError, TypeError, KeyError, AttributeError) as damage:
        raise InvalidInput(
            f"A contract cannot be read ({damage}). A newer Okawari may have written it: install that version, or "
            "restore the state folder from a copy."
        ) from damage


def _read_column(found: dict[str, Any]) -> ColumnMeaning:
    return ColumnMeaning(**{name: _freeze(value) for name, value in found.items()})


def _freeze(value: Any) -> Any:
    return tuple(_freeze(each) for each in value) if isinstance(value, list) else value
