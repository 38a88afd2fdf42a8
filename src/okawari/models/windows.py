"""Windows with their true values: the input and target of every model.

Shapes: B windows, T readings in a window, F columns of a reading, K features, S feature steps (T - 1, or 1 for
records), H columns of an answer: steps ahead, or one for a number, or one for each label.
`x_BTF` raw readings (float64, the case's column order), `z_BSK` their features, `r_BH` the learning target: for a
forecast, the target's move from its last level (`okawari.schema.transforms`); for other tasks, the number itself, or 1
for the label that occurred and 0 for all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from okawari.schema.imputation import Imputation
from okawari.schema.transforms import NoTransform, Transform

Floats = NDArray[np.float32]
"""What is learnt: features, learning targets, and what a model predicts."""
Values = NDArray[np.float64]
"""Values in their own units: readings, levels, answers. A level of 1e9 that changes by 10 needs them."""


@dataclass(frozen=True)
class WindowSet:
    """Windows with their true values: `x_BTF` raw readings, `z_BSK` features, `r_BH` learning targets, `level_B` the
    last target level of a series (in its own unit) or the true value of a record, `at_B` the time of the last reading
    (datetime64[ns]), `target_index` the target's index among the columns, if it is one of them. `now_BH` has the
    current values of several targets, in the columns of `r_BH`; None for other tasks. `transform` defines `r_BH`.
    `ahead_BH` has the true values in the target's own unit, as they were read; None where `r_BH` has them. A missing
    value of `x_BTF` is NaN; `imputation` is what the graph has for it, None where no value can be missing. `place_B` is
    the place of each last reading in its series; None where windows follow each other without a gap.
    """

    x_BTF: Values
    z_BSK: Floats
    r_BH: Floats
    level_B: Values
    at_B: NDArray[np.datetime64]
    target_index: int | None
    now_BH: Floats | None = None
    transform: Transform = NoTransform()  # noqa: RUF009  (frozen, without fields of its own)
    ahead_BH: Values | None = None
    imputation: Imputation | None = None
    place_B: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.level_B)

    @property
    def read_levels_BT(self) -> Values:  # noqa: N802  (a tensor carries its shape in its name)
        """The target's levels in each window as they were read, oldest first, in its own unit; NaN where missing."""
        return self.x_BTF[:, :, self.target_index]

    @property
    def exact_levels_BT(self) -> Values:  # noqa: N802
        """The same levels without missing ones, as the graph fills them."""
        if self.imputation is None or self.target_index is None:
            return self.read_levels_BT
        return self.imputation.fill_levels(self.read_levels_BT, self.target_index)

    @property
    def levels_BT(self) -> Floats:  # noqa: N802
        """The same levels in float32, as a graph hands them to a network."""
        return self.exact_levels_BT.astype(np.float32)

    @property
    def w_BT(self) -> Values:  # noqa: N802
        """Centred levels, an input for models of forecasts: each level's move from the last one."""
        levels_BT = self.exact_levels_BT
        return self.transform.forward(levels_BT[:, -1:], levels_BT)

    @property
    def true_BH(self) -> Values:  # noqa: N802
        """The true values in the target's own unit, in the columns of an answer."""
        return self.r_BH.astype(np.float64) if self.ahead_BH is None else self.ahead_BH

    def __getitem__(self, rows: slice) -> WindowSet:
        return self._take(rows)

    def pick(self, places: slice | NDArray[np.int64]) -> WindowSet:
        """The windows at these indices, in this order."""
        return self._take(places)

    def _take(self, rows: slice | NDArray[np.int64]) -> WindowSet:
        return replace(
            self,
            x_BTF=self.x_BTF[rows],
            z_BSK=self.z_BSK[rows],
            r_BH=self.r_BH[rows],
            level_B=self.level_B[rows],
            at_B=self.at_B[rows],
            now_BH=None if self.now_BH is None else self.now_BH[rows],
            ahead_BH=None if self.ahead_BH is None else self.ahead_BH[rows],
            place_B=None if self.place_B is None else self.place_B[rows],
        )
