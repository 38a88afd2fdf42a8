"""The parts of the graph that come from a fitted model: its core, and the half widths of its interval.

Shapes: T readings in a window, N inputs of an affine map, K features, H columns of an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require
from okawari.models.scales import ConstantScale, Scale
from okawari.models.tree_tables import TreeTable

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor
    from torch import nn
    from xgboost import Booster


Reads = Literal["z", "levels"]
"""Input of a network from a window: the features `z_BSK`, or the target's levels `levels_BT`."""


@dataclass(frozen=True)
class ConstantCore:
    """The same `r_H` for every window: moves, a number, or the logarithms of the shares of labels."""

    r_H: NDArray[np.float64]


@dataclass(frozen=True)
class AffineCore:
    """An affine map `weight_HN @ input_N + bias_H`. `reads` names its input: "w", the centred levels of a series,
    `w_T = log(level_T) - log(level_last)` or, where differences are learned, `level_T - level_last`; "z", all features
    of the window in one row; or "now", the current values of several targets.
    """

    weight_HN: NDArray[np.float64]
    bias_H: NDArray[np.float64]
    reads: Literal["w", "z", "now"] = "w"


@dataclass(frozen=True)
class FirstKnownCore:
    """For each column of an answer, the first centred level that is known among the readings of a window at
    `places_KH`, in order; where none of these K is known, the level that is carried forward to the first of them.
    """

    places_KH: NDArray[np.int64]


@dataclass(frozen=True)
class PhaseCore:
    """An affine map of the centred levels `w_N` whose bias depends on where in its season a window begins:
    `weight_HN @ w_N + share_P @ bias_PH` with `share_P = softmax(share_weight_PN @ w_N + share_bias_P)`.

    The exponents are computed in float64: they are large where a season is regular, and nearly equal for neighbours.
    """

    weight_HN: NDArray[np.float64]
    bias_PH: NDArray[np.float64]
    share_weight_PN: NDArray[np.float64]
    share_bias_P: NDArray[np.float64]


@dataclass(frozen=True)
class DemandCore:
    """The expected demand after the levels of a window, the same for all steps ahead: the share of readings that are
    not 0 times their mean size, smoothed with `share_weight` and `size_weight` from the first share and size.
    """

    size_weight: float
    share_weight: float
    first_share: float
    first_size: float


@dataclass(frozen=True)
class TorchCore:
    """A torch module from the input that `reads` names to `r_BH` (labels as logits), with all scaling inside."""

    module: nn.Module
    reads: Reads = "z"


@dataclass(frozen=True)
class TreesCore:
    """Regression trees over the newest `lags` feature steps, oldest first, as one row of lags * K numbers.

    `trees` is one forest for all columns of an answer, one booster for each, or a table of trees. Their predictions
    are scaled back to `predicted_BH * r_std_H + r_mean_H`. That is `r_BH`, except in the columns where `is_share_H` is
    true: there it is the share of a label, and `r_BH` is the logarithm of that share or of SMALLEST_SHARE, whichever is
    larger.
    """

    trees: RandomForestRegressor | tuple[Booster, ...] | TreeTable
    lags: int
    r_mean_H: NDArray[np.float64]
    r_std_H: NDArray[np.float64]
    is_share_H: NDArray[np.bool_]


ONNX_OPSETS: Mapping[str, int] = MappingProxyType({"": 20, "ai.onnx.ml": 3})
"""Versions of ONNX's own operator sets in every graph: the `target_opset` or `opset_version` of an exporter."""


@dataclass(frozen=True)
class OnnxCore:
    """A function in ONNX, as the bytes of its model, for recipes of libraries that no other core supports.

    The function has one float32 input and a float32 output [B, H]; their names are free. B, the number of windows, is a
    free dimension. `reads` names the input, which must be what the recipe's `predict` reads from a `WindowSet`:

    - "z": the features `z_BSK` unchanged, [B, S, K]; or, where the input is declared as [B, N], the newest N / K
      feature steps in one row, oldest first, as `flatten_lags` makes it;
    - "w": the centred levels `w_BT` of a series, [B, T];
    - "levels": the target's own levels `levels_BT` of a series, [B, T].

    The graph does not scale the features; scaling is part of the function (a scikit-learn pipeline exports it with the
    rest). If a function has several outputs, as an exported classifier has, `output` names the one to use. The output
    is `r_BH`, the learning target. The columns of labels are logits or, with `labels_as="shares"`, probabilities as
    classifiers predict them; then the graph takes their logarithm.

    Raises:
        InvalidInput: `function` is not of type bytes.
    """

    function: bytes = field(repr=False)
    reads: Literal["z", "w", "levels"] = "z"
    output: str | None = None
    labels_as: Literal["logits", "shares"] = "logits"

    def __post_init__(self) -> None:
        require(
            isinstance(self.function, bytes),
            f"OnnxCore.function is of type {type(self.function).__name__}; it takes the bytes of an ONNX model. "
            "Give model.SerializeToString().",
        )


@dataclass(frozen=True)
class CombinedCore:
    """Several cores in one graph, each with its own input, and one weight each: above 0, together 1.

    Numbers are the weighted sum of the members' `r`. For labels, the probabilities are the weighted sum of the members'
    probabilities; `r` is their logarithm.

    Example:
        >>> halves = (ConstantCore(np.array([1.0])), ConstantCore(np.array([3.0])))
        >>> CombinedCore(halves, weights=(0.5, 0.5)).weights
        (0.5, 0.5)

    Raises:
        InvalidInput: there is no member, or the weights are not those of a mean.
    """

    cores: tuple[Core, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        require(
            len(self.cores) == len(self.weights) > 0,
            f"CombinedCore has {len(self.cores)} cores and {len(self.weights)} weights; give one weight for each core.",
        )
        require(
            min(self.weights) > 0 and math.isclose(sum(self.weights), 1.0, abs_tol=1e-6),
            f"CombinedCore.weights is {self.weights}; weights are above 0 and sum to 1. Leave out "
            "cores without weight.",
        )


Core = (
    ConstantCore
    | AffineCore
    | FirstKnownCore
    | PhaseCore
    | DemandCore
    | TorchCore
    | TreesCore
    | OnnxCore
    | CombinedCore
)
"""The core of a fitted model; `okawari.graph.cores` turns it into ONNX nodes."""


@dataclass(frozen=True)
class Interval:
    """Half widths `half_width_H`, in the unit of `r_BH`, that cover `coverage_share` of the calibration rows when they
    are multiplied by the `scale` of each row.
    """

    coverage_share: float
    half_width_H: NDArray[np.float64] = field(repr=False)
    scale: Scale = ConstantScale()  # noqa: RUF009  (frozen, without fields of its own)
