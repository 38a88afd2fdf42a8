"""Rules between the columns of a reading: frozen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class AtLeast:
    """A rule between two columns of the same reading: `greater` is never below `smaller`.

    `slack_share` is the tolerance for rounding, as a share of `smaller`.
    """

    greater: str
    smaller: str
    slack_share: float = 0.0

    @property
    def label(self) -> str:
        """The rule in readable form."""
        return f"{self.greater} >= {self.smaller}"

    def holds(self, greater_N: NDArray[np.float64], smaller_N: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of N readings satisfies the rule; True where a number is missing.

        >>> AtLeast(greater="high", smaller="low").holds(np.array([2.0, 1.0]), np.array([1.0, 2.0])).tolist()
        [True, False]
        """
        kept_N: NDArray[np.bool_] = ~(greater_N < smaller_N * (1 - self.slack_share))  # NaN is below nothing
        return kept_N
