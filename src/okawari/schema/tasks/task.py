"""A task defines the input of a model, the parts of its answer, and what models learn.

    Forecast    the next values of one of the columns, from a window of readings in order of time
    Anticipate  several numbers and labels at once about the next value of one of the columns, from a window
    Regress     a number, from one record
    Classify    one of several labels, from one record

An answer is a row of numbers, one column for each step ahead, number or label; `heads` names those columns. A label's
number is its probability, the mean of its indicator (1 or 0), so an answer is a row of means for every task.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from okawari.errors import require
from okawari.schema.columns import Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout
from okawari.schema.transforms import NoTransform, Transform

RESERVED = ("as_of", "level", "time_1", "model_version", "graph_sha256")
"""Further columns of a table of answers; no target may have such a name."""
ARRIVED = "arrived"
"""Time column of a case of records: the time when a record arrived."""

Parts = Mapping[str, int]
"""First column of each part of a graph's answer (mean, lower, upper) in one row of all parts."""


class Task(ABC):
    """The base of all kinds of tasks."""

    @property
    @abstractmethod
    def layout(self) -> DataLayout:
        """The layout of readings in a table."""

    def choose_layout(self, time: str) -> DataLayout:
        """The layout of readings with this time column."""
        return self.layout

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """The heads of an answer, in the order of its columns."""

    @property
    def width(self) -> int:
        """Number of columns of an answer."""
        return self.heads[-1].stop

    @property
    @abstractmethod
    def input_length(self) -> int:
        """Number of readings in an input: those of a window, or 1 for a record."""

    @property
    @abstractmethod
    def truth_delay(self) -> int:
        """Number of readings after an input until its true value is known; 0 if it arrives with the record."""

    @property
    def n_steps(self) -> int | None:
        """Number of steps ahead of a forecast; None for other tasks."""
        return None

    @property
    def transform(self) -> Transform:
        """The transform from the target to what models learn."""
        return NoTransform()

    @property
    def window_transform(self) -> Transform:
        """The transform of a window's levels for models that use levels."""
        return self.transform

    @property
    def promised_share(self) -> float | None:
        """Share of true values that intervals are meant to contain; None where no head has an interval."""
        return getattr(self, "coverage_share", None) if any(head.has_interval for head in self.heads) else None

    @property
    def series_column(self) -> str | None:
        """The column of a reading that is predicted; None where the target is not a column of the input."""
        return None

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """Columns of a reading that are not in the input: a record's target."""
        return ()

    def know_words(self, words: Mapping[str, Sequence[str]]) -> Task:
        """The task with these words as the labels of its own columns, by their names."""
        return self

    def count_first(self, n_first: Mapping[str, int]) -> Task:
        """The task with the numbers of labels that its own columns had at first, by their names."""
        return self

    @abstractmethod
    def find_target(self, columns: Sequence[Column]) -> Column:
        """The column that is predicted."""

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """Columns of which models take a logarithm."""
        return ()

    @property
    def references(self) -> Mapping[str, set[str]]:
        """Columns that the task's settings name, by setting."""
        return {}

    @abstractmethod
    def check_case(self, name: str, time: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
        """Check that a case fits this task.

        Raises:
            InvalidInput: it does not; the message names the case and the setting.
        """

    @property
    def named_targets(self) -> tuple[Column, ...]:
        """Targets that an outcome must name, each as a column; empty for tasks with one target."""
        return ()

    @abstractmethod
    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """Columns of a table of answers: each is a column of the graph's answer, or a head's most probable label."""

    @abstractmethod
    def describe_answers(self) -> list[dict[str, Any]]:
        """The meaning of the columns of an answer, as plain JSON values."""

    @property
    def answers_sha256(self) -> str:
        """Digest of `describe_answers` as canonical JSON; a graph for this task must have the same digest."""
        content = json.dumps(self.describe_answers(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()


def check_coverage(task: str, share: float) -> None:
    """Check the coverage of an interval."""
    require(0.5 <= share < 1, f"{task}.coverage_share is {share}; use 0.5 to below 1.")


def check_series(name: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
    """Check that a series has features and only numbers."""
    require(bool(features), f"Case {name} has no features; a series needs at least one. Name one.")
    dates = [column.name for column in columns if column.date]
    require(
        not dates,
        f"Case {name} is a series with dates in {dates}; its own times are its only ones. Leave these columns out.",
    )
    labelled = [column.name for column in columns if column.labels]
    require(
        not labelled, f"Case {name} is a series with labels in {labelled}; a series takes numbers. Use numbers there."
    )
