"""Classify: one of some labels, from one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from okawari.errors import require
from okawari.schema.columns import Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, RecordLayout
from okawari.schema.tasks.task import Parts, Task, check_records


@dataclass(frozen=True, kw_only=True)
class Classify(Task):
    """Predict which label `target` of a record has from its other columns; `target` is no input."""

    target: Column

    def __post_init__(self) -> None:
        require(
            bool(self.target.labels), f"Classify.target {self.target.name} has no labels; use Regress or name them."
        )

    @property
    def layout(self) -> DataLayout:
        """Records."""
        return RecordLayout()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The label."""
        return (self.target.head,)

    @property
    def question_length(self) -> int:
        """The record."""
        return 1

    @property
    def truth_delay(self) -> int:
        """None: the truth comes with the record."""
        return 0

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """The target."""
        return (self.target,)

    def find_target(self, columns: Sequence[Column]) -> Column:
        """The target."""
        return self.target

    def check_case(self, name: str, time: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
        """Records have no features and no time of their own."""
        check_records(name, time, self.target, columns, features)

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """`label`, and `p_<label>` for each."""
        shares = {f"p_{label}": place for place, label in enumerate(self.target.labels)}
        return {"label": self.heads[0], **shares}

    def describe_answers(self) -> list[dict[str, Any]]:
        """The target's name and its labels, in the order of the columns."""
        return [{"name": self.target.name, "labels": list(self.target.labels)}]
