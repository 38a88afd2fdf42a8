"""What a search leaves: its trials, and the best of their models. Knows nothing of how settings are proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from okawari.models.cores import Core
from okawari.models.protocols import Model, Recipe, Storable
from okawari.models.windows import Floats, WindowSet

State = Literal["finished", "pruned", "refused", "killed"]
"""How a trial ended: with a model; given up as no better than others; without a model; with its process."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of one trial: `loss` is that of its model, `valid_losses` those after each epoch."""

    number: int
    state: State
    settings: Mapping[str, str]
    loss: float | None
    valid_losses: tuple[float, ...]
    reason: str | None
    """Why its settings led to no model, where they did not."""
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SearchedModel:
    """The best model of a search, the recipe that it comes from, and all trials."""

    best: Model
    recipe: Recipe
    trials: tuple[Trial, ...]

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """Numbers per epoch of the best model."""
        return self.best.history

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by the best model."""
        return self.best.predict(windows)

    def core(self) -> Core:
        """The best model's core."""
        return self.best.core()


def find_storable(model: Model) -> Storable | None:
    """Whose weights are kept of a model: its own, or those of a search's best; None where there are none."""
    whole = model.best if isinstance(model, SearchedModel) else model
    return whole if isinstance(whole, Storable) else None
