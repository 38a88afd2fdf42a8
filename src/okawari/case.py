"""A case: one prediction problem, declared once. What a user writes, frozen and validated on construction.

Nothing here reads data or fits a model. A case names its source, the columns of a reading, what is to be
predicted, which recipes may try, and the rules by which the loop decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from okawari.errors import InvalidInput

if TYPE_CHECKING:
    from okawari.models.recipe import Recipe
    from okawari.sources import Source

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidInput(message)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One number of a reading, with the range in which it is data at all.

    `above` is an exclusive lower bound, `minimum` and `maximum` are inclusive. `integer` columns hold whole
    numbers. `unit` is what a person reads beside the number.
    """

    name: str
    unit: str = ""
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    integer: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        _require(bool(_NAME.match(self.name)), f"Column name is {self.name!r}; use lower-case letters, digits and _.")
        low = self.above if self.above is not None else self.minimum
        if low is not None and self.maximum is not None:
            _require(low <= self.maximum, f"Column {self.name} allows nothing: lower bound {low} > {self.maximum}.")


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


@dataclass(frozen=True, kw_only=True)
class LogRatio:
    """A stationary feature: `log(numerator[t] / denominator[t - lag])`; a log return where both are the same column."""

    name: str
    numerator: str
    denominator: str
    lag: Literal[0, 1] = 0
    description: str = ""


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
        _require(self.history >= 2, f"Forecast.history is {self.history}; it counts past readings, at least 2.")
        _require(self.horizon >= 1, f"Forecast.horizon is {self.horizon}; it counts steps ahead, at least 1.")
        _require(
            0.5 <= self.coverage_share < 1, f"Forecast.coverage_share is {self.coverage_share}; use 0.5 to below 1."
        )


@dataclass(frozen=True, kw_only=True)
class Gate:
    """When a challenger may replace the champion. Shares are relative: 0.01 is one percent.

    `holdout` newest windows judge, the `calibration` windows before them set the intervals, and the last
    `validation_share` of what remains stops the training early.
    """

    holdout: int = 120
    calibration: int = 250
    validation_share: float = 0.1
    min_gain_share: float = 0.01
    min_interval_gain_share: float = 0.05
    quantized_loss_share: float = 0.005
    quantized_saving_share: float = 0.3
    max_slowdown_share: float = 0.1

    def __post_init__(self) -> None:
        _require(self.holdout >= 20, f"Gate.holdout is {self.holdout}; fewer than 20 windows judge nothing.")
        _require(self.calibration >= 30, f"Gate.calibration is {self.calibration}; intervals need at least 30 windows.")
        _require(
            0 < self.validation_share < 0.5,
            f"Gate.validation_share is {self.validation_share}; use a share above 0 and below 0.5.",
        )


@dataclass(frozen=True, kw_only=True)
class Drift:
    """When the data has moved. `reference` readings before the champion's snapshot against up to `current` newer ones.

    `alpha` is the family-wise false-alarm rate over all features (Holm); `min_effect` the smallest distance
    (KS, 0 to 1) that counts; below `min_current` readings the verdict is "not enough data".
    """

    reference: int = 750
    current: int = 60
    min_current: int = 20
    alpha: float = 0.05
    min_effect: float = 0.1

    def __post_init__(self) -> None:
        _require(0 < self.alpha < 0.5, f"Drift.alpha is {self.alpha}; use a probability between 0 and 0.5.")
        _require(
            self.min_current <= self.current < self.reference,
            f"Drift sizes are {self.min_current} <= {self.current} < {self.reference}; keep that order.",
        )


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """How retraining is rationed: at least `cooldown_readings` new readings between two trainings, at most
    `daily_budget` trainings a day, and none by itself after `max_rejections` rejected challengers in a row.
    """

    cooldown_readings: int = 20
    daily_budget: int = 24
    max_rejections: int = 5


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How the service answers: adaptive batches of at most `max_batch_size` windows, `max_instances` in one request."""

    max_batch_size: int = 32
    max_instances: int = 256

    def __post_init__(self) -> None:
        _require(self.max_batch_size >= 2, f"Serving.max_batch_size is {self.max_batch_size}; use 2 or more.")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prediction problem. `columns` give the order of a reading's numbers everywhere, the graph's input included.

    The first of `candidates` is the baseline: the naive model that everything has to beat.

    Raises:
        InvalidInput: a name that is no identifier, a feature, rule or target over an unknown column, no candidate.
    """

    name: str
    title: str
    source: Source
    live: Source | None = None
    time: str = "date"
    columns: tuple[Column, ...]
    rules: tuple[AtLeast, ...] = ()
    features: tuple[LogRatio, ...]
    task: Forecast
    candidates: tuple[Recipe, ...]
    gate: Gate = field(default_factory=Gate)
    drift: Drift = field(default_factory=Drift)
    retrain: Retrain = field(default_factory=Retrain)
    serving: Serving = field(default_factory=Serving)
    seed: int = 7

    def __post_init__(self) -> None:
        _require(bool(_NAME.match(self.name)), f"Case name is {self.name!r}; use lower-case letters, digits and _.")
        known = set(self.column_names)
        _require(len(known) == len(self.columns), f"Case {self.name} names a column twice: {self.column_names}.")
        for where, names in self._references().items():
            missing = sorted(names - known)
            _require(not missing, f"{where} of case {self.name} uses {missing}; its columns are {sorted(known)}.")
        _require(bool(self.candidates), f"Case {self.name} has no candidates; the first one is the baseline.")
        recipes = [recipe.name for recipe in self.candidates]
        _require(len(set(recipes)) == len(recipes), f"Case {self.name} has two candidates of one name: {recipes}.")

    def _references(self) -> Mapping[str, set[str]]:
        return {
            "task.target": {self.task.target},
            "rules": {name for rule in self.rules for name in (rule.greater, rule.smaller)},
            "features": {name for each in self.features for name in (each.numerator, each.denominator)},
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the graph's input."""
        return tuple(column.name for column in self.columns)

    @property
    def baseline(self) -> Recipe:
        """The naive recipe that is the floor."""
        return self.candidates[0]

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def describe(self) -> dict[str, Any]:
        """The case as plain JSON values, for the training record."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("source", "live", "candidates")}
        plain["source"] = repr(self.source)
        plain["live"] = repr(self.live)
        plain["candidates"] = [repr(recipe) for recipe in self.candidates]
        return plain
