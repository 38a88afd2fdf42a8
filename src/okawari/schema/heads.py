"""Heads: the parts of an answer, numbers or labels. Each head is a range of the answer's columns.

    NumberHead    `n_steps` numbers in one unit; a forecast is one number head of H steps
    LabelHead     one column for each label; the true value is 1 for the label that occurred and 0 for all others,
                  models predict logits, answers hold probabilities

Shapes: B windows, H columns of an answer, C columns of one head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.formats import format_number, format_share

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


@dataclass(frozen=True, kw_only=True)
class LabelHead(Head):
    """One label out of `words`, with the probability of each.

    Example:
        >>> LabelHead(name="size", start=1, words=("small", "large")).format_answer([0.25, 0.75])
        'large (75.0%)'
    """

    words: tuple[str, ...]
    n_first: int = 0
    """Number of labels at first; 0 if none were added since."""
    is_truth: bool = False

    has_interval = False
    is_share = True

    @property
    def width(self) -> int:
        """One column for each label."""
        return len(self.words)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels."""
        return self.words

    def encode(self, values_B: Array) -> Array:
        """1 in the column of the label, 0 in all others."""
        marks_BC: Array = (values_B[:, None] == np.arange(self.width)).astype(np.float64)
        return marks_BC

    def decode(self, values_BC: NDArray[Any]) -> Array:
        """The place of the most probable label."""
        place_B: Array = values_BC.argmax(axis=1).astype(np.float64)
        return place_B

    def answer(self, predicted_BC: Array) -> Array:
        """Softmax of the logits."""
        shares_BC: Array = np.exp(predicted_BC - np.logaddexp.reduce(predicted_BC, axis=1, keepdims=True))
        return shares_BC

    def measure_loss(self, predicted_BC: Array, true_BC: Array) -> float:
        """Cross entropy of the softmax, in nats."""
        return float(np.mean(np.logaddexp.reduce(predicted_BC, axis=1) - (predicted_BC * true_BC).sum(axis=1)))

    def find_slopes(self, predicted_BC: NDArray[Any], true_BC: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """`p - truth`, and twice the diagonal `p (1 - p)` of the Hessian.

        Twice the diagonal bounds the curvature of the whole Hessian, so a step in all columns at once is not too large.
        Source: Friedman, Greedy Function Approximation, 2001, section 4.6.
        """
        share = np.exp(predicted_BC - np.logaddexp.reduce(predicted_BC, axis=1, keepdims=True))
        return share - true_BC, 2 * share * (1 - share)

    def measure_uninformed(self, true_BC: NDArray[Any]) -> float:
        """Cross entropy with equal probabilities of all labels."""
        return float(np.log(self.width))

    def measure_difference(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> float:
        """Largest difference in probability."""
        return float(np.max(np.abs(mean_BC - full_BC.astype(np.float64))))

    def find_flips(self, mean_BC: NDArray[Any], full_BC: NDArray[Any]) -> Sequence[NDArray[np.bool_]]:
        """Rows whose most probable label differs."""
        return (mean_BC.argmax(axis=1) != full_BC.argmax(axis=1),)

    def format_answer(self, mean_C: Sequence[float]) -> str:
        """The most probable label and its probability."""
        return f"{self.name_best(mean_C)} ({format_share(max(mean_C), 1)})"

    def name_best(self, mean_C: Sequence[float]) -> str | None:
        """The most probable label."""
        return self.words[max(range(len(mean_C)), key=mean_C.__getitem__)]

    def identify(self, true_BC: NDArray[Any]) -> NDArray[Any]:
        """The columns of the first labels, with the place of a later label in the first column.

        So the digest of a record is the same after the head has learned more labels, and the record stays in its part
        of the split.
        """
        n_first = self.n_first or self.width
        kept_BN = true_BC[:, :n_first].copy()
        is_later_B = true_BC[:, n_first:].any(axis=1)
        kept_BN[is_later_B, 0] = true_BC[is_later_B].argmax(axis=1)
        return kept_BN

    def stratify(self, true_BC: NDArray[Any]) -> NDArray[np.int64]:
        """The place of the label."""
        places_B: NDArray[np.int64] = true_BC.argmax(axis=1).astype(np.int64)
        return places_B

    def translate(self, mean_BC: NDArray[Any], head: Head) -> NDArray[Any]:
        """The probability of each label of `head`; 0 for a label that this head does not have."""
        places = [self.words.index(word) if word in self.words else self.width for word in head.labels]
        padded_BC = np.concatenate([mean_BC, np.zeros((len(mean_BC), 1), dtype=mean_BC.dtype)], axis=1)
        translated_BC: NDArray[Any] = padded_BC[:, places]
        return translated_BC

    def to_place(self, value: float, label: str | None) -> float:
        """The place of the label; the number of labels for another word, and NaN where nothing is known."""
        word = self.to_label(value, label)
        if word is None:
            return float("nan")
        return float(self.words.index(word)) if word in self.words else float(self.width)

    def to_label(self, value: float, label: str | None) -> str | None:
        """The label. A true value without one was stored as its place, before words were."""
        is_place = label is None and 0 <= value < self.width
        return self.words[int(value)] if is_place else label


def name_heads(heads: Sequence[Head], width: int) -> Sequence[Head]:
    """The heads, or one number head over all columns where none are named."""
    return heads or (NumberHead(name="all", start=0, n_steps=width),)


def mark_shares(heads: Sequence[Head], width: int) -> NDArray[np.bool_]:
    """Whether each column of an answer is a probability, [H]."""
    is_share_H = np.zeros(width, dtype=np.bool_)
    for head in heads:
        is_share_H[head.columns] = head.is_share
    return is_share_H


def split_heads(values_BH: NDArray[Any], heads: Sequence[Head]) -> list[NDArray[Any]]:
    """The columns of each head, [B, C]."""
    return [values_BH[:, head.columns] for head in heads]
