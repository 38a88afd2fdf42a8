"""How a forecast's target moves from its last level, which is what models learn, and the way back.

    LogReturn     r = log(ahead / level)     ahead = level * exp(r)     levels that are always above 0
    Difference    r = ahead - level          ahead = level + r          any levels, also 0 and below
    NoTransform   r = ahead                  ahead = r                  numbers and labels that move from nothing

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
"""What a case file calls the transform of a forecast."""
Array = NDArray[np.float64]


class Transform(Protocol):
    """Between a target's levels, in its own unit, and what models learn."""

    @property
    def needs_positive(self) -> bool:
        """Whether a level of 0 or below has no transform."""
        ...

    @property
    def is_additive(self) -> bool:
        """Whether a season adds to the level, so that what comes a season later is the sum of a season's moves."""
        ...

    def forward(self, level: NDArray[Any], ahead: NDArray[Any]) -> Array:
        """What models learn of the way from `level` to `ahead`."""
        ...

    def backward(self, level: NDArray[Any], r: NDArray[Any]) -> Array:
        """Where `r` leads from `level`."""
        ...

    def clip(self, levels: NDArray[Any], minimum: float | None, maximum: float | None) -> Array:
        """Levels as they are answered where the target's column has these bounds."""
        ...

    def straighten(self, levels: NDArray[Any]) -> Array:
        """The levels on the scale on which every move is a difference."""
        ...

    def measure_unit(self, straight_N: Array) -> float:
        """The unit in which a model with a diffuse initial state counts straightened levels."""
        ...

    def find_summand(self, levels: NDArray[Any]) -> float:
        """Largest number that an answer is a sum of, in whose size it rounds; 0 where answers are no sums."""
        ...

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself, for a recipe that forecasts moves from a last level.

        Raises:
            InvalidInput: nothing moves from a last level here.
        """
        ...


@dataclass(frozen=True)
class LogReturn:
    """Growth: the logarithm of the ratio. Levels that grow tenfold do not generalise, their growth does.

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

    def measure_unit(self, straight_N: Array) -> float:
        """1: logarithms have no unit."""
        return 1.0

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: an answer is a product."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself."""
        return self


@dataclass(frozen=True)
class Difference:
    """The plain difference, for targets that may be 0 or below: temperatures, net flows, sales with days without any.

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

    def measure_unit(self, straight_N: Array) -> float:
        """Standard deviation of the changes; 1 for a series that never changes."""
        return float(np.diff(straight_N).std()) or 1.0

    def find_summand(self, levels: NDArray[Any]) -> float:
        """The largest level: an answer is a level and what is added to it."""
        return float(np.abs(levels).max())

    def require_moves(self, recipe: str) -> Transform:
        """The transform itself."""
        return self


@dataclass(frozen=True)
class NoTransform:
    """What is learnt is the answer itself: a record's number, a label, or several targets."""

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

    def measure_unit(self, straight_N: Array) -> float:
        """1."""
        return 1.0

    def find_summand(self, levels: NDArray[Any]) -> float:
        """0: an answer is no sum."""
        return 0.0

    def require_moves(self, recipe: str) -> Transform:
        """Refused, because nothing moves from a last level."""
        raise InvalidInput(
            f"{recipe} forecasts the next values of a series, and this case asks for something else; leave it out "
            "of the case's candidates."
        )


TRANSFORMS: Mapping[Learns, Transform] = {"growth": LogReturn(), "difference": Difference()}
"""The transforms of a forecast by the name that a case file gives them."""
