"""The baseline of several targets at once: what is stays, as often as it did in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.recipe import AffineCore, Floats, Progress, TrainingData, WindowSet
from okawari.tasks import Head

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """Recipe of a first-order Markov chain for each labelled head, and of the training part's mean for each number.

    A label's probabilities are how often each label followed the one that stands now, plus one occurrence that is
    shared evenly by all labels, so that none is impossible. For the mean of an acceleration, which is near zero, the
    answer is the random walk's: the growth of now. Source: Anderson and Goodman, Statistical Inference about Markov
    Chains, 1957.
    """

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "persistence"

    def fit(self, data: TrainingData, progress: Progress) -> PersistenceModel:
        """Count transitions in `data.train`.

        Raises:
            InvalidInput: the windows do not know where their targets stand, as those of other tasks.
        """
        now_BH = _require_standing(data.train)
        weight_HH, bias_H = np.zeros(2 * (now_BH.shape[1],)), data.train.r_BH.mean(axis=0, dtype=np.float64)
        for head in data.heads:
            if head.labels:
                weight_HH[head.columns, head.columns] = _count_transitions(now_BH, data.train.r_BH, head)
                bias_H[head.columns] = 0.0
        return PersistenceModel(weight_HH=weight_HH, bias_H=bias_H)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Persistence"}


def _require_standing(windows: WindowSet) -> Floats:
    if windows.now_BH is None:
        raise InvalidInput(
            "Persistence goes by where targets stand now, and this task has no such state; it takes an Anticipate. Use "
            "RandomWalk for a forecast and Constant for records."
        )
    return windows.now_BH


def _count_transitions(now_BH: Floats, next_BH: Floats, head: Head) -> Array:
    """Logarithms of the probabilities [next, now]."""
    counts = next_BH[:, head.columns].astype(np.float64).T @ now_BH[:, head.columns] + 1 / len(head.labels)
    logs: Array = np.log(counts / counts.sum(axis=0))
    return logs


@dataclass(frozen=True, kw_only=True)
class PersistenceModel:
    """Logarithms of transition probabilities and means of numbers, as an affine map of where the targets stand."""

    weight_HH: Array
    bias_H: Array
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by numpy in float64."""
        return (_require_standing(windows) @ self.weight_HH.T + self.bias_H).astype(np.float32)

    def core(self) -> AffineCore:
        """The map itself."""
        return AffineCore(self.weight_HH, self.bias_H, reads="now")
