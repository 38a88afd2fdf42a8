"""Heads: the parts of an answer, numbers or labels. Each head is a range of the answer's columns.

    NumberHead    `n_steps` numbers in one unit; a forecast is one number head of H steps
    LabelHead     one column for each label; the true value is 1 for the label that occurred and 0 for all others,
                  models predict logits, answers hold probabilities

Shapes: B windows, H columns of an answer, C columns of one head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.formats import format_share
from okawari.schema.head import SMALLEST_SHARE, Array, Head, NumberHead

__all__ = ["SMALLEST_SHARE", "Head", "LabelHead", "NumberHead", "mark_shares", "name_heads", "split_heads"]
_TINY = float(np.finfo(np.float64).tiny)


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

    def to_learnt(self, answer_BC: Array) -> Array:
        """Logarithms, whose softmax gives the shares again; it also scales shares whose sum is not 1."""
        logits: Array = np.log(np.maximum(answer_BC, _TINY))
        return logits

    def measure_errors(self, predicted_BC: Array, true_BC: Array) -> Array:
        """`-log p` of the true label, in nats."""
        share_B = (self.answer(predicted_BC) * true_BC).sum(axis=1)
        surprise_B1: Array = -np.log(np.maximum(share_B, SMALLEST_SHARE))[:, None]
        return surprise_B1

    def level(self, values_BC: Array) -> Array:
        """The indicators themselves."""
        return values_BC

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
