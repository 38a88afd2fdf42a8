"""The settings that a candidate has chosen, as a recipe that keeps the candidate's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okawari.models.fit_context import Progress, TrainingData
from okawari.models.protocols import Model, Recipe


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A recipe under the name of the candidate that has chosen its settings.

    Example:
        >>> from okawari.models.linear import Linear
        >>> Chosen(candidate="search_linear", recipe=Linear(penalty=2.5)).name
        'search_linear'
    """

    candidate: str
    recipe: Recipe

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate

    def fit(self, data: TrainingData, progress: Progress) -> Model:
        """Fit the chosen recipe."""
        return self.recipe.fit(data, progress)

    def describe(self) -> dict[str, Any]:
        """The candidate and the settings that it has chosen."""
        return {"recipe": "Chosen", "candidate": self.candidate, "of": self.recipe.describe()}
