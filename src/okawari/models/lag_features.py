"""Inputs and targets of models without a time axis: the newest feature steps as one row, standardised numbers, and
labels as columns of 0 and 1.

Shapes: B windows, S feature steps, K features, L newest steps, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.losses import to_logits
from okawari.models.windows import Floats
from okawari.schema.heads import Head, mark_shares


def flatten_lags(z_BSK: Floats, lags: int) -> Floats:
    """The newest `lags` steps of each window as one row [B, L * K], oldest first.

    Raises:
        InvalidInput: a window has fewer steps.
    """
    n_windows, steps, _ = z_BSK.shape
    if lags > steps:
        raise InvalidInput(
            f"lags is {lags}; a window of this case has {steps} feature steps. Lower lags or lengthen the history."
        )
    return np.ascontiguousarray(z_BSK[:, -lags:].reshape(n_windows, -1), dtype=np.float32)


@dataclass(frozen=True)
class TargetScale:
    """Converts between `r_BH` and the scale on which trees are fitted and predict.

    Numbers are standardised by mean and standard deviation of the training part. Labels stay 0 and 1 (mean 0,
    deviation 1). Where `is_share_H` is true, trees predict the share of a label, and `r_BH` is its logarithm; otherwise
    they predict its logit.
    """

    mean_H: NDArray[np.float64]
    std_H: NDArray[np.float64]
    is_share_H: NDArray[np.bool_]

    @classmethod
    def measure(cls, r_BH: Floats, heads: Sequence[Head] = (), *, shares: bool = False) -> TargetScale:
        """The scale of these training rows; a constant number is only centred. `shares`: trees predict label shares."""
        is_label_H = mark_shares(heads, r_BH.shape[1])
        mean_H, std_H = r_BH.mean(axis=0, dtype=np.float64), r_BH.std(axis=0, dtype=np.float64)
        is_kept_H = is_label_H | (std_H == 0)
        return cls(np.where(is_label_H, 0.0, mean_H), np.where(is_kept_H, 1.0, std_H), is_label_H & shares)

    def standardise(self, r_BH: Floats) -> NDArray[np.float64]:
        """Rows of `r_BH` on the scale of the trees."""
        standardised: NDArray[np.float64] = (r_BH - self.mean_H) / self.std_H
        return standardised

    def restore(self, predicted_BH: NDArray[np.floating]) -> Floats:
        """Predictions of trees as `r_BH`, labels as logits."""
        return to_logits(predicted_BH * self.std_H + self.mean_H, self.is_share_H).astype(np.float32)
