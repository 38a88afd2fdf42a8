"""Transforms from a target to what models learn, such as the move from a forecast's last level, and back.

    LogReturn     r = log(ahead / level)     ahead = level * exp(r)     levels that are always above 0
    Difference    r = ahead - level          ahead = level + r          any levels, also 0 and below
    NoTransform   r = ahead                  ahead = r                  labels, and several targets of a series

The same transforms as ONNX nodes are registered in `okawari.graph.transforms`. Arrays broadcast as in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput

Learns = Literal["growth", "difference"]
"""Names of a forecast's transforms in a case file."""
Array = NDArray[np.float64]


class Transform(Protocol):
    """Converts between a target's levels, in its own unit, and the learning target."""

    @property
    def needs_positive(self) -> bool:
        """Whether levels must be above 0."""
        ...

    @property
    def is_additive(self) -> bool:
        """Whether moves add up, so that the move over a season is the sum of the moves within it."""
        ...

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """The move from `level` to `ahead`, which models learn."""
        ...

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """The level after the move `r` from `level`."""
        ...

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """Levels, clipped to the bounds of the target's column."""
        ...

    def straighten(self, levels: NDArray[Any]) -> Array:
        """The levels on a scale on which every move is a difference."""
        ...

    def find_summand(self, levels: NDArray[Any]) -> float:
        """Largest summand of answers, which determines their rounding error; 0 where answers are not sums."""
        ...

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself, for a recipe that forecasts moves from a last level.

        Raises:
            InvalidInput: this task has no last level.
        """
        ...


@dataclass(frozen=True)
class LogReturn:
    """Growth: the logarithm of the ratio. Models of levels that grow tenfold do not generalise; models of growth do.

    Example:
        >>> LogReturn().backward(np.array([4.0]), np.array([0.0]))
        array([4.])
    """

    needs_positive: bool = True
    is_additive: bool = False

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """`log(ahead / level)`."""
        moved: Array = np.log(ahead / level)
        return moved

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """`level * exp(r)`."""
        ahead: Array = level * np.exp(r)
        return ahead

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """The levels themselves: growth keeps them above 0."""
        return levels

    def straighten(self, levels: NDArray[Any]) -> Array:
        """Logarithms."""
        logs: Array = np.log(levels)
        return logs

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: answers are products."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself."""
        return self


@dataclass(frozen=True)
class Difference:
    """The difference, for targets that may be 0 or below: temperatures, net flows, or sales that are 0 on some days.

    Example:
        >>> Difference().forward(np.array([4.0]), np.array([0.0]))
        array([-4.])
    """

    needs_positive: bool = False
    is_additive: bool = True

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """`ahead - level`."""
        moved: Array = ahead - level
        return moved

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """`level + r`."""
        ahead: Array = level + r
        return ahead

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """The nearest levels within the bounds.

        Example:
            >>> Difference().clip(np.array([-1.0, 2.0]), 0.0, None)
            array([0., 2.])
        """
        clipped: Array = np.clip(levels, minimum, maximum)
        return clipped

    def straighten(self, levels: NDArray[Any]) -> Array:
        """The levels themselves."""
        return levels

    def find_summand(self, levels: NDArray[Any]) -> float:
        """The largest level: an answer is the sum of a level and a move."""
        return float(np.abs(levels).max())

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself."""
        return self


def refuse_moves(recipe: str) -> Transform:
    """Raise `InvalidInput`, because the task of a recipe has no last level."""
    raise InvalidInput(
        f"{recipe} forecasts the next values of a series, and this case has another task; leave it out "
        "of the case's candidates."
    )


@dataclass(frozen=True)
class NoTransform:
    """Models learn the answer itself: a label, or several targets."""

    needs_positive: bool = False
    is_additive: bool = False

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """`ahead`."""
        return ahead

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """`r`."""
        return r

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """The answers themselves."""
        return levels

    def straighten(self, levels: NDArray[Any]) -> Array:
        """The levels themselves."""
        return levels

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: answers are not sums."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """Always raises `InvalidInput`, because this task has no last level."""
        return refuse_moves(recipe)


TRANSFORMS: Mapping[Learns, Transform] = {"growth": LogReturn(), "difference": Difference()}
"""The transforms of a forecast by their names in a case file."""
