"""A case: one prediction problem, declared once. What a user writes, frozen and validated on construction.

Nothing here reads data or fits a model. A case names its source, the columns of a reading, what is to be
predicted, which recipes may try, and the rules by which the loop decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from okawari.errors import require
from okawari.schema.columns import NAME, AtLeast, Column
from okawari.schema.features import Change, Feature, LogRatio
from okawari.schema.tasks import Anticipate, Classify, Forecast, Growth, Regress, SeriesTask, Task
from okawari.schema.transforms import Learns

if TYPE_CHECKING:
    from okawari.case.source import Source
    from okawari.models.protocols import Recipe
from okawari.case.rules import Drift, Gate, Retrain, Serving

__all__ = [
    "ARRIVED",
    "Anticipate",
    "AtLeast",
    "Case",
    "Change",
    "Classify",
    "Column",
    "Drift",
    "Forecast",
    "Gate",
    "Growth",
    "LogRatio",
    "Regress",
    "Retrain",
    "Serving",
]


ARRIVED = "arrived"
"""Time column of a case whose records have none of their own: when a record was first seen."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prediction problem. `columns` give the order of a question's numbers everywhere, the graph's input included.

    What is predicted of a series is one of them; a record's target is a column of its own, which no question holds.
    Records stand for themselves: they have no time but that of their arrival, and their columns are their features.
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
    features: tuple[Feature, ...] = ()
    task: Task
    candidates: tuple[Recipe, ...]
    gate: Gate = field(default_factory=Gate)
    drift: Drift = field(default_factory=Drift)
    retrain: Retrain = field(default_factory=Retrain)
    serving: Serving = field(default_factory=Serving)
    picture: tuple[int, int] | None = None
    """Rows and columns of a picture whose pixels, row by row, the columns are; a request may send it as such."""
    seed: int = 7

    def __post_init__(self) -> None:
        require(bool(NAME.match(self.name)), f"Case name is {self.name!r}; use lower-case letters, digits and _.")
        known = set(self.column_names)
        require(len(known) == len(self.columns), f"Case {self.name} names a column twice: {self.column_names}.")
        for where, names in self._references().items():
            missing = sorted(names - known)
            require(not missing, f"{where} of case {self.name} uses {missing}; its columns are {sorted(known)}.")
        require(bool(self.candidates), f"Case {self.name} has no candidates; the first one is the baseline.")
        self._check_kind()
        if self.picture is not None:
            n_pixels = self.picture[0] * self.picture[1]
            require(
                n_pixels == len(self.columns) and not self.is_series and not any(each.labels for each in self.columns),
                f"Case {self.name} has a picture of {n_pixels} pixels and {len(self.columns)} columns; a picture takes "
                "a record with a number for each pixel. Correct one of them.",
            )
        recipes = [recipe.name for recipe in self.candidates]
        require(len(set(recipes)) == len(recipes), f"Case {self.name} has two candidates of one name: {recipes}.")

    def _check_kind(self) -> None:
        """What a series needs and records have no use for, and the other way round."""
        if isinstance(self.task, SeriesTask):
            require(bool(self.features), f"Case {self.name} has no features; a series is learned by some, so name one.")
            labelled = [column.name for column in self.columns if column.labels]
            require(not labelled, f"Case {self.name} has the labels of {labelled} in a series; use numbers there.")
            if isinstance(self.task, Anticipate):
                self._require_growth()
            return
        target = self.task.target.name
        require(
            target not in self.column_names, f"Case {self.name} lists its target {target} as a column; leave it out."
        )
        require(
            not self.features, f"Case {self.name} has features; a record's columns are its features. Leave them out."
        )
        require(
            ARRIVED not in self.known_names, f"Case {self.name} has a column {ARRIVED!r}, a name of ours; rename it."
        )
        require(
            self.time == ARRIVED, f"Case {self.name} has the time {self.time!r}; records have none. Write time=ARRIVED."
        )

    def _require_growth(self) -> None:
        column = self.target
        is_positive = (column.above is not None and column.above >= 0) or (column.minimum or 0) > 0
        require(
            is_positive,
            f"Case {self.name} asks for the growth of {column.name}, which may be zero or below; growth takes numbers "
            "above 0. Give the column above=0.",
        )

    def _references(self) -> Mapping[str, set[str]]:
        return {
            "task.target": {self.task.target} if isinstance(self.task, Forecast) else set(),
            "task.column": {self.task.column} if isinstance(self.task, Anticipate) else set(),
            "rules": {name for rule in self.rules for name in (rule.greater, rule.smaller)},
            "features": {name for each in self.features for name in each.columns},
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the graph's input."""
        return tuple(column.name for column in self.columns)

    @property
    def known_columns(self) -> tuple[Column, ...]:
        """All columns of a reading: the question's, and a record's target after them."""
        return self.columns if isinstance(self.task, SeriesTask) else (*self.columns, self.task.target)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of `known_columns`."""
        return tuple(column.name for column in self.known_columns)

    @property
    def reading_names(self) -> tuple[str, ...]:
        """What a table of readings has to hold: the time of a series, and all columns."""
        return (self.time, *self.known_names) if self.is_series else self.known_names

    @property
    def question_names(self) -> tuple[str, ...]:
        """What a table of questions has to hold: that without a record's target."""
        return self.reading_names if self.is_series else self.column_names

    @property
    def is_series(self) -> bool:
        """Whether readings follow each other in time; else each is a record that stands for itself."""
        return isinstance(self.task, SeriesTask)

    @property
    def is_forecast(self) -> bool:
        """Whether answers are the target's next values, in its own unit; else they are what the task's heads name."""
        return isinstance(self.task, Forecast)

    @property
    def learns(self) -> Learns | None:
        """What models of a forecast learn of the target's moves; None of other tasks."""
        return self.task.learns if isinstance(self.task, Forecast) else None

    @property
    def history(self) -> int:
        """Readings in a question: those of a window, or the one record."""
        return self.task.history if isinstance(self.task, SeriesTask) else 1

    @property
    def horizon(self) -> int:
        """Readings after a question until its truth is known; 0 of records, whose truth comes with them."""
        return self.task.horizon if isinstance(self.task, Forecast) else int(self.is_series)

    @property
    def target(self) -> Column:
        """The column that is predicted, or whose growth is."""
        return self.column(_name_series(self.task)) if isinstance(self.task, SeriesTask) else self.task.target

    @property
    def coverage_share(self) -> float | None:
        """Share of truths that intervals shall hold; None where all answers are labels."""
        if isinstance(self.task, Classify) or all(head.labels for head in self.task.heads):
            return None
        return self.task.coverage_share

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What drift looks at: a series' features, or a record's columns."""
        return tuple(feature.name for feature in self.features) if self.is_series else self.column_names

    @property
    def baseline(self) -> Recipe:
        """The naive recipe that is the floor."""
        return self.candidates[0]

    def column(self, name: str) -> Column:
        """The column of that name, a record's target included."""
        return next(column for column in self.known_columns if column.name == name)

    def describe(self) -> dict[str, Any]:
        """The case as plain JSON values, for the training record."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("source", "live", "candidates")}
        plain["source"] = repr(self.source)
        plain["live"] = repr(self.live)
        plain["candidates"] = [repr(recipe) for recipe in self.candidates]
        return plain


def _name_series(task: SeriesTask) -> str:
    return task.target if isinstance(task, Forecast) else task.column
