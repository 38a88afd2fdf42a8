"""The columns of a reading: frozen, validated on construction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.words import read_boolean, spell_words

ColumnKind = Literal["number", "word", "date"]
"""What a column holds."""
Missing = Literal["refuse", "allow"]
"""What becomes of an empty field: its row is refused, or it is a value."""
BOOLEANS = ("false", "true")
"""The words of a boolean column, in the order of their places."""
_MOST_SHOWN = 20
MAX_DATE_CHARS = 26
"""Longest name of a date column, so that those of its features are not longer than a name may be."""
MAX_WORD_CHARS = 200
"""Longest word in a request."""
NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One value of a reading, with its valid range.

    `above` is an exclusive lower bound, `minimum` and `maximum` are inclusive. `integer` columns hold whole
    numbers. `unit` is shown beside the number. With `labels`, the column holds one of these words instead. Tables and
    frames hold the words; `encode` gives their places in this list, which is what a graph takes. A `boolean` column has
    the labels "false" and "true", and is true or false in JSON. `n_first` counts the labels that the column had at
    first, where the contract has learned more since; a case file leaves it out.

    A `date` column of a record holds days or times: ISO 8601 in JSON, and written as the time column in files. It
    becomes features: the year, the place of the month on the circle of a year, and the weekday, all in the zone of the
    case.

    With `missing="allow"`, an empty field is a value of its own; else the row is refused. `missing_words` are further
    texts that mean an empty field, such as "NA". `new_share` is the largest share of a delivery's rows that may hold
    words which the column did not have before.
    """

    name: str
    unit: str = ""
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False
    labels: tuple[str, ...] = ()
    boolean: bool = False
    date: bool = False
    n_first: int = 0
    missing: Missing = "refuse"
    missing_words: tuple[str, ...] = ()
    new_share: float = 0.05
    description: str = ""

    def __post_init__(self) -> None:
        require(bool(NAME.match(self.name)), f"Column name is {self.name!r}; use lower-case letters, digits and _.")
        require(
            self.missing in get_args(Missing),
            f"Column {self.name} has missing={self.missing!r}; write 'refuse' or 'allow'.",
        )
        require(
            0 <= self.new_share <= 1, f"Column {self.name} has new_share={self.new_share}; use a share from 0 to 1."
        )
        low = self.above if self.above is not None else self.minimum
        if low is not None and self.maximum is not None:
            require(low <= self.maximum, f"Column {self.name} allows no value: lower bound {low} > {self.maximum}.")
        if self.date:
            self._check_date()
        if self.boolean:
            self._name_booleans()
        if self.labels:
            self._check_labels()

    def _check_date(self) -> None:
        others = (self.boolean, self.labels, self.integer, self.unit)
        require(
            not any(others) and (self.above, self.minimum, self.maximum) == (None, None, None),
            f"Column {self.name} holds dates and has a unit, labels, bounds or another kind; a date has none of these. "
            "Leave them out.",
        )
        require(
            len(self.name) <= MAX_DATE_CHARS,
            f"Column {self.name} holds dates and has a name of {len(self.name)} letters; its features are named after "
            f"it, so use at most {MAX_DATE_CHARS}.",
        )

    def _name_booleans(self) -> None:
        require(
            self.labels in ((), BOOLEANS),
            f"Column {self.name} is boolean and names the labels {list(self.labels)}; leave the labels out.",
        )
        object.__setattr__(self, "labels", BOOLEANS)

    def _check_labels(self) -> None:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        require(not twice, f"Column {self.name} names the labels {twice} twice; name each once.")
        require(len(self.labels) > 1, f"Column {self.name} has one label, {self.labels[0]!r}; name at least two.")
        bounds = (self.above, self.minimum, self.maximum)
        require(
            bounds == (None, None, None) and not self.integer,
            f"Column {self.name} has labels and bounds; a column has one or the other. Leave the bounds out.",
        )

    def make_head(self, start: int = 0) -> Head:
        """The head for predictions of this column, whose columns of an answer begin at `start`."""
        if self.labels:
            return LabelHead(
                name=self.name, start=start, words=self.labels, n_first=self.n_first, is_truth=self.boolean
            )
        return NumberHead(name=self.name, start=start, unit=self.unit)

    @property
    def head(self) -> Head:
        """The head of an answer that consists of this column alone."""
        return self.make_head()

    @property
    def width(self) -> int:
        """Number of features for a model: 1 for a number, or one for each label."""
        return len(self.labels) or 1

    @property
    def has_interval(self) -> bool:
        """Whether predictions of it have an interval."""
        return self.head.has_interval

    @property
    def expected(self) -> str:
        """Description of a valid value."""
        return self._describe_words() if self.labels else "a date" if self.date else "a number"

    def _describe_words(self) -> str:
        if self.boolean:
            return "true or false"
        n_more = len(self.labels) - _MOST_SHOWN
        shown = ", ".join(self.labels[:_MOST_SHOWN]) + (f" and {n_more} more" if n_more > 0 else "")
        return f"a text such as {shown}" if self.takes_new_words else f"one of {shown}"

    @property
    def allowed(self) -> str:
        """The values that the column may hold, as a sentence without its full stop.

        >>> Column(name="close", unit="USD", above=0).allowed
        'close is a number above 0 (USD)'
        """
        if self.labels:
            return f"{self.name} is {self._describe_words()}"
        if self.date:
            return f"{self.name} is a date or a time, ISO 8601, such as 2024-12-31"
        limits = {"above": self.above, "at least": self.minimum, "at most": self.maximum}
        bounds = " and ".join(f"{word} {limit:.15g}" for word, limit in limits.items() if limit is not None)
        kind = "a whole number" if self.integer else "a number"
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(part for part in (f"{self.name} is", kind, bounds, unit) if part)

    @property
    def lowest(self) -> float | None:
        """The lower bound that answers keep to: `minimum` or `above`."""
        return max((bound for bound in (self.above, self.minimum) if bound is not None), default=None)

    @property
    def is_positive(self) -> bool:
        """Whether all its values are above 0."""
        return (self.above is not None and self.above >= 0) or (self.minimum or 0) > 0

    @property
    def allows_missing(self) -> bool:
        """Whether an empty field is a value, with an indicator among the features."""
        return self.missing == "allow"

    @property
    def kind(self) -> ColumnKind:
        """What the column holds."""
        return "word" if self.labels else "date" if self.date else "number"

    @property
    def takes_new_words(self) -> bool:
        """Whether a word that is not one of the labels is accepted: answered as none of them, and learned later."""
        return bool(self.labels) and not self.boolean and self.new_share > 0

    def know_words(self, words: Sequence[str]) -> Column:
        """The column with these words as its labels, in this order; a column of numbers stays as it is."""
        return replace(self, labels=tuple(words)) if self.labels and not self.boolean else self

    def count_first(self, n_first: int) -> Column:
        """The column with the number of labels that it had at first."""
        return replace(self, n_first=n_first)

    def list_new(self, values: pd.Series) -> dict[str, int]:
        """The words that are not labels, in the order of appearance, each with its number of rows; none for numbers."""
        return dict(Counter(values[self._is_new(values)])) if self.labels else {}

    def find_refused(self, values: pd.Series) -> NDArray[np.intp]:
        """The rows with a word that is neither a label nor accepted as a new one."""
        nothing = np.empty(0, dtype=np.intp)
        return np.flatnonzero(self._is_new(values)) if self.labels and not self.takes_new_words else nothing

    def _is_new(self, words: pd.Series) -> NDArray[np.bool_]:
        is_new: NDArray[np.bool_] = (words.notna() & ~words.isin(self.labels)).to_numpy()
        return is_new

    def split_truth(self, truth: Any) -> dict[str, Any]:
        """A true value in JSON as it is stored: a number as `value`, or a word as `label`."""
        return {"value": None, "label": self.read_json(truth)} if self.labels else {"value": truth, "label": None}

    @property
    def json_labels(self) -> list[Any]:
        """The labels as they are written in JSON."""
        return [self.write_json(label) for label in self.labels]

    def read_json(self, value: Any) -> Any:
        """A value in JSON as a reading holds it; a truth value is a word."""
        return str(value).lower() if isinstance(value, bool) else value

    def write_json(self, value: Any) -> Any:
        """A value of a reading in JSON; the word of a boolean column is a truth value."""
        return value == "true" if self.boolean and value is not None else value

    def parse(self, values: pd.Series, parse_numbers: Callable[[pd.Series], pd.Series]) -> pd.Series:
        """Raw values as float64 numbers (NaN for missing and invalid ones), or as words (None for missing ones)."""
        if not self.labels:
            return parse_numbers(values)
        words = spell_words(values, self.missing_words)
        return pd.Series(map(read_boolean, words), index=words.index, dtype=object) if self.boolean else words

    def encode(self, words: pd.Series) -> NDArray[np.float64]:
        """The place of each word in `labels`; `len(labels)` for another word, and NaN for a missing one.

        Raises:
            InvalidInput: the values are numbers.
        """
        if words.dtype.kind in "fiub" and len(words):
            raise InvalidInput(
                f"Column {self.name} holds {words.dtype} values; it holds words. Convert them to words when the data "
                "is read."
            )
        places = pd.Index(self.labels, dtype=object).get_indexer(pd.Index(words, dtype=object)).astype(np.float64)
        places[places < 0] = len(self.labels)
        places[words.isna().to_numpy()] = np.nan
        return places

    def holds_places(self, stored: pd.Series) -> bool:
        """Whether numbers are stored for a column of words: places of labels, as in state of version 2."""
        return bool(self.labels) and stored.dtype.kind in "fiu"

    def decode(self, places: pd.Series) -> pd.Series:
        """The words at these places; None for a missing one.

        Raises:
            InvalidInput: a place has no label.
        """
        beyond = places[places >= len(self.labels)]
        if not beyond.empty:
            raise InvalidInput(
                f"Column {self.name} holds the label at place {int(beyond.iloc[0])} and the case names "
                f"{len(self.labels)} labels, counted from 0. Restore the removed labels in the case file."
            )
        words = [None if pd.isna(place) else self.labels[int(place)] for place in places]
        return pd.Series(words, index=places.index, dtype=object)


def find_words(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of words among these."""
    return tuple(column for column in columns if column.labels)


def find_numbers(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of numbers among these."""
    return tuple(column for column in columns if column.kind == "number")


def find_dates(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of dates among these."""
    return tuple(column for column in columns if column.date)
