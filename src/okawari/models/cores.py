"""What a fitted model hands to the graph: its core, and the half widths of its interval.

Shapes: T readings in a window, N inputs of an affine map, K features, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from okawari.errors import require

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor
    from torch import nn
    from xgboost import Booster


Reads = Literal["z", "levels"]
"""What a network takes of a window: its features `z_BSK`, or the target's own levels `levels_BT`."""


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


ONNX_OPSETS: Mapping[str, int] = MappingProxyType({"": 20, "ai.onnx.ml": 3})
"""Versions of ONNX's own operator sets in every graph: the `target_opset` or `opset_version` of an exporter."""


@dataclass(frozen=True)
class OnnxCore:
    """A function in ONNX, as the bytes of its model, for recipes of libraries that no other core knows.

    The function has one float32 input, of what it `reads`, and a float32 output [B, H]; names are free. B, the number
    of windows, is a free dimension. Every `reads` names what the recipe's `predict` reads of a `WindowSet`:

    - "z": the features `z_BSK` as they are, [B, S, K]; or, where the input is declared as [B, N], the newest N / K
      feature steps in one row, oldest first, as `flatten_lags` makes it;
    - "w": the centred levels `w_BT` of a series, [B, T];
    - "levels": the target's own levels `levels_BT` of a series, [B, T].

    No feature is scaled before: scaling belongs into the function (a scikit-learn pipeline exports it with the rest).
    Where a function has several outputs, as a classifier's export has, `output` names the one that is the answer. It is
    `r_BH`, what models learn. The columns of labels are logits, or, with `labels_as="shares"`,
    probabilities as a classifier gives them; the graph takes their logarithm then.

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


Core = ConstantCore | AffineCore | TorchCore | TreesCore | OnnxCore
"""What a fitted model hands to `okawari.graph.cores`, which turns it into ONNX nodes."""


@dataclass(frozen=True)
class Interval:
    """Half widths `half_width_H`, in what models learn, that cover `coverage_share` of the calibration rows."""

    coverage_share: float
    half_width_H: NDArray[np.float64] = field(repr=False)
