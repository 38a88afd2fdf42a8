"""Where a search may look: for each field of a recipe the values that it may take. Knows optuna by type alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from okawari.errors import require

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high` for a field of the recipe; `log` tries every order of magnitude as often."""

    field: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that the recipe has to take, if it takes all."""
        return self.low, self.high

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value to try next."""
        return trial.suggest_float(self.field, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the space has this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def read(self, stored: Any) -> Any:
        """The value that a study has stored."""
        return stored

    def write(self, value: Any) -> Any:
        """What a study stores of a value."""
        return value


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included; `log` as in `Range`."""

    field: str
    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """As in `Range`."""
        return self.low, self.high

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value to try next."""
        return trial.suggest_int(self.field, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the space has this value."""
        return isinstance(value, int) and self.low <= value <= self.high

    def read(self, stored: Any) -> Any:
        """The value that a study has stored."""
        return stored

    def write(self, value: Any) -> Any:
        """What a study stores of a value."""
        return value


@dataclass(frozen=True)
class Choice:
    """One of some values that have no order, such as the sizes of layers."""

    field: str
    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        require(len(self.options) >= 2, f"Choice {self.field} has options {self.options}; name at least two.")
        require(
            len({str(option) for option in self.options}) == len(self.options),
            f"Choice {self.field} has options {self.options}, two of which look alike; name each once.",
        )

    @property
    def extremes(self) -> tuple[Any, ...]:
        """As in `Range`."""
        return self.options

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value to try next; a study stores what it looks like, because tuples do not survive storing."""
        return self.read(trial.suggest_categorical(self.field, [self.write(option) for option in self.options]))

    def holds(self, value: Any) -> bool:
        """Whether the space has this value."""
        return value in self.options

    def read(self, stored: Any) -> Any:
        """The value that a study has stored."""
        return next(option for option in self.options if self.write(option) == stored)

    def write(self, value: Any) -> Any:
        """What a study stores of a value: how it looks."""
        return str(value)


Dimension = Range | Whole | Choice
"""A field of the recipe, and what may stand there."""


def _check_ends(dimension: Range | Whole) -> None:
    kind, low, high = type(dimension).__name__, dimension.low, dimension.high
    require(low < high, f"{kind} {dimension.field} goes from {low} to {high}; write the lower end first.")
    require(low > 0 or not dimension.log, f"{kind} {dimension.field} begins at {low}; with log=True begin above 0.")
