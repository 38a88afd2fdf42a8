"""What every model family signs: a recipe is immutable settings, a model is what its `fit` returns.

Shapes: B windows, T readings in a window, F columns of a reading, K features, S feature steps (T - 1, or 1 of a
record), H columns of an answer: steps ahead, or one for a number, or one for each label.
`x_BTF` raw readings (float32, the case's column order), `z_BSK` their features, `r_BH` what models learn: of a forecast
how the target moves from its last level (cumulative log returns or differences: `okawari.schema.transforms`), else a
number itself, or 1 for its label and 0 for all others.

A recipe has no `predict`, so "not fitted yet" cannot happen. Recipe modules import their heavy library
inside `fit`: the serving image loads cases, and has neither torch nor statsmodels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.schema.transforms import Learns, measure_move

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor
    from torch import nn
    from xgboost import Booster

    from okawari.schema.tasks import Head

Floats = NDArray[np.float32]
Reads = Literal["z", "levels"]
"""What a network takes of a window: its features `z_BSK`, or the target's own levels `levels_BT`."""
SMALLEST_SHARE = 1e-6
"""Least probability that a model gives a label: what never came in training is not impossible, and logs stay finite."""
Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each step of a fit: steps done, steps planned, the numbers of this step (`train_loss`, `valid_loss`)."""


@dataclass(frozen=True)
class WindowSet:
    """Windows with their truth: `x_BTF` raw readings, `z_BSK` features, `r_BH` what is learned, `level_B` the last
    target level of a series (its own unit) or the truth itself of a record, `at_B` the time of the last reading
    (datetime64[ns]), `target_index` the target's place among the columns, where it is one of them, and `now_BH` where
    several targets stand in the last reading, laid out like `r_BH`; None of other tasks. Of a forecast, `learns` says
    what `r_BH` is, and `ahead_BH` is the truth as it was read, in the target's own unit; None of other tasks.
    """

    x_BTF: Floats
    z_BSK: Floats
    r_BH: Floats
    level_B: NDArray[np.float64]
    at_B: NDArray[np.datetime64]
    target_index: int | None
    now_BH: Floats | None = None
    learns: Learns | None = None
    ahead_BH: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.level_B)

    @property
    def levels_BT(self) -> Floats:  # noqa: N802  (a tensor carries its shape in its name)
        """The target's levels in each window, oldest first, in its own unit."""
        return self.x_BTF[:, :, self.target_index]

    @property
    def w_BT(self) -> NDArray[np.float64]:  # noqa: N802
        """The levels as a forecast's models may read them: each one's move away from the last."""
        assert self.learns is not None, "only a forecast's models learn moves"
        levels_BT = self.levels_BT.astype(np.float64)
        return measure_move(levels_BT[:, -1:], levels_BT, self.learns)

    def __getitem__(self, rows: slice) -> WindowSet:
        return self._take(rows)

    def pick(self, places: NDArray[np.int64]) -> WindowSet:
        """The windows at these places, in this order."""
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
        )


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What a fit works with: `device`, where a torch model trains (auto, cpu or cuda), and its number of threads.

    `study` is the file where a search keeps its trials, so that a training that was killed goes on; None where nothing
    is to be kept. `start` is a file of weights to begin with, for recipes that are warm.
    """

    device: str = "cpu"
    threads: int = 1
    study: Path | None = None
    start: Path | None = None


PLAIN_BENCH = Workbench()
"""One thread of the CPU, and nothing is kept."""


@dataclass(frozen=True)
class TrainingData:
    """What a recipe may see: windows to learn from, others to stop early by, and nothing that judges.

    `heads` name the columns of `r_BH`; without any, all of them are numbers.
    """

    train: WindowSet
    validation: WindowSet
    seed: int
    heads: tuple[Head, ...] = ()
    bench: Workbench = PLAIN_BENCH

    def require_forecast(self, recipe: str) -> Learns:
        """Refuse windows of records and of several targets, for a recipe that only knows moves from a last level.

        Returns:
            What is learnt of these moves.

        Raises:
            InvalidInput: the task is no forecast.
        """
        if self.train.learns is None:
            raise InvalidInput(
                f"{recipe} forecasts the next values of a series, and this case asks for something else; leave it out "
                "of the case's candidates."
            )
        return self.train.learns


@dataclass(frozen=True)
class ConstantCore:
    """The same answer whatever the window: `r_H`, moves, a number, or the logarithms of shares of labels."""

    r_H: NDArray[np.float64]


@dataclass(frozen=True)
class AffineCore:
    """An affine map `weight_HN @ input_N + bias_H` of what it reads: "w", the centred levels of a series,
    `w_T = log(level_T) - log(level_last)` or, where differences are learnt, `level_T - level_last`; "z", all features
    of the window in one row; or "now", where several targets stand.
    """

    weight_HN: NDArray[np.float64]
    bias_H: NDArray[np.float64]
    reads: Literal["w", "z", "now"] = "w"


@dataclass(frozen=True)
class TorchCore:
    """A torch module from what it `reads` to `r_BH` (labels as logits), with all scaling inside."""

    module: nn.Module
    reads: Reads = "z"


@dataclass(frozen=True)
class TreesCore:
    """Regression trees over the newest `lags` feature steps, oldest first, as one row of lags * K numbers.

    `trees` is one forest for all columns of an answer, or one booster for each; what they say is grown to
    `said_BH * r_std_H + r_mean_H`. That is `r_BH`, but for the columns where `is_share_H`: there it is the share of a
    label, and `r_BH` is the logarithm of it or of SMALLEST_SHARE, whichever is more.
    """

    trees: RandomForestRegressor | tuple[Booster, ...]
    lags: int
    r_mean_H: NDArray[np.float64]
    r_std_H: NDArray[np.float64]
    is_share_H: NDArray[np.bool_]


Core = ConstantCore | AffineCore | TorchCore | TreesCore
"""What a fitted model hands to `okawari.graph.inference`, the only place that speaks ONNX."""


class Model(Protocol):
    """A fitted model."""

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """Numbers per epoch; empty where the fit has none."""
        ...

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH` by the family's own library, labels as logits: what the graph has to equal."""
        ...

    def core(self) -> Core:
        """The part of the graph that is this model's own."""
        ...


@runtime_checkable
class Storable(Protocol):
    """A model whose weights a later training of the same recipe may begin with."""

    def save_weights(self, path: Path) -> None:
        """Write the weights as a file that is loaded without running code."""
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
    """Half widths `half_width_H`, in what models learn, that cover `coverage_share` of the calibration rows."""

    coverage_share: float
    half_width_H: NDArray[np.float64] = field(repr=False)
