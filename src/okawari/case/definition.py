"""A case: one prediction problem, declared once by a user; frozen, and validated on construction.

Nothing here reads data or fits a model. A case declares its source, the columns of a reading, the task, the candidate
recipes, and the rules by which the loop decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from okawari.case.rules import Drift, Gate, Retrain, Serving
from okawari.errors import require
from okawari.models.combination import require_members
from okawari.schema.calendar import Calendar, require_zone
from okawari.schema.calendar_features import CalendarFeature, list_date_features
from okawari.schema.column_rules import AtLeast
from okawari.schema.columns import NAME, Column, find_dates
from okawari.schema.features import Feature, Given
from okawari.schema.keys import TAKEN_NAMES
from okawari.schema.layout import DataLayout
from okawari.schema.step_times import StepTimes
from okawari.schema.tasks.task import Task

if TYPE_CHECKING:
    from okawari.case.source import Source
    from okawari.models.protocols import Recipe


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prediction problem. `columns` set the order of a question's numbers everywhere, also in the graph's input.

    The target of a series is one of these columns. The target of a record is an additional column, which is not in a
    question. Records are independent, and their columns are their features. With `time=ARRIVED` their only time is that
    of arrival; with `time="created_at"` the newest by that time are the holdout, and the time is no input. The
    first of `candidates` is the baseline: the naive model that every other candidate has to beat.

    `frequency` is the step of a series' calendar, an offset alias of pandas such as "D", "B", "W-SUN", "ME", "QE", "h"
    or "15min"; None for readings without a calendar. `zone` is the time zone of the data, and `holidays` names the
    country or exchange on whose holidays a calendar of working days has no steps. `key` names the column or field of
    the user's own key, which requests, rows to score and outcomes may carry; it is no input.

    Raises:
        InvalidInput: a name that is not an identifier, an unknown column in a feature, rule or target, or no candidate.
    """

    name: str
    title: str
    source: Source
    live: Source | None = None
    time: str = "date"
    frequency: str | None = None
    zone: str = "UTC"
    holidays: str = ""
    key: str = ""
    columns: tuple[Column, ...]
    rules: tuple[AtLeast, ...] = ()
    features: tuple[Feature | CalendarFeature, ...] = ()
    task: Task
    candidates: tuple[Recipe, ...]
    gate: Gate = field(default_factory=Gate)
    drift: Drift = field(default_factory=Drift)
    retrain: Retrain = field(default_factory=Retrain)
    serving: Serving = field(default_factory=Serving)
    picture: tuple[int, int] | None = None
    """Height and width of a picture, if the columns are its pixels, row by row; a request may send rows of pixels."""
    seed: int = 7

    def __post_init__(self) -> None:
        require(bool(NAME.match(self.name)), f"Case name is {self.name!r}; use lower-case letters, digits and _.")
        known = set(self.column_names)
        require(len(known) == len(self.columns), f"Case {self.name} names a column twice: {self.column_names}.")
        for where, names in self._references().items():
            missing = sorted(names - known)
            require(not missing, f"{where} of case {self.name} uses {missing}; its columns are {sorted(known)}.")
        require(bool(self.candidates), f"Case {self.name} has no candidates; the first one is the baseline.")
        self.task.check_case(self.name, self.time, self.columns, self.graph_features)
        self._check_calendar_features()
        self._check_dates()
        require_zone(self.zone)
        self.layout.check_calendar(self.name, self.calendar, self.holidays)
        self._check_picture()
        self._check_key()
        recipes = [recipe.name for recipe in self.candidates]
        require(len(set(recipes)) == len(recipes), f"Case {self.name} has two candidates of one name: {recipes}.")
        require_members(self.name, self.candidates)

    def _check_picture(self) -> None:
        if self.picture is None:
            return
        n_pixels = self.picture[0] * self.picture[1]
        is_record = not self.layout.in_order and self.n_features == len(self.columns)
        require(
            n_pixels == len(self.columns) and is_record,
            f"Case {self.name} has a picture of {n_pixels} pixels and {len(self.columns)} columns; a picture needs "
            "a record with one number for each pixel. Correct one of them.",
        )

    def _check_key(self) -> None:
        """The key is a name of its own: neither a column, nor the time, nor a field of requests and outcomes."""
        if not self.key:
            return
        require(bool(NAME.match(self.key)), f"Case.key is {self.key!r}; use lower-case letters, digits and _.")
        taken = (*TAKEN_NAMES, self.time, *self.known_names)
        require(
            self.key not in taken,
            f"Case.key is {self.key!r}; a key is neither a column of the case nor one of {', '.join(TAKEN_NAMES)}. "
            f"Give it another name; rename=(({self.key!r}, 'own_key'),) of the source renames the column on reading.",
        )

    def _references(self) -> Mapping[str, set[str]]:
        return {
            **self.task.references,
            "rules": {name for rule in self.rules for name in (rule.greater, rule.smaller)},
            "features": {name for each in self.own_features for name in each.columns},
        }

    def may_miss(self, column: Column) -> bool:
        """Whether readings may lack a value of a column: it allows that, or missing steps of the calendar have none."""
        return column.allows_missing or self.frequency is not None

    @property
    def may_have_gaps(self) -> bool:
        """Whether a question may lack values."""
        return any(self.may_miss(column) for column in self.columns)

    @property
    def own_features(self) -> tuple[Feature, ...]:
        """The features that the graph computes from columns."""
        return tuple(each for each in self.features if isinstance(each, Feature))

    @property
    def calendar_features(self) -> tuple[CalendarFeature, ...]:
        """The features of times, which enter the graph as columns."""
        return tuple(each for each in self.features if not isinstance(each, Feature))

    @property
    def graph_features(self) -> tuple[Feature, ...]:
        """All features of a step: those of columns, then the numbers of the calendar features."""
        parts = (part for each in self.calendar_features for part in each.parts)
        return (*self.own_features, *(Given(name=part) for part in parts))

    @property
    def input_columns(self) -> tuple[Column, ...]:
        """The columns of the graph's input: those of a reading, then the numbers of dates and of calendar features.

        The year of a date is in the place of its column, and the further numbers of dates follow the columns.
        """
        dates = {each.name: list_date_features(each.name) for each in find_dates(self.columns)}
        own = (
            Column(name=dates[each.name][0].name, missing=each.missing) if each.date else each for each in self.columns
        )
        features = (*(each for _, *others in dates.values() for each in others), *self.calendar_features)
        return (*own, *(Column(name=part) for each in features for part in each.parts))

    def _check_calendar_features(self) -> None:
        names = [column.name for column in self.input_columns]
        require(
            len(set(names)) == len(names),
            f"Case {self.name} has a calendar feature whose numbers are named like others: {names}. Rename it.",
        )
        ahead = [each.name for each in self.calendar_features if each.ahead]
        require(
            not ahead or self.frequency is not None,
            f"Case {self.name} has no frequency, and {ahead} describe steps ahead. Give the case a frequency, or the "
            "features ahead=0.",
        )

    def _check_dates(self) -> None:
        dates = {column.name for column in find_dates(self.known_columns)}
        ruled = sorted(dates & self._references()["rules"])
        require(not ruled, f"A rule of case {self.name} compares the dates {ruled}; rules compare numbers. Remove it.")
        other = sorted(dates - set(self.column_names))
        require(not other, f"The target of case {self.name} is the date {other}; predict a number or a label.")
        is_whole = self.picture is None or not dates
        require(is_whole, f"Case {self.name} has a picture and the dates {sorted(dates)}; pixels are numbers.")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in the order of the graph's input."""
        return tuple(column.name for column in self.columns)

    @property
    def known_columns(self) -> tuple[Column, ...]:
        """All columns of a reading: the columns of a question, then the target of a record."""
        return (*self.columns, *self.task.own_columns)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of `known_columns`."""
        return tuple(column.name for column in self.known_columns)

    @property
    def layout(self) -> DataLayout:
        """The layout of readings in a table: a series, or records."""
        return self.task.choose_layout(self.time)

    @property
    def calendar(self) -> Calendar | None:
        """The steps of the series; None without `frequency`."""
        if self.frequency is None:
            return None
        return Calendar(frequency=self.frequency, zone=self.zone, holidays=self.holidays)

    @property
    def step_times(self) -> StepTimes:
        """Names the steps of an answer of a series."""
        return StepTimes(self.calendar, self.horizon)

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The time column, if readings have their own time; else empty."""
        return self.layout.time_columns(self.time)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a reading: (series columns..., time); empty for records."""
        return self.layout.key_columns(self.time)

    @property
    def reading_names(self) -> tuple[str, ...]:
        """Required columns of a table of readings: the time columns and all known columns."""
        return (*self.time_columns, *self.known_names)

    @property
    def question_names(self) -> tuple[str, ...]:
        """Required columns of a table of questions: those of readings without a record's target."""
        return (*self.time_columns, *self.column_names)

    @property
    def history(self) -> int:
        """Readings in an input: the length of a window; 1 for records."""
        return self.task.input_length

    @property
    def horizon(self) -> int:
        """Readings after a question until its true value is known; 0 for records."""
        return self.task.truth_delay

    @property
    def target(self) -> Column:
        """The column that is predicted, or whose growth is predicted."""
        return self.task.find_target(self.columns)

    @property
    def level_index(self) -> int | None:
        """Index of the target among the columns of a question; None if it is not one of them."""
        names = self.column_names
        return None if self.task.series_column is None else names.index(self.task.series_column)

    @property
    def coverage_share(self) -> float | None:
        """Promised share of true values inside the intervals; None if all answers are labels."""
        return self.task.promised_share

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that the drift test compares: features of a series, or columns of records.

        Dates are left out, because they move on with time.
        """
        compared = [column for column in self.columns if not column.date]
        return self.layout.list_features(self.own_features, compared)

    @property
    def n_features(self) -> int:
        """Features K of one step that a model reads."""
        return self.layout.count_features(self.graph_features, self.input_columns)

    @property
    def n_feature_steps(self) -> int:
        """Feature steps S in a question."""
        return self.layout.count_steps(self.history)

    @property
    def logged_columns(self) -> frozenset[str]:
        """Columns whose logarithm is computed, so their numbers must be above 0."""
        return frozenset(
            (*self.task.logged_columns, *(name for each in self.own_features for name in each.logged_columns))
        )

    @property
    def baseline(self) -> Recipe:
        """The naive recipe that every other candidate has to beat."""
        return self.candidates[0]

    def column(self, name: str) -> Column:
        """The column of that name; a record's target is included."""
        return next(column for column in self.known_columns if column.name == name)

    def describe(self) -> dict[str, Any]:
        """The case as plain JSON values, for the training record."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("source", "live", "candidates")}
        plain["source"] = repr(self.source)
        plain["live"] = repr(self.live)
        plain["candidates"] = [repr(recipe) for recipe in self.candidates]
        return plain
