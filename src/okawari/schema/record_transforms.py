"""Transforms from a record's number to what models learn, and back.

    Level         r = ahead                  ahead = r
    Logarithm     r = log(ahead)             ahead = exp(r)             numbers that are always above 0

The same transforms as ONNX nodes are registered in `okawari.graph.transforms`. Arrays broadcast as in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from okawari.schema.transforms import Array, Transform, refuse_moves

LearnsNumber = Literal["level", "logarithm"]
"""Names of a number's transforms in a case file."""


@dataclass(frozen=True)
class Level:
    """Models learn a record's number itself. Answers keep to the bounds of its column.

    Example:
        >>> Level().clip(np.array([-1.0, 2.0]), 0.0, None)
        array([0., 2.])
    """

    needs_positive: bool = False
    is_additive: bool = False

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """`ahead`."""
        return ahead

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """`r`."""
        return r

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """The nearest numbers within the bounds."""
        clipped: Array = np.clip(levels, minimum, maximum)
        return clipped

    def straighten(self, levels: NDArray[Any]) -> Array:
        """The numbers themselves."""
        return levels

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: answers are not sums."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """Always raises `InvalidInput`, because this task has no last level."""
        return refuse_moves(recipe)


@dataclass(frozen=True)
class Logarithm:
    """Models learn the logarithm of a positive, skewed number, so that an interval is as wide as its level is high.

    The answer `exp(r)` is the median where the logarithm is spread evenly around `r`; the mean is higher. The median is
    answered, because it lies within every interval and no single large value moves it.

    Example:
        >>> Logarithm().backward(np.array([4.0]), np.array([0.0]))
        array([1.])
    """

    needs_positive: bool = True
    is_additive: bool = False

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """`log(ahead)`."""
        logs: Array = np.log(ahead)
        return logs

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """`exp(r)`."""
        ahead: Array = np.exp(r)
        return ahead

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """The nearest numbers within the bounds."""
        clipped: Array = np.clip(levels, minimum, maximum)
        return clipped

    def straighten(self, levels: NDArray[Any]) -> Array:
        """Logarithms."""
        logs: Array = np.log(levels)
        return logs

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: answers are not sums."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """Always raises `InvalidInput`, because this task has no last level."""
        return refuse_moves(recipe)


NUMBER_TRANSFORMS: Mapping[LearnsNumber, Transform] = {"level": Level(), "logarithm": Logarithm()}
"""The transforms of a record's number by their names in a case file."""
