"""The baseline for several targets at once: current values persist, with the frequencies of the training part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.cores import AffineCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """Recipe of a first-order Markov chain for each labelled head; for a number, the prediction is its current value
    or the mean of the training part, whichever had the smaller squared error in training.

    The probability of a label is the frequency with which it followed the current label, with one more occurrence
    spread evenly over all labels, so that no probability is 0. Growth tends to persist; acceleration does not, and its
    mean near zero means that growth persists. Source: Anderson and Goodman, Statistical Inference about Markov Chains,
    1957.
    """

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "persistence"

    def fit(self, data: TrainingData, progress: Progress) -> PersistenceModel:
        """Count transitions in `data.train`.

        Raises:
            InvalidInput: the windows have no current values of targets, as in all tasks but Anticipate.
        """
        now_BH = _require_current(data.train)
        next_BH = data.train.r_BH
        weight_HH, bias_H = np.zeros(2 * (now_BH.shape[1],)), np.zeros(now_BH.shape[1])
        for head in data.heads:
            part = head.columns
            weight_HH[part, part], bias_H[part] = _persist(head, now_BH[:, part], next_BH[:, part])
        return PersistenceModel(weight_HH=weight_HH, bias_H=bias_H)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Persistence"}


def _require_current(windows: WindowSet) -> Floats:
    if windows.now_BH is None:
        raise InvalidInput(
            "Persistence needs the current values of targets, and this task has none; it takes an Anticipate task. Use "
            "RandomWalk for a forecast and Constant for records."
        )
    return windows.now_BH


@singledispatch
def _persist(head: Head, now_BC: Floats, next_BC: Floats) -> tuple[Array, Array]:
    """Weight [C, C] and bias [C] of one head."""
    raise NotImplementedError(f"Persistence has no fit for {type(head).__name__}; register one here.")


@_persist.register
def _persist_number(head: NumberHead, now_BC: Floats, next_BC: Floats) -> tuple[Array, Array]:
    """The current number if its squared error against the next one is below that of the mean; else the mean."""
    stays = float(np.mean((next_BC - now_BC) ** 2, dtype=np.float64)) < float(next_BC.var(dtype=np.float64))
    mean_C = next_BC.mean(axis=0, dtype=np.float64)
    return (np.eye(1), np.zeros(1)) if stays else (np.zeros((1, 1)), mean_C)


@_persist.register
def _persist_label(head: LabelHead, now_BC: Floats, next_BC: Floats) -> tuple[Array, Array]:
    """Logarithms of the transition probabilities [next, now]."""
    counts = next_BC.astype(np.float64).T @ now_BC + 1 / head.width
    logs: Array = np.log(counts / counts.sum(axis=0))
    return logs, np.zeros(head.width)


@dataclass(frozen=True, kw_only=True)
class PersistenceModel:
    """Logarithms of transition probabilities, and means of numbers, as an affine map of the current values."""

    weight_HH: Array
    bias_H: Array
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by numpy in float64."""
        return (_require_current(windows) @ self.weight_HH.T + self.bias_H).astype(np.float32)

    def core(self) -> AffineCore:
        """The affine map."""
        return AffineCore(self.weight_HH, self.bias_H, reads="now")
