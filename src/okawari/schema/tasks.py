"""What is to be predicted: a task says what a question looks like and what an answer consists of.

    Forecast    the next values of one of the columns, from a window of readings in the order of time
    Anticipate  several things at once about the next value of one of the columns, numbers and labels, from a window
    Regress     a number, from one record
    Classify    one of some labels, from one record

An answer is a row of numbers, one column for each step ahead, number or label, and `heads` names those columns. A
label's number is its probability, which is the mean of "it is this label"; so an answer is a row of means whatever
the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.schema.columns import NAME, Column
from okawari.schema.transforms import Learns

RESERVED = ("as_of", "level", "model_version", "graph_sha256")
"""Columns of a table of answers beside the answers themselves; no target is called so."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A run of an answer's columns, from `start` to before `stop`: numbers or, with `labels`, their probabilities."""

    name: str
    start: int
    stop: int
    labels: tuple[str, ...] = ()
    unit: str = ""

    @property
    def columns(self) -> slice:
        """Where this head stands in an answer."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Predict the next `horizon` values of `target` from the last `history` readings.

    What models learn of `target[t+h]`, h = 1..horizon, is how it moves from the last level, and the answer is turned
    back into the target's own unit (`okawari.schema.transforms`):

        learns="growth"       log(target[t+h] / target[t]), because levels do not generalise when they grow tenfold
        learns="difference"   target[t+h] - target[t], where the target may be 0 or below: sales with days without any,
                              temperatures, net flows. Answers then keep to the target column's `minimum` and `maximum`.
    """

    target: str
    history: int = 60
    horizon: int = 5
    learns: Learns = "growth"
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(self.history >= 2, f"Forecast.history is {self.history}; it counts past readings, at least 2.")
        require(self.horizon >= 1, f"Forecast.horizon is {self.horizon}; it counts steps ahead, at least 1.")
        require(
            self.learns in get_args(Learns),
            f"Forecast.learns is {self.learns!r}; models learn {' or '.join(map(repr, get_args(Learns)))}. Use "
            "'difference' where the target may be 0 or below.",
        )
        _check_coverage("Forecast", self.coverage_share)

    @property
    def width(self) -> int:
        """Columns of an answer: one for each step ahead."""
        return self.horizon

    @property
    def heads(self) -> tuple[Head, ...]:
        """The target's next values."""
        return (Head(name=self.target, start=0, stop=self.horizon),)


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How fast a column x grows or, with `change`, how that has changed since the reading before.

        g[t] = factor * log(x[t] / x[t - lag])        change: g[t] - g[t - 1]

    A `factor` of 100 gives percent over `lag` readings, one of 400 percent a year where a reading is a quarter (both of
    continuous growth). With `labels`, it is the word of the band that it lies in: the first below `bounds[0]`, the next
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
            f"Growth {self.name} has {n_labels} labels and {n_bounds} bounds; one bound stands between two labels.",
        )
        ascending = all(lower < upper for lower, upper in pairwise((-inf, *self.bounds, inf)))
        require(
            ascending, f"Growth.bounds of {self.name} are {self.bounds}; write numbers from the lowest to the highest."
        )
        require(len(set(self.labels)) == n_labels, f"Growth {self.name} names a label twice: {self.labels}.")

    @property
    def reach(self) -> int:
        """How many readings back it looks."""
        return self.lag + self.change

    def measure(self, levels_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """The number itself for each reading of a series, NaN where it reaches back beyond the first."""
        logs_N = np.log(levels_N)
        values_N = np.full(len(logs_N), np.nan)
        values_N[self.lag :] = self.factor * (logs_N[self.lag :] - logs_N[: -self.lag])
        return np.diff(values_N, prepend=np.nan) if self.change else values_N

    @property
    def answer_names(self) -> tuple[str, ...]:
        """Its columns in a table of answers: itself with its probabilities or its interval."""
        return (self.name, *(f"{self.name}_{part}" for part in self.labels or ("lower", "upper")))

    @property
    def column(self) -> Column:
        """The same as a column: its unit, or its labels."""
        unit = "" if self.labels else self.unit
        return Column(name=self.name, unit=unit, labels=self.labels, description=self.description)


@dataclass(frozen=True, kw_only=True)
class Anticipate:
    """Predict where each of `targets` will stand after the next reading of `column`, from the last `history` readings.

    One model answers all of them: each is a head of its answer.
    """

    column: str
    targets: tuple[Growth, ...]
    history: int
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(bool(self.targets), "Anticipate.targets is empty; name what is to be predicted, at least one Growth.")
        names = [target.name for target in self.targets]
        require(len(set(names)) == len(names), f"Anticipate.targets has two of one name: {names}.")
        told = [*RESERVED, *(name for target in self.targets for name in target.answer_names)]
        twice = sorted({name for name in told if told.count(name) > 1})
        require(not twice, f"Anticipate.targets would call two columns of a table of answers {twice}; rename one.")
        needed = 1 + max(target.reach for target in self.targets)
        require(
            self.history >= needed,
            f"Anticipate.history is {self.history}; its targets look {needed - 1} readings back; use {needed} or more.",
        )
        _check_coverage("Anticipate", self.coverage_share)

    @property
    def width(self) -> int:
        """Columns of an answer: one for each number, and one for each label of the others."""
        return self.heads[-1].stop

    @property
    def heads(self) -> tuple[Head, ...]:
        """The targets in their order."""
        heads: list[Head] = []
        for target in self.targets:
            start = heads[-1].stop if heads else 0
            stop = start + (len(target.labels) or 1)
            heads.append(Head(name=target.name, start=start, stop=stop, labels=target.labels, unit=target.column.unit))
        return tuple(heads)


@dataclass(frozen=True, kw_only=True)
class Regress:
    """Predict the number `target` of a record from its other columns; `target` is no input."""

    target: Column
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(not self.target.labels, f"Regress.target {self.target.name} has labels; use Classify for them.")
        _check_coverage("Regress", self.coverage_share)

    @property
    def width(self) -> int:
        """Columns of an answer: the number."""
        return 1

    @property
    def heads(self) -> tuple[Head, ...]:
        """The number."""
        return (Head(name=self.target.name, start=0, stop=1, unit=self.target.unit),)


@dataclass(frozen=True, kw_only=True)
class Classify:
    """Predict which label `target` of a record has from its other columns; `target` is no input."""

    target: Column

    def __post_init__(self) -> None:
        require(
            bool(self.target.labels), f"Classify.target {self.target.name} has no labels; use Regress or name them."
        )

    @property
    def width(self) -> int:
        """Columns of an answer: one probability for each label."""
        return len(self.target.labels)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The label."""
        return (Head(name=self.target.name, start=0, stop=self.width, labels=self.target.labels),)


def spell_answers(task: Task) -> str:
    """What the columns of an answer stand for, in one line: models that say the same of them may answer for the task.

    >>> spell_answers(Classify(target=Column(name="size", labels=("small", "large"))))
    'size: small | large'
    """
    if isinstance(task, Anticipate):
        return "; ".join(_spell_growth(target) for target in task.targets)
    return "; ".join(f"{head.name}: {' | '.join(head.labels)}" if head.labels else head.name for head in task.heads)


def _spell_growth(target: Growth) -> str:
    bounds = [f" {bound:g} " for bound in target.bounds]
    parts = [part for pair in zip(target.labels, [*bounds, ""], strict=True) for part in pair] if bounds else []
    kind = "change of growth" if target.change else "growth"
    return f"{target.name}: {kind} over {target.lag}, times {target.factor:g}{', ' if parts else ''}{''.join(parts)}"


SeriesTask = Forecast | Anticipate
RecordTask = Regress | Classify
Task = SeriesTask | RecordTask


def _check_coverage(task: str, share: float) -> None:
    require(0.5 <= share < 1, f"{task}.coverage_share is {share}; use 0.5 to below 1.")
