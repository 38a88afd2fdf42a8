"""A task defines the input of a model, the parts of its answer, and what models learn.

    Forecast    the next values of one of the columns, from a window of readings in the order of time
    Anticipate  several things at once about the next value of one of the columns, numbers and labels, from a window
    Regress     a number, from one record
    Classify    one of some labels, from one record

An answer is a row of numbers, one column for each step ahead, number or label; `heads` names those columns. A label's
number is its probability, which is the mean of "it is this label"; so an answer is a row of means whatever the task.
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

RESERVED = ("as_of", "level", "model_version", "graph_sha256")
"""Columns of a table of answers beside the answers themselves; no target has such a name."""
ARRIVED = "arrived"
"""Time column of a case whose records have none of their own: when a record was first seen."""

Parts = Mapping[str, int]
"""First column of each part of a graph's answer (mean, lower, upper) when all parts stand side by side."""


class Task(ABC):
    """What every kind of task answers for itself."""

    @property
    @abstractmethod
    def layout(self) -> DataLayout:
        """How readings lie in a table."""

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """What an answer consists of, in the order of its columns."""

    @property
    def width(self) -> int:
        """Columns of an answer."""
        return self.heads[-1].stop

    @property
    @abstractmethod
    def question_length(self) -> int:
        """Readings in a question: those of a window, or the one record."""

    @property
    @abstractmethod
    def truth_delay(self) -> int:
        """Readings after a question until its truth is known; 0 where the truth comes with the record."""

    @property
    def n_steps(self) -> int | None:
        """Steps ahead of a forecast; None where answers are no steps."""
        return None

    @property
    def transform(self) -> Transform:
        """What models learn of the target."""
        return NoTransform()

    @property
    def window_transform(self) -> Transform:
        """How levels in a window are read by models that go by levels."""
        return self.transform

    @property
    def promised_share(self) -> float | None:
        """Share of truths that intervals are meant to hold; None where no head has an interval."""
        return getattr(self, "coverage_share", None) if any(head.has_interval for head in self.heads) else None

    @property
    def series_column(self) -> str | None:
        """The column of a reading that answers are about; None where the target is a column of its own."""
        return None

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """Columns of a reading that no question holds: a record's target."""
        return ()

    @abstractmethod
    def find_target(self, columns: Sequence[Column]) -> Column:
        """The column that answers are about."""

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
        """Refuse a case that this task cannot be asked of.

        Raises:
            InvalidInput: the message names the case and the setting.
        """

    @property
    def named_targets(self) -> tuple[Column, ...]:
        """Targets that an outcome has to name, each as a column; empty where there is only one."""
        return ()

    @abstractmethod
    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """Columns of a table of answers: each holds one number of the graph, or a head's most probable label."""

    @abstractmethod
    def describe_answers(self) -> list[dict[str, Any]]:
        """What the columns of an answer stand for, as plain JSON values."""

    @property
    def answers_sha256(self) -> str:
        """Digest of `describe_answers` as canonical JSON: graphs that carry the same one may answer for the task."""
        content = json.dumps(self.describe_answers(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()


def check_coverage(task: str, share: float) -> None:
    """Refuse a coverage that no interval should promise."""
    require(0.5 <= share < 1, f"{task}.coverage_share is {share}; use 0.5 to below 1.")


def check_series(name: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
    """What a series needs: features, and numbers alone."""
    require(bool(features), f"Case {name} has no features; a series is learned by some, so name one.")
    labelled = [column.name for column in columns if column.labels]
    require(not labelled, f"Case {name} has the labels of {labelled} in a series; use numbers there.")
