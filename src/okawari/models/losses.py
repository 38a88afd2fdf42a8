"""What an answer's heads mean for its numbers: which columns are shares of labels, the loss, and its slope.

Shapes: B windows, H columns of an answer. A head's columns are numbers, or belong to the labels of one question: there
the truth is 1 for the label that came and 0 for all others, and a model says logits. No heads: all columns are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from okawari.schema.heads import SMALLEST_SHARE, Head, name_heads

Numbers = NDArray[np.float64]


def to_logits(values: NDArray[np.floating], is_share_H: NDArray[np.bool_]) -> Numbers:
    """Shares [..., H] as their logarithms, none taken of less than SMALLEST_SHARE; all else passes.

    A softmax over the columns of a head gives its shares back, as parts of one.
    """
    passed = np.asarray(values, dtype=np.float64)
    return np.where(is_share_H, np.log(np.maximum(passed, SMALLEST_SHARE)), passed)


def joint_loss(said_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()) -> float:
    """Sum of the heads' losses: mean squared error of numbers in the units that came, cross entropy of labels in nats.

    The same as `torch_training.joint_loss` is for torch.
    """
    said, true = said_BH.astype(np.float64), true_BH.astype(np.float64)
    named = name_heads(heads, said.shape[1])
    return sum(each.measure_loss(said[:, each.columns], true[:, each.columns]) for each in named)


def differentiate_loss(
    said_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Slope and curvature of each row's loss in each column [B, H]; see `Head.find_slopes`."""
    slope_BH, curve_BH = np.empty_like(said_BH), np.empty_like(said_BH)
    for head in name_heads(heads, said_BH.shape[1]):
        slopes = head.find_slopes(said_BH[:, head.columns], true_BH[:, head.columns])
        slope_BH[:, head.columns], curve_BH[:, head.columns] = slopes
    return slope_BH, curve_BH
