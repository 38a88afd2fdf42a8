"""How a forecast's target moves from its last level, which is what models learn, and the way back: one home for both.

    growth       r = log(ahead / level)     ahead = level * exp(r)     levels that are always above 0
    difference   r = ahead - level          ahead = level + r          any levels, those of 0 and below included

A graph takes the same two ways in its own operators (`okawari.graph.stages`). Arrays broadcast like numpy's.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Learns = Literal["growth", "difference"]
"""What models learn of the way from the last level to a later one."""
Array = NDArray[np.float64]


def measure_move(level: NDArray[Any], ahead: NDArray[Any], learns: Learns) -> Array:
    """What has to be learnt of the way from `level` to `ahead`, both in the target's unit.

    Example:
        >>> measure_move(np.array([4.0]), np.array([0.0]), "difference")
        array([-4.])
    """
    moved: Array = np.log(ahead / level) if learns == "growth" else ahead - level
    return moved


def follow_move(level: NDArray[Any], r: NDArray[Any], learns: Learns) -> Array:
    """Where what was learnt leads to from `level`, in the target's unit.

    Example:
        >>> follow_move(np.array([4.0]), np.array([0.0]), "growth")
        array([4.])
    """
    ahead: Array = level * np.exp(r) if learns == "growth" else level + r
    return ahead


def straighten(levels: NDArray[Any], learns: Learns) -> Array:
    """The levels on the scale on which every move is a difference: their logarithms, or they themselves."""
    straight: Array = np.log(levels) if learns == "growth" else levels
    return straight
