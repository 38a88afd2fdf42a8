"""Regress: a number, from one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from okawari.errors import require
from okawari.schema.heads import Head
from okawari.schema.record_transforms import NUMBER_TRANSFORMS, LearnsNumber
from okawari.schema.tasks.record import RecordTask
from okawari.schema.tasks.task import Parts, check_coverage
from okawari.schema.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class Regress(RecordTask):
    """Predict the number `target` of a record from its other columns; `target` is not an input.

    Answers and intervals keep to the bounds of the target's column. Models learn, by `learns`:

        learns="level"       the number itself; an interval has the same width everywhere
        learns="logarithm"   its logarithm, for skewed amounts that are always above 0: prices, revenues, durations. The
                             answer is the median, no bound is below 0, and an interval is as wide as its level is high
    """

    learns: LearnsNumber = "level"
    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(not self.target.labels, f"Regress.target {self.target.name} has labels; use Classify for them.")
        require(
            self.learns in get_args(LearnsNumber),
            f"Regress.learns is {self.learns!r}; models learn {' or '.join(map(repr, get_args(LearnsNumber)))}. Use "
            "'logarithm' for skewed numbers that are always above 0.",
        )
        require(
            self.target.is_positive or not self.transform.needs_positive,
            f"Regress.target {self.target.name} may be zero or below, and Regress.learns is {self.learns!r}, which "
            "takes numbers above 0. Give the target above=0, or write learns='level'.",
        )
        check_coverage("Regress", self.coverage_share)

    @property
    def transform(self) -> Transform:
        """The transform that `learns` names."""
        return NUMBER_TRANSFORMS[self.learns]

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """`mean`, `lower` and `upper`."""
        return dict(parts)

    def describe_answers(self) -> list[dict[str, Any]]:
        """The target's name."""
        return [{"name": self.target.name}]
