"""Stationary features of a series."""

from __future__ import annotations

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
        """What it is made of; a logarithm is taken of all of it."""
        return (self.numerator, self.denominator)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A stationary feature of numbers that may be zero or below, such as a rate: `column[t] - column[t - 1]`."""

    name: str
    column: str
    description: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """What it is made of."""
        return (self.column,)


Feature = LogRatio | Change
