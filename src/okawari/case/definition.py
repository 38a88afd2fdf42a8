"""A case: one prediction problem, declared once. What a user writes, frozen and validated on construction.

Nothing here reads data or fits a model. A case names its source, the columns of a reading, what is to be
predicted, which recipes may try, and the rules by which the loop decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from okawari.case.rules import Drift, Gate, Retrain, Serving
from okawari.errors import require
from okawari.schema.columns import NAME, AtLeast, Column
from okawari.schema.features import Feature
from okawari.schema.layout import DataLayout
from okawari.schema.tasks.task import Task

if TYPE_CHECKING:
    from okawari.case.source import Source
    from okawari.models.protocols import Recipe


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
        self.task.check_case(self.name, self.time, self.columns, self.features)
        self._check_picture()
        recipes = [recipe.name for recipe in self.candidates]
        require(len(set(recipes)) == len(recipes), f"Case {self.name} has two candidates of one name: {recipes}.")

    def _check_picture(self) -> None:
        if self.picture is None:
            return
        n_pixels = self.picture[0] * self.picture[1]
        is_record = not self.layout.in_order and self.n_features == len(self.columns)
        require(
            n_pixels == len(self.columns) and is_record,
            f"Case {self.name} has a picture of {n_pixels} pixels and {len(self.columns)} columns; a picture takes "
            "a record with a number for each pixel. Correct one of them.",
        )

    def _references(self) -> Mapping[str, set[str]]:
        return {
            **self.task.references,
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
        return (*self.columns, *self.task.own_columns)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of `known_columns`."""
        return tuple(column.name for column in self.known_columns)

    @property
    def layout(self) -> DataLayout:
        """How readings lie in a table."""
        return self.task.layout

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The time column, where readings bring a time of their own."""
        return self.layout.time_columns(self.time)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What names a reading: (series columns..., time); nothing for records."""
        return self.layout.key_columns(self.time)

    @property
    def reading_names(self) -> tuple[str, ...]:
        """What a table of readings has to hold: their own time, and all columns."""
        return (*self.time_columns, *self.known_names)

    @property
    def question_names(self) -> tuple[str, ...]:
        """What a table of questions has to hold: that without a record's target."""
        return (*self.time_columns, *self.column_names)

    @property
    def history(self) -> int:
        """Readings in a question: those of a window, or the one record."""
        return self.task.input_length

    @property
    def horizon(self) -> int:
        """Readings after a question until its truth is known; 0 for records, whose truth comes with them."""
        return self.task.truth_delay

    @property
    def target(self) -> Column:
        """The column that is predicted, or whose growth is."""
        return self.task.find_target(self.columns)

    @property
    def level_index(self) -> int | None:
        """Place of the target among the question's columns; None where it is none of them."""
        names = self.column_names
        return None if self.task.series_column is None else names.index(self.task.series_column)

    @property
    def coverage_share(self) -> float | None:
        """Share of truths that intervals are meant to hold; None where all answers are labels."""
        return self.task.promised_share

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What drift compares: a series' features, or a record's columns."""
        return self.layout.list_features(self.features, self.columns)

    @property
    def n_features(self) -> int:
        """Features K of one step that a model reads."""
        return self.layout.count_features(self.features, self.columns)

    @property
    def n_feature_steps(self) -> int:
        """Feature steps S in a question."""
        return self.layout.count_steps(self.history)

    @property
    def logged_columns(self) -> frozenset[str]:
        """Columns that go into a logarithm, so that their numbers are above 0."""
        return frozenset((*self.task.logged_columns, *(name for each in self.features for name in each.logged_columns)))

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
