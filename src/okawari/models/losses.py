"""What an answer's heads mean for its numbers: which columns are shares of labels, the loss, and its slope.

Shapes: B windows, H columns of an answer. A head's columns are numbers, or belong to the labels of one question: there
the truth is 1 for the label that came and 0 for all others, and a model says logits. No heads: all columns are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from okawari.models.cores import SMALLEST_SHARE
from okawari.schema.tasks import Head

Numbers = NDArray[np.float64]


def mark_labels(heads: Sequence[Head], width: int) -> NDArray[np.bool_]:
    """Which of the columns of an answer belong to labels."""
    is_label_H = np.zeros(width, dtype=np.bool_)
    for head in heads:
        is_label_H[head.columns] = bool(head.labels)
    return is_label_H


def to_logits(values: NDArray[np.floating], is_share_H: NDArray[np.bool_]) -> Numbers:
    """Shares [..., H] as their logarithms, none taken of less than SMALLEST_SHARE; all else passes.

    A softmax over the columns of a head gives its shares back, as parts of one.
    """
    passed = np.asarray(values, dtype=np.float64)
    return np.where(is_share_H, np.log(np.maximum(passed, SMALLEST_SHARE)), passed)


def joint_loss(said_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()) -> float:
    """Sum over the heads: of numbers their mean squared error in the units that came, of labels their cross entropy in
    nats. What `training.joint_loss` is to torch.
    """
    said, true = said_BH.astype(np.float64), true_BH.astype(np.float64)
    return sum(_measure(said[:, each.columns], true[:, each.columns], each) for each in _name_all(heads, said.shape[1]))


def _name_all(heads: Sequence[Head], width: int) -> Sequence[Head]:
    return heads or (Head(name="all", start=0, stop=width),)


def _measure(said: Numbers, true: Numbers, head: Head) -> float:
    if head.labels:
        return float(np.mean(np.logaddexp.reduce(said, axis=1) - (said * true).sum(axis=1)))
    return float(np.mean((said - true) ** 2))


def differentiate_loss(
    said_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Slope and curvature of each row's loss in each column [B, H]: half the squared error, or the cross entropy.

    A softmax with the probabilities p has the slope p - truth. Twice the diagonal p (1 - p) of its Hessian stands for
    the whole, which is nowhere more curved, so that a step of all columns at once does not go too far. Source:
    Friedman, Greedy Function Approximation, 2001, section 4.6, for one tree per label and round.
    """
    slope_BH, curve_BH = said_BH - true_BH, np.ones_like(said_BH)
    for head in heads:
        if head.labels:
            said = said_BH[:, head.columns]
            share = np.exp(said - np.logaddexp.reduce(said, axis=1, keepdims=True))
            slope_BH[:, head.columns] = share - true_BH[:, head.columns]
            curve_BH[:, head.columns] = 2 * share * (1 - share)
    return slope_BH, curve_BH
