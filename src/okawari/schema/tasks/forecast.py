"""Forecast: the next values of one of the columns, from a window of readings in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from okawari.errors import require
from okawari.schema.columns import Column
from okawari.schema.features import Feature
from okawari.schema.heads import Head, NumberHead
from okawari.schema.layout import DataLayout, SeriesLayout
from okawari.schema.tasks.task import Parts, Task, check_coverage, check_series
from okawari.schema.transforms import TRANSFORMS, Learns, Transform


@dataclass(frozen=True, kw_only=True)
class Forecast(Task):
    """Predict the next `horizon` values of `target` from the last `history` readings.

    Models learn the move of `target[t+h]`, h = 1..horizon, from the last level; answers are converted back to the
    target's own unit (`okawari.schema.transforms`):

        learns="growth"       log(target[t+h] / target[t]); models of levels that grow tenfold do not generalise
        learns="difference"   target[t+h] - target[t], for targets that may be 0 or below: sales that are 0 on some
                              days, temperatures, net flows. Answers are limited to the target column's `minimum` and
                              `maximum`.
    """

    target: str
    history: int = 60
    horizon: int = 5
    learns: Learns = "growth"
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(self.history >= 2, f"Forecast.history is {self.history}; it counts past readings, at least 2.")
        require(self.horizon >= 1, f"Forecast.horizon is {self.horizon}; it counts steps ahead, at least 1.")
        require(
            self.learns in get_args(Learns),
            f"Forecast.learns is {self.learns!r}; models learn {' or '.join(map(repr, get_args(Learns)))}. Use "
            "'difference' where the target may be 0 or below.",
        )
        check_coverage("Forecast", self.coverage_share)

    @property
    def layout(self) -> DataLayout:
        """One series."""
        return SeriesLayout()

    @property
    def heads(self) -> tuple[Head, ...]:
        """The target's next values."""
        return (NumberHead(name=self.target, start=0, n_steps=self.horizon),)

    @property
    def input_length(self) -> int:
        """The readings of the window."""
        return self.history

    @property
    def truth_delay(self) -> int:
        """The number of steps ahead."""
        return self.horizon

    @property
    def n_steps(self) -> int | None:
        """Steps ahead."""
        return self.horizon

    @property
    def transform(self) -> Transform:
        """The transform that `learns` names."""
        return TRANSFORMS[self.learns]

    @property
    def series_column(self) -> str | None:
        """The target."""
        return self.target

    def find_target(self, columns: Sequence[Column]) -> Column:
        """The column of that name."""
        return next(column for column in columns if column.name == self.target)

    @property
    def logged_columns(self) -> tuple[str, ...]:
        """The target, if its transform needs levels above 0."""
        return (self.target,) * self.transform.needs_positive

    @property
    def references(self) -> Mapping[str, set[str]]:
        """The target."""
        return {"task.target": {self.target}}

    def check_case(self, name: str, time: str, columns: Sequence[Column], features: Sequence[Feature]) -> None:
        """Check that a series has features and only numbers."""
        check_series(name, columns, features)

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """`mean_1`, `lower_1` and so on, one column for each step ahead."""
        return {f"{part}_{step + 1}": start + step for part, start in parts.items() for step in range(self.horizon)}

    def describe_answers(self) -> list[dict[str, Any]]:
        """The target and the steps ahead."""
        return [{"name": self.target, "steps": self.horizon}]
