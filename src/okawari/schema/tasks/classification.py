"""Classify: one of several labels, from one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okawari.errors import require
from okawari.schema.heads import Head
from okawari.schema.tasks.record import RecordTask
from okawari.schema.tasks.task import Parts


@dataclass(frozen=True, kw_only=True)
class Classify(RecordTask):
    """Predict the label `target` of a record from its other columns; `target` is not an input."""

    def __post_init__(self) -> None:
        require(
            bool(self.target.labels), f"Classify.target {self.target.name} has no labels; use Regress or name them."
        )

    def name_answers(self, parts: Parts) -> dict[str, int | Head]:
        """`label`, and `p_<label>` for each label."""
        shares = {f"p_{label}": place for place, label in enumerate(self.target.labels)}
        return {"label": self.heads[0], **shares}

    def describe_answers(self) -> list[dict[str, Any]]:
        """The target's name and its labels, in the order of the columns."""
        return [{"name": self.target.name, "labels": list(self.target.labels)}]
