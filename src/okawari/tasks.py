"""What is to be predicted: a task says what a question looks like and what an answer consists of.

    Forecast    the next values of one of the columns, from a window of readings in the order of time
    Regress     a number, from one record
    Classify    one of some labels, from one record

An answer is a row of numbers, one column for each step ahead or label, and `heads` names those columns. A label's
number is its probability, which is the mean of "it is this label"; so an answer is a row of means whatever the task.
"""

from __future__ import annotations

from dataclasses import dataclass

from okawari.columns import Column
from okawari.errors import require


@dataclass(frozen=True, kw_only=True)
class Head:
    """A run of an answer's columns, from `start` to before `stop`: numbers or, with `labels`, their probabilities."""

    name: str
    start: int
    stop: int
    labels: tuple[str, ...] = ()

    @property
    def columns(self) -> slice:
        """Where this head stands in an answer."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Predict the next `horizon` values of `target` from the last `history` readings.

    Models learn the cumulative log return `log(target[t+h] / target[t])`, h = 1..horizon, because levels do not
    generalise when the level grows tenfold; the answer is turned back into the target's own unit.
    """

    target: str
    history: int = 60
    horizon: int = 5
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(self.history >= 2, f"Forecast.history is {self.history}; it counts past readings, at least 2.")
        require(self.horizon >= 1, f"Forecast.horizon is {self.horizon}; it counts steps ahead, at least 1.")
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
        return (Head(name=self.target.name, start=0, stop=1),)


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


RecordTask = Regress | Classify
Task = Forecast | RecordTask


def _check_coverage(task: str, share: float) -> None:
    require(0.5 <= share < 1, f"{task}.coverage_share is {share}; use 0.5 to below 1.")
