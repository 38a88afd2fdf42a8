"""What every model family signs: a recipe is immutable settings, a model is what its `fit` returns.

Shapes: B windows, T readings in a window, F columns of a reading, K features, S = T - 1 feature steps, H steps ahead.
`x_BTF` raw readings (float32, the case's column order), `z_BSK` their features, `r_BH` cumulative log returns.

A recipe has no `predict`, so "not fitted yet" cannot happen. Recipe modules import their heavy library
inside `fit`: the serving image loads cases, and has neither torch nor statsmodels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor
    from torch import nn
    from xgboost import Booster

Floats = NDArray[np.float32]
Reads = Literal["z", "levels"]
"""What a network takes of a window: its features `z_BSK`, or the target's own levels `levels_BT`."""
Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each step of a fit: steps done, steps planned, the numbers of this step (`train_mse`, `valid_mse`)."""


@dataclass(frozen=True)
class WindowSet:
    """Windows with their truth: `x_BTF` raw readings, `z_BSK` features, `r_BH` log returns, `level_B` the last
    target level (its own unit), `at_B` the time of the last reading (datetime64[ns]).
    """

    x_BTF: Floats
    z_BSK: Floats
    r_BH: Floats
    level_B: NDArray[np.float64]
    at_B: NDArray[np.datetime64]
    target_index: int

    def __len__(self) -> int:
        return len(self.level_B)

    @property
    def levels_BT(self) -> Floats:  # noqa: N802  (a tensor carries its shape in its name)
        """The target's levels in each window, oldest first, in its own unit."""
        return self.x_BTF[:, :, self.target_index]

    def __getitem__(self, rows: slice) -> WindowSet:
        return WindowSet(
            self.x_BTF[rows], self.z_BSK[rows], self.r_BH[rows], self.level_B[rows], self.at_B[rows], self.target_index
        )


@dataclass(frozen=True)
class TrainingData:
    """What a recipe may see: windows to learn from, later windows to stop early by, and nothing newer."""

    train: WindowSet
    validation: WindowSet
    seed: int
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class ConstantCore:
    """The same log return whatever the window: `r_H`."""

    r_H: NDArray[np.float64]


@dataclass(frozen=True)
class AffineCore:
    """An affine map of the centred log levels `w_T = log(level_T) - log(level_last)`: `weight_HT @ w_T + bias_H`."""

    weight_HT: NDArray[np.float64]
    bias_H: NDArray[np.float64]


@dataclass(frozen=True)
class TorchCore:
    """A torch module from what it `reads` to log returns `r_BH`, with all scaling inside."""

    module: nn.Module
    reads: Reads = "z"


@dataclass(frozen=True)
class TreesCore:
    """Regression trees over the newest `lags` feature steps, oldest first, as one row of lags * K numbers.

    `trees` is one forest for all steps ahead, or one booster for each; what they say is in training standard
    deviations: `r_BH = said_BH * r_std_H + r_mean_H`.
    """

    trees: RandomForestRegressor | tuple[Booster, ...]
    lags: int
    r_mean_H: NDArray[np.float64]
    r_std_H: NDArray[np.float64]


Core = ConstantCore | AffineCore | TorchCore | TreesCore
"""What a fitted model hands to `okawari.graph`, the only place that speaks ONNX."""


class Model(Protocol):
    """A fitted model."""

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """Numbers per epoch; empty where the fit has none."""
        ...

    def predict(self, windows: WindowSet) -> Floats:
        """Log returns `r_BH` by the family's own library: what the graph has to equal."""
        ...

    def core(self) -> Core:
        """The part of the graph that is this model's own."""
        ...


class Recipe(Protocol):
    """Immutable settings of one candidate."""

    @property
    def name(self) -> str:
        """Short, unique within a case; the row's name in every leaderboard."""
        ...

    def fit(self, data: TrainingData, progress: Progress) -> Model:
        """Fit on `data.train`; equal seeds give equal numbers."""
        ...

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        ...


def no_progress(done: int, planned: int, numbers: Mapping[str, float]) -> None:
    """A `Progress` that shows nothing."""


@dataclass(frozen=True)
class Interval:
    """Half widths `half_width_H` in log returns that cover `coverage_share` of the calibration rows."""

    coverage_share: float
    half_width_H: NDArray[np.float64] = field(repr=False)
