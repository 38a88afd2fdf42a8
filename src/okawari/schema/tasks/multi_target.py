"""Anticipate: several numbers and labels at once about the next value of one of the columns, from a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.schema.columns import NAME, Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, SeriesLayout
from okawari.schema.tasks.task import RESERVED, Parts, Task, check_coverage, check_series
from okawari.schema.transforms import LogReturn, Transform


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth of a column x or, with `change`, the change of that growth since the reading before.

        g[t] = factor * log(x[t] / x[t - lag])        change: g[t] - g[t - 1]

    A `factor` of 100 gives percent over `lag` readings; for quarterly readings, 400 gives percent a year (both for
    continuous growth). With `labels`, the value is the label of its band: the first label below `bounds[0]`, the next
    from there to below `bounds[1]`, the last from the last bound on.

    Example:
        >>> Growth(name="trend", lag=4, change=True, bounds=(-0.25, 0.25), labels=("falling", "stable", "rising")).reach
        5
    """

    name: str
    lag: int = 1
    factor: float = 100.0
    change: bool = False
    bounds: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = "%"
    description: str = ""

    def __post_init__(self) -> None:
        require(bool(NAME.match(self.name)), f"Growth name is {self.name!r}; use lower-case letters, digits and _.")
        require(
            self.name not in RESERVED, f"Growth name is {self.name!r}, which tables of answers use; choose another."
        )
        require(self.lag >= 1, f"Growth.lag of {self.name} is {self.lag}; it counts readings back, at least 1.")
        require(0 < self.factor < inf, f"Growth.factor of {self.name} is {self.factor}; use 100 for percent.")
        n_bounds, n_labels = len(self.bounds), len(self.labels)
        require(
            n_bounds == max(0, n_labels - 1) and n_labels != 1,
            f"Growth {self.name} has {n_labels} labels and {n_bounds} bounds; N labels take N - 1 bounds.",
        )
        ascending = all(lower < upper for lower, upper in pairwise((-inf, *self.bounds, inf)))
        require(
            ascending, f"Growth.bounds of {self.name} are {self.bounds}; write numbers from the lowest to the highest."
        )
        require(
            len(set(self.labels)) == n_labels, f"Growth {self.name} names a label twice: {self.labels}; name each once."
        )

    @property
    def reach(self) -> int:
        """Number of earlier readings that it uses."""
        return self.lag + self.change

    def measure(self, levels_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """The number for each reading of a series; NaN where it needs readings before the first one."""
        logs_N = np.log(levels_N)
        values_N = np.full(len(logs_N), np.nan)
        values_N[self.lag :] = self.factor * (logs_N[self.lag :] - logs_N[: -self.lag])
        return np.diff(values_N, prepend=np.nan) if self.change else values_N

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Its columns in a table of answers: the answer itself, and its probabilities or interval."""
        return (self.name, *(f"{self.name}_{part}" for part in self.labels or ("lower", "upper")))

    def name_answers(self, head: Head, parts: Parts) -> dict[str, int | Head]:
        """Its columns in a table of answers, each with its column of the graph's answer."""
        if self.labels:
            shares = {f"{self.name}_{label}": head.start + place for place, label in enumerate(self.labels)}
            return {self.name: head, **shares}
        named = {part: self.name if part == "mean" else f"{self.name}_{part}" for part in parts}
        return {named[part]: start + head.start for part, start in parts.items()}

    def describe(self) -> dict[str, Any]:
        """Its definition as plain JSON values."""
        return {
            "name": self.name,
            "lag": self.lag,
            "factor": self.factor,
            "change": self.change,
            "bounds": list(self.bounds),
            "labels": list(self.labels),
        }

    @property
    def column(self) -> Column:
        """The target as a column, with its unit or its labels."""
        unit = "" if self.labels else self.unit
        return Column(name=self.name, unit=unit, labels=self.labels, new_share=0, description=self.description)


@dataclass(frozen=True, kw_only=True)
class Anticipate(Task):
    """Predict the next value of each of `targets`, all computed from `column`, from the last `history` readings.

    One model predicts all targets; each target is a head of its answer.
    """

    column: str
    targets: tuple[Growth, ...]
    history: int
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(bool(self.targets), "Anticipate.targets is empty; name at least one Growth.")
        names = [target.name for target in self.targets]
        require(len(set(names)) == len(names), f"Anticipate.targets has two of one name: {names}; rename one.")
        columns = [*RESERVED, *(name for target in self.targets for name in target.answer_names)]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        require(not twice, f"Anticipate.targets gives two columns of a table of answers one name: {twice}. Rename one.")
        needed = 1 + max(target.reach for target in self.targets)
        require(
            self.history >= needed,
            f"Anticipate.history is {self.history}; its targets use {needed - 1} earlier readings. Use {needed} or "
            "more.",
        )
        check_coverage("Anticipate", self.coverage_share)

    @property
    def layout(self) -> DataLayout:
        """One series."""
        return SeriesLayout()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The targets in their order."""
        heads: list[Head] = []
        for target in self.targets:
            heads.append(target.column.make_head(heads[-1].stop if heads else 0))
        return tuple(heads)

    @property
    def input_length(self) -> int:
        """The readings of the window."""
        return self.history

    @property
    def truth_delay(self) -> int:
        """1: the next reading."""
        return 1

    @property
    def window_transform(self) -> Transform:
        """Growth is linear in the logarithms of a window's levels."""
        return LogReturn()

    @property
    def series_column(self) -> str | None:
        """The column whose growth is predicted."""
        return self.column

    def find_target(self, columns: Sequence[Column]) -> Column:
        """The column whose growth is predicted."""
        return next(column for column in columns if column.name == self.column)

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """That column."""
        return (self.column,)

    @property
    def references(self) -> Mapping[str, set[str]]:
        """That column."""
        return {"task.column": {self.column}}

    def check_case(self, name: str, time: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
        """Check that a series has features and only numbers, and that the column is always above 0."""
        check_series(name, columns, features)
        column = self.find_target(columns)
        require(
            column.is_positive,
            f"Case {name} predicts the growth of {column.name}, which may be zero or below; growth takes numbers "
            "above 0. Give the column above=0.",
        )

    @property
    def named_targets(self) -> tuple[Column, ...]:
        """All targets."""
        return tuple(target.column for target in self.targets)

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """Each target under its name."""
        named: dict[str, int | Head] = {}
        for target, head in zip(self.targets, self.heads, strict=True):
            named |= target.name_answers(head, parts)
        return named

    def describe_answers(self) -> list[dict[str, Any]]:
        """All targets with their bands."""
        return [target.describe() for target in self.targets]
