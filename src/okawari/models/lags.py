"""What models without a sense of time read and learn: the newest feature steps as one row, standardised log returns.

Shapes: B windows, S feature steps, K features, L newest steps, H steps ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.models.recipe import Floats


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
class ReturnScale:
    """Mean and standard deviation of the training part's log returns, for each step ahead."""

    mean_H: NDArray[np.float64]
    std_H: NDArray[np.float64]

    @classmethod
    def measure(cls, r_BH: Floats) -> ReturnScale:
        """Of these log returns; a step that never moves is only centred."""
        std_H = r_BH.std(axis=0, dtype=np.float64)
        return cls(r_BH.mean(axis=0, dtype=np.float64), np.where(std_H > 0, std_H, 1.0))

    def shrink(self, r_BH: Floats) -> NDArray[np.float64]:
        """Log returns in training standard deviations from the training mean."""
        shrunk: NDArray[np.float64] = (r_BH - self.mean_H) / self.std_H
        return shrunk

    def grow(self, said_BH: NDArray[np.floating]) -> Floats:
        """The way back, to log returns."""
        return (said_BH * self.std_H + self.mean_H).astype(np.float32)
