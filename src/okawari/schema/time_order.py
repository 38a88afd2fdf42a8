"""The order of times: strictly ascending. Only home of this rule.

Shapes: N times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def find_disorder(times_N: NDArray[Any]) -> int | None:
    """Place of the first time that does not come after the one before it; None if all times ascend.

    Times are of any type that can be compared, such as datetime64, nanoseconds or aware datetimes as objects.

    Example:
        >>> find_disorder(np.array([1, 2, 2, 5]))
        2
    """
    places = np.flatnonzero(times_N[1:] <= times_N[:-1])
    return int(places[0]) + 1 if places.size else None
