"""What models without a sense of time read and learn: the newest feature steps as one row, standardised numbers, and
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
    """Between what is to be learnt, `r_BH`, and what trees learn and say.

    Numbers are in standard deviations of the training part from its mean. Labels stay 0 and 1 (mean 0, deviation 1);
    where `is_share_H`, what is said of them is a share, of which `r_BH` is the logarithm, and else a logit already.
    """

    mean_H: NDArray[np.float64]
    std_H: NDArray[np.float64]
    is_share_H: NDArray[np.bool_]

    @classmethod
    def measure(cls, r_BH: Floats, heads: Sequence[Head] = (), *, shares: bool = False) -> TargetScale:
        """Of these training rows; a number that never moves is only centred. `shares`: trees say shares of labels."""
        is_label_H = mark_shares(heads, r_BH.shape[1])
        mean_H, std_H = r_BH.mean(axis=0, dtype=np.float64), r_BH.std(axis=0, dtype=np.float64)
        is_kept_H = is_label_H | (std_H == 0)
        return cls(np.where(is_label_H, 0.0, mean_H), np.where(is_kept_H, 1.0, std_H), is_label_H & shares)

    def shrink(self, r_BH: Floats) -> NDArray[np.float64]:
        """What trees learn of these rows of truth."""
        shrunk: NDArray[np.float64] = (r_BH - self.mean_H) / self.std_H
        return shrunk

    def grow(self, said_BH: NDArray[np.floating]) -> Floats:
        """What trees say as `r_BH`, labels as logits."""
        return to_logits(said_BH * self.std_H + self.mean_H, self.is_share_H).astype(np.float32)
