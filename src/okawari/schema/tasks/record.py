"""The common base of tasks about one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from okawari.errors import require
from okawari.schema.columns import NAME, Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head
from okawari.schema.layout import DataLayout, RecordLayout
from okawari.schema.tasks.task import ARRIVED, Task
from okawari.schema.timed_records import TimedRecordLayout


@dataclass(frozen=True, kw_only=True)
class RecordTask(Task):
    """Predict `target` of a record from its other columns; `target` is not an input."""

    target: Column

    @property
    def layout(self) -> DataLayout:
        """Records."""
        return RecordLayout()

    def choose_layout(self, time: str) -> DataLayout:
        """Records, in order of their own time if they have one."""
        return self.layout if time == ARRIVED else TimedRecordLayout()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The head of the target."""
        return (self.target.head,)

    @property
    def input_length(self) -> int:
        """1: the record."""
        return 1

    @property
    def truth_delay(self) -> int:
        """0: the true value arrives with the record."""
        return 0

    @property
    def own_columns(self) -> tuple[Column, ...]:
        """The target."""
        return (self.target,)

    def know_words(self, words: Mapping[str, Sequence[str]]) -> Task:
        """The task with these words as the labels of its target."""
        known = words.get(self.target.name)
        return self if known is None else replace(self, target=self.target.know_words(known))

    def count_first(self, n_first: Mapping[str, int]) -> Task:
        """The task with the number of labels that its target had at first."""
        return replace(self, target=self.target.count_first(n_first.get(self.target.name, 0)))

    def find_target(self, columns: Sequence[Column]) -> Column:
        """The target."""
        return self.target

    def check_case(self, name: str, time: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
        """Check that a case of records has no features, and that neither target nor time is an input."""
        names, target = [column.name for column in columns], self.target.name
        require(target not in names, f"Case {name} lists its target {target} as a column; leave it out.")
        require(not features, f"Case {name} has features; the columns of records are their features. Leave them out.")
        require(ARRIVED not in (*names, target), f"Case {name} has a column {ARRIVED!r}, a reserved name; rename it.")
        require(
            time not in (*names, target),
            f"Case {name} has the time {time!r}, which is also a column; the time of a record is no input. Leave the "
            "column out, or write time=ARRIVED for records without a time of their own.",
        )
        require(bool(NAME.match(time)), f"Case {name} has the time {time!r}; use lower-case letters, digits and _.")
