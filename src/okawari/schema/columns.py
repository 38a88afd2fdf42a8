"""The columns of a reading and the rules between them: frozen, validated on construction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput, require
from okawari.schema.heads import Head, LabelHead, NumberHead

Missing = Literal["refuse", "allow"]
"""What becomes of an empty field: its row is refused, or it is a value."""
NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One value of a reading, with its valid range.

    `above` is an exclusive lower bound, `minimum` and `maximum` are inclusive. `integer` columns hold whole
    numbers. `unit` is shown beside the number. With `labels`, the column holds one of these words instead; a label is
    stored as its place in the list (0, 1, ...), so every reading is a row of numbers.

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
        if self.labels:
            self._check_labels()

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
            return LabelHead(name=self.name, start=start, words=self.labels)
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
        return f"one of {', '.join(self.labels)}" if self.labels else "a number"

    @property
    def allowed(self) -> str:
        """The values that the column may hold, as a sentence without its full stop.

        >>> Column(name="close", unit="USD", above=0).allowed
        'close is a number above 0 (USD)'
        """
        if self.labels:
            return f"{self.name} is one of {', '.join(self.labels)}"
        limits = {"above": self.above, "at least": self.minimum, "at most": self.maximum}
        bounds = " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
        kind = "a whole number" if self.integer else "a number"
        unit = f"({self.unit})" if self.unit else ""
        return " ".join(part for part in (f"{self.name} is", kind, bounds, unit) if part)

    def to_number(self, value: Any) -> float:
        """A value of a reading as a number; a label becomes its place.

        Raises:
            KeyError: a word is not a label of the column.
        """
        return self.places[value] if self.labels else value

    @property
    def places(self) -> Mapping[str, float]:
        """The place of each label; empty for numbers."""
        return {label: float(place) for place, label in enumerate(self.labels)}

    def parse(self, values: pd.Series, parse_numbers: Callable[[pd.Series], pd.Series]) -> pd.Series:
        """Raw values as float64: numbers, or places of labels; invalid values become NaN."""
        if not self.labels:
            return parse_numbers(values)
        return values.map(lambda value: self.places.get(spell_label(value), np.nan)).astype("float64")

    def spell(self, places: pd.Series) -> pd.Series:
        """Stored numbers in readable form: labels as their words, numbers unchanged.

        Raises:
            InvalidInput: a place has no label, because labels were removed since then.
        """
        if not self.labels:
            return places
        beyond = places[places >= len(self.labels)]
        if not beyond.empty:
            raise InvalidInput(
                f"Column {self.name} holds the label at place {int(beyond.iloc[0])} and the case names "
                f"{len(self.labels)} labels, counted from 0; labels may be added at the end only. Restore the "
                "removed labels."
            )
        return pd.Series([self.labels[int(place)] for place in places], index=places.index, dtype=object)


def spell_label(value: object) -> str:
    """A label as a word, for any type in a file: 3, 3.0 and "3" are the same label."""
    return str(int(value)) if isinstance(value, (float, np.floating)) and value == value // 1 else str(value).strip()


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """A rule between two columns of the same reading: `greater` is never below `smaller`.

    `slack_share` is the tolerance for rounding, as a share of `smaller`.
    """

    greater: str
    smaller: str
    slack_share: float = 0.0

    @property
    def label(self) -> str:
        """The rule in readable form."""
        return f"{self.greater} >= {self.smaller}"

    def holds(self, greater_N: NDArray[np.float64], smaller_N: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of N readings satisfies the rule; False where a number is missing.

        >>> AtLeast(greater="high", smaller="low").holds(np.array([2.0, 1.0]), np.array([1.0, 2.0])).tolist()
        [True, False]
        """
        kept_N: NDArray[np.bool_] = greater_N >= smaller_N * (1 - self.slack_share)
        return kept_N
