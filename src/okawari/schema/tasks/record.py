"""What tasks about one record have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from okawari.errors import require
from okawari.schema.columns import Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, RecordLayout
from okawari.schema.tasks.task import ARRIVED, Task


@dataclass(frozen=True, kw_only=True)
class RecordTask(Task):
    """Predict `target` of a record from its other columns; `target` is no input."""

    target: Column

    @property
    def layout(self) -> DataLayout:
        """Records."""
        return RecordLayout()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The target's."""
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
        """Records have no features and no time of their own, and the target is no input."""
        names, target = [column.name for column in columns], self.target.name
        require(target not in names, f"Case {name} lists its target {target} as a column; leave it out.")
        require(not features, f"Case {name} has features; a record's columns are its features. Leave them out.")
        require(ARRIVED not in (*names, target), f"Case {name} has a column {ARRIVED!r}, a name of ours; rename it.")
        require(time == ARRIVED, f"Case {name} has the time {time!r}; records have none. Write time=ARRIVED.")
