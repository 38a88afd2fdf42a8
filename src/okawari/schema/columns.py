"""The columns of a reading and the rules between them: frozen, validated on construction."""

from __future__ import annotations

import re
from dataclasses import dataclass

from okawari.errors import require

NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One value of a reading, with the range in which it is data at all.

    `above` is an exclusive lower bound, `minimum` and `maximum` are inclusive. `integer` columns hold whole
    numbers. `unit` is what a person reads beside the number. With `labels`, the column holds one of these words
    instead; inside, a label is its place in the list (0, 1, ...), so every reading is a row of numbers.
    """

    name: str
    unit: str = ""
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False
    labels: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        require(bool(NAME.match(self.name)), f"Column name is {self.name!r}; use lower-case letters, digits and _.")
        low = self.above if self.above is not None else self.minimum
        if low is not None and self.maximum is not None:
            require(low <= self.maximum, f"Column {self.name} allows nothing: lower bound {low} > {self.maximum}.")
        if self.labels:
            self._check_labels()

    def _check_labels(self) -> None:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        require(not twice, f"Column {self.name} names the labels {twice} twice; name each once.")
        require(len(self.labels) > 1, f"Column {self.name} has one label, {self.labels[0]!r}; a choice takes two.")
        bounds = (self.above, self.minimum, self.maximum)
        require(
            bounds == (None, None, None) and not self.integer,
            f"Column {self.name} has labels and also bounds; labels say all. Leave the bounds out.",
        )


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """A rule between two columns of the same reading: `greater` is never below `smaller`.

    `slack_share` forgives rounding, as a share of `smaller`.
    """

    greater: str
    smaller: str
    slack_share: float = 0.0

    @property
    def label(self) -> str:
        """The rule as a person reads it."""
        return f"{self.greater} >= {self.smaller}"
