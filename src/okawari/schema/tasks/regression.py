"""Regress: a number, from one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okawari.errors import require
from okawari.schema.heads import Head
from okawari.schema.tasks.record import RecordTask
from okawari.schema.tasks.task import Parts, check_coverage


@dataclass(frozen=True, kw_only=True)
class Regress(RecordTask):
    """Predict the number `target` of a record from its other columns; `target` is not an input."""

    coverage_share: float = 0.9

    def __post_init__(self) -> None:
        require(not self.target.labels, f"Regress.target {self.target.name} has labels; use Classify for them.")
        check_coverage("Regress", self.coverage_share)

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """`mean`, `lower` and `upper`."""
        return dict(parts)

    def describe_answers(self) -> list[dict[str, Any]]:
        """The target's name."""
        return [{"name": self.target.name}]
