"""Protocols of every model family: a recipe is immutable settings, a model is the result of its `fit`.

A recipe has no `predict`, so "not fitted yet" cannot happen. Recipe modules import their heavy library inside `fit`:
the serving image loads cases, and has neither torch nor statsmodels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from okawari.models.cores import Core
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet


class Model(Protocol):
    """A fitted model."""

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """Numbers of each epoch; empty for fits without epochs."""
        ...

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH`, predicted by the family's own library, labels as logits; the graph must compute the same."""
        ...

    def core(self) -> Core:
        """The part of the graph that is specific to this model."""
        ...


@runtime_checkable
class Storable(Protocol):
    """A model whose weights a later training of the same recipe may start from."""

    def save_weights(self, path: Path) -> None:
        """Write the weights to a file that can be loaded without running code."""
        ...


@runtime_checkable
class Settled(Protocol):
    """A model whose fit has chosen something on the validation part: a number of rounds or epochs, or settings."""

    def settle(self) -> Recipe:
        """The recipe with what early stopping or a search has chosen fixed; its fit reads no validation windows.

        It has the name of the candidate, so that a leaderboard and a later training find it.
        """
        ...


class Recipe(Protocol):
    """Immutable settings of one candidate."""

    @property
    def name(self) -> str:
        """Short name, unique within a case; it names the row in every leaderboard."""
        ...

    def fit(self, data: TrainingData, progress: Progress) -> Model:
        """Fit on `data.train`; equal seeds give equal numbers."""
        ...

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        ...
