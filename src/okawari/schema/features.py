"""Stationary features of a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LogRatio:
    """A stationary feature: `log(numerator[t] / denominator[t - lag])`; a log return where both are the same column."""

    name: str
    numerator: str
    denominator: str
    lag: Literal[0, 1] = 0
    description: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the feature is computed from."""
        return (self.numerator, self.denominator)

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """Columns of which a logarithm is taken: all."""
        return self.columns

    def place_pair(self, places: Mapping[str, int]) -> tuple[int, int]:
        """Indices of its two numbers in one row of the newest reading followed by the reading before it."""
        return places[self.numerator], places[self.denominator] + self.lag * len(places)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stationary feature of numbers that may be zero or below, such as a rate: `column[t] - column[t - 1]`."""

    name: str
    column: str
    description: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the feature is computed from."""
        return (self.column,)

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """Columns of which a logarithm is taken: none."""
        return ()

    def place_pair(self, places: Mapping[str, int]) -> tuple[int, int]:
        """Indices of its two numbers in one row of the newest reading followed by the reading before it."""
        return places[self.column], places[self.column] + len(places)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A feature that is a column of the graph's input itself: a number of a calendar feature."""

    name: str

    @property
    def columns(self) -> tuple[str, ...]:
        """None of the case's columns."""
        return ()

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """Columns of which a logarithm is taken: none."""
        return ()

    def place_pair(self, places: Mapping[str, int]) -> tuple[int, int]:
        """The index of its number, twice."""
        return places[self.name], places[self.name]


Feature = LogRatio | Change | Given
