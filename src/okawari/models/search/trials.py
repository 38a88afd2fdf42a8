"""The result of a search: its trials and the best model. Independent of how settings are proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from okawari.models.chosen import Chosen
from okawari.models.cores import Core
from okawari.models.protocols import Model, Recipe, Settled, Storable
from okawari.models.windows import Floats, WindowSet

State = Literal["finished", "pruned", "refused", "killed"]
"""How a trial ended: with a model; with a loss above the median of others; with refused settings; by a kill."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of one trial: the `loss` of its model, and the `valid_losses` after each epoch."""

    number: int
    state: State
    settings: Mapping[str, str]
    loss: float | None
    valid_losses: tuple[float, ...]
    reason: str | None
    """Why its settings led to no model; None for other trials."""
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SearchedModel:
    """The best model of a search, the recipe that made it, and all trials. `candidate` is the search's name."""

    best: Model
    recipe: Recipe
    trials: tuple[Trial, ...]
    candidate: str = "search"

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """Numbers per epoch of the best model."""
        return self.best.history

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH`, predicted by the best model."""
        return self.best.predict(windows)

    def settle(self) -> Chosen:
        """The best trial's recipe, with what its own early stopping has chosen, under the name of the search."""
        recipe = self.best.settle() if isinstance(self.best, Settled) else self.recipe
        return Chosen(candidate=self.candidate, recipe=recipe)

    def core(self) -> Core:
        """The best model's core."""
        return self.best.core()


def find_storable(model: Model) -> Storable | None:
    """The model whose weights can be saved: the model itself, or the best one of a search; None without weights."""
    whole = model.best if isinstance(model, SearchedModel) else model
    return whole if isinstance(whole, Storable) else None
