"""The space of a search: the values that fields of a recipe may take. Imports optuna for types only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from okawari.errors import require

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high` for a field of the recipe; with `log`, uniform on a logarithmic scale."""

    field: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values to check against the recipe: if it accepts these, it accepts all."""
        return self.low, self.high

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value to try next."""
        return trial.suggest_float(self.field, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the space contains this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def read(self, stored: Any) -> Any:
        """The value from its stored form."""
        return stored

    def write(self, value: Any) -> Any:
        """The form of a value that a study stores."""
        return value


@dataclass(frozen=True)
class Whole:
    """An integer from `low` to `high`, both included; `log` as in `Range`."""

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
        """Whether the space contains this value."""
        return isinstance(value, int) and self.low <= value <= self.high

    def read(self, stored: Any) -> Any:
        """The value from its stored form."""
        return stored

    def write(self, value: Any) -> Any:
        """The form of a value that a study stores."""
        return value


@dataclass(frozen=True)
class Choice:
    """One of several values without an order, such as the sizes of layers."""

    field: str
    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        require(len(self.options) >= 2, f"Choice {self.field} has options {self.options}; name at least two.")
        require(
            len({str(option) for option in self.options}) == len(self.options),
            f"Choice {self.field} has options {self.options}, two of which have equal text; name each once.",
        )

    @property
    def extremes(self) -> tuple[Any, ...]:
        """As in `Range`."""
        return self.options

    def suggest(self, trial: optuna.Trial) -> Any:
        """The value to try next; a study stores its text, because it cannot store tuples."""
        return self.read(trial.suggest_categorical(self.field, [self.write(option) for option in self.options]))

    def holds(self, value: Any) -> bool:
        """Whether the space contains this value."""
        return value in self.options

    def read(self, stored: Any) -> Any:
        """The value from its stored form."""
        return next(option for option in self.options if self.write(option) == stored)

    def write(self, value: Any) -> Any:
        """The text of a value, which a study stores."""
        return str(value)


Dimension = Range | Whole | Choice
"""A field of the recipe, and its possible values."""


def _check_ends(dimension: Range | Whole) -> None:
    kind, low, high = type(dimension).__name__, dimension.low, dimension.high
    require(low < high, f"{kind} {dimension.field} goes from {low} to {high}; write the lower end first.")
    require(low > 0 or not dimension.log, f"{kind} {dimension.field} begins at {low}; with log=True begin above 0.")
