"""The base of all heads, and the head of numbers. `okawari.schema.heads` has the others, and imports these.

Shapes: B windows, H columns of an answer, C columns of one head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.formats import format_number

Array = NDArray[np.float64]
SMALLEST_SHARE = 1e-6
"""Smallest probability of a label: labels that did not occur in training stay possible, and logarithms finite."""


@dataclass(frozen=True, kw_only=True)
class Head(ABC):
    """A range of an answer's columns that begins at `start`. `unit` is shown beside a number."""

    name: str
    start: int
    unit: str = ""

    has_interval = True
    """Whether answers have an interval."""
    is_share = False
    """Whether columns are probabilities, which models predict as logits and which have no scale."""
    is_truth = False
    """Whether the labels are "false" and "true", which are truth values in JSON and in files of answers."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of columns of this head."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each column; empty for numbers."""
        return ()

    def write_json(self, label: str | None) -> str | bool | None:
        """A label in JSON: as it is, or true or false."""
        return label == "true" if self.is_truth and label is not None else label

    @property
    def stop(self) -> int:
        """The column after the last one."""
        return self.start + self.width

    @property
    def columns(self) -> slice:
        """The slice of this head's columns in an answer."""
        return slice(self.start, self.stop)

    @abstractmethod
    def encode(self, values_B: Array) -> Array:
        """Values (a label as its place) as rows of true values [B, C]."""

    @abstractmethod
    def decode(self, values_BC: NDArray[Any]) -> Array:
        """One value for each row [B]: the first number, or the place of the most probable label."""

    @abstractmethod
    def answer(self, predicted_BC: Array) -> Array:
        """Convert model outputs to answers: numbers as they are, logits to probabilities."""

    @abstractmethod
    def to_learnt(self, answer_BC: Array) -> Array:
        """Predictions that give this answer: the inverse of `answer`."""

    @abstractmethod
    def measure_errors(self, predicted_BC: Array, true_BC: Array) -> Array:
        """The loss of each row: [B, C] of numbers, [B, 1] of a label."""

    @abstractmethod
    def level(self, values_BC: Array) -> Array:
        """Learning targets of which every column weighs alike in a loss."""

    @abstractmethod
    def measure_loss(self, predicted_BC: Array, true_BC: Array) -> float:
        """Loss of model outputs (labels as logits), the mean over rows: squared error, or cross entropy in nats."""

    @abstractmethod
    def find_slopes(self, predicted_BC: NDArray[Any], true_BC: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Slope and curvature of each row's loss in each column [B, C]: half the squared error, or cross entropy."""

    @abstractmethod
    def measure_uninformed(self, true_BC: NDArray[Any]) -> float:
        """Loss of a row for an uninformed prediction: the variance of true values, or `log C` for one of C labels."""

    @abstractmethod
    def measure_difference(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> float:
        """Largest difference of two answers: for numbers a share of the largest |full|, for labels in probability."""

    @abstractmethod
    def find_flips(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> Sequence[NDArray[np.bool_]]:
        """Rows with another label, as a list of one array [B]; an empty list for numbers."""

    @abstractmethod
    def format_answer(self, mean_C: Sequence[float]) -> str:
        """One answer as text."""

    def name_best(self, mean_C: Sequence[float]) -> str | None:
        """The most probable label; None for numbers."""
        return None

    def identify(self, true_BC: NDArray[Any]) -> NDArray[Any]:
        """The true values as a record's digest covers them."""
        return true_BC

    def stratify(self, true_BC: NDArray[Any]) -> NDArray[np.int64]:
        """The stratum of each true value, of which every part of a split gets its share; 0 for numbers."""
        return np.zeros(len(true_BC), dtype=np.int64)

    def translate(self, mean_BC: NDArray[Any], head: Head) -> NDArray[Any]:
        """An answer of this head with the columns of `head`, which has the same kind and name."""
        return mean_BC

    def to_place(self, value: float, label: str | None) -> float:
        """A stored true value as a number: the value, or the place of the label (of the last one + 1 if unknown)."""
        return value

    def to_label(self, value: float, label: str | None) -> str | None:
        """A stored true value as a label; None for numbers."""
        return None


@dataclass(frozen=True, kw_only=True)
class NumberHead(Head):
    """`n_steps` numbers; for a forecast, one for each step ahead.

    Example:
        >>> NumberHead(name="close", start=0, n_steps=5).columns
        slice(0, 5, None)
    """

    n_steps: int = 1

    @property
    def width(self) -> int:
        """One column for each step."""
        return self.n_steps

    def encode(self, values_B: Array) -> Array:
        """The numbers as one column."""
        return values_B[:, None]

    def decode(self, values_BC: NDArray[Any]) -> Array:
        """The first step."""
        first_B: Array = values_BC[:, 0].astype(np.float64)
        return first_B

    def answer(self, predicted_BC: Array) -> Array:
        """The numbers as they are."""
        return predicted_BC

    def to_learnt(self, answer_BC: Array) -> Array:
        """The answer itself."""
        return answer_BC

    def measure_errors(self, predicted_BC: Array, true_BC: Array) -> Array:
        """Squared errors."""
        squared_BC: Array = (predicted_BC - true_BC) ** 2
        return squared_BC

    def level(self, values_BC: Array) -> Array:
        """In standard deviations of their column, so that far steps weigh as much as near ones."""
        spread_C = values_BC.std(axis=0)
        levelled: Array = values_BC / np.where(spread_C > 0, spread_C, 1.0)
        return levelled

    def measure_loss(self, predicted_BC: Array, true_BC: Array) -> float:
        """Mean squared error in the given units."""
        return float(np.mean((predicted_BC - true_BC) ** 2))

    def find_slopes(self, predicted_BC: NDArray[Any], true_BC: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The error, and 1."""
        return predicted_BC - true_BC, np.ones_like(predicted_BC)

    def measure_uninformed(self, true_BC: NDArray[Any]) -> float:
        """Variance of the true values; 1 if they are constant."""
        return float(true_BC.astype(np.float64).var()) or 1.0

    def measure_difference(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> float:
        """Largest difference as a share of the largest |full|."""
        full = full_BC.astype(np.float64)
        return float(np.max(np.abs(mean_BC - full))) / (float(np.max(np.abs(full))) or 1.0)

    def find_flips(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> Sequence[NDArray[np.bool_]]:
        """Empty: numbers have no labels."""
        return ()

    def format_answer(self, mean_C: Sequence[float]) -> str:
        """The first number, which is the next step of a forecast."""
        return format_number(mean_C[0], beside=mean_C) + (" one step ahead" if self.n_steps > 1 else "")
