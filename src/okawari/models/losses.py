"""Losses of the heads of an answer, their gradients, and logits from shares.

Shapes: B windows, H columns of an answer. A head's columns are numbers or the labels of one target. For labels, the
true value is 1 for the label that occurred and 0 for all others, and models predict logits. Without heads, all columns
are numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from okawari.schema.heads import SMALLEST_SHARE, Head, name_heads

Numbers = NDArray[np.float64]


def to_logits(values: NDArray[np.floating], is_share_H: NDArray[np.bool_]) -> Numbers:
    """Logarithms of shares [..., H], with shares below SMALLEST_SHARE raised to it; other columns stay unchanged.

    A softmax over the columns of a head gives the shares again, with a sum of 1.
    """
    passed = np.asarray(values, dtype=np.float64)
    return np.where(is_share_H, np.log(np.maximum(passed, SMALLEST_SHARE)), passed)


def joint_loss(predicted_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()) -> float:
    """Sum of the heads' losses: mean squared error of numbers in their given units, cross entropy of labels in nats.

    `torch_training.joint_loss` is the same for torch.
    """
    predicted, true = predicted_BH.astype(np.float64), true_BH.astype(np.float64)
    named = name_heads(heads, predicted.shape[1])
    return sum(each.measure_loss(predicted[:, each.columns], true[:, each.columns]) for each in named)


def differentiate_loss(
    predicted_BH: NDArray[np.floating], true_BH: NDArray[np.floating], heads: Sequence[Head] = ()
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Slope and curvature of each row's loss in each column [B, H]; see `Head.find_slopes`."""
    slope_BH, curve_BH = np.empty_like(predicted_BH), np.empty_like(predicted_BH)
    for head in name_heads(heads, predicted_BH.shape[1]):
        slopes = head.find_slopes(predicted_BH[:, head.columns], true_BH[:, head.columns])
        slope_BH[:, head.columns], curve_BH[:, head.columns] = slopes
    return slope_BH, curve_BH
