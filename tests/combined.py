"""A combination with fixed weights as a recipe of its own, so that its graph can sign the contract of candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okawari.models.combination import CombinedModel
from okawari.models.cores import CombinedCore, Core, TreesCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.protocols import Recipe


@dataclass(frozen=True)
class FixedCombination:
    """Fits its members; member k of K has the weight k / (1 + ... + K)."""

    recipes: tuple[Recipe, ...]
    name: str = "fixed_combination"

    def fit(self, data: TrainingData, progress: Progress) -> CombinedModel:
        members = {recipe.name: recipe.fit(data, progress) for recipe in self.recipes}
        total = len(members) * (len(members) + 1) / 2
        weights = tuple((place + 1) / total for place in range(len(members)))
        return CombinedModel(members=members, weights=weights, heads=tuple(data.named_heads))

    def describe(self) -> dict[str, Any]:
        return {"recipe": "FixedCombination", "of": [recipe.describe() for recipe in self.recipes]}


def holds_trees(core: Core) -> bool:
    """Whether a core, or a member of it, has trees."""
    return any(map(holds_trees, core.cores)) if isinstance(core, CombinedCore) else isinstance(core, TreesCore)
