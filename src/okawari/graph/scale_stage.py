"""The scales of `okawari.models.scales` as ONNX nodes of the answer stage: from a window to "scale", [B, 1] or [B, H].

The half widths of an interval are `width_H * scale`. `width_H` is an input of the graph with a default, the calibrated
widths: a service may give wider or narrower ones, and a caller that gives none gets the calibrated ones.

Shapes: B windows (dynamic), T readings, S = T - 1 moves, K features, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from okawari.case import Case
from okawari.graph.stages import Dims, ints, require_shape, widen
from okawari.models.cores import Interval
from okawari.models.scales import ConstantScale, FeatureScale, LevelScale, MoveScale, Scale

WIDTH = "width_H"
"""Input of a graph: half widths before scaling, float64 [H]. Its default are the calibrated ones."""
HALF = "half_width"


@dataclass(frozen=True)
class WidthPart:
    """Nodes to `HALF`, half widths of each window, with the inputs that they add to the answer stage."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    inputs: Mapping[str, Dims] = field(default_factory=dict)


def build_widths(interval: Interval, case: Case) -> WidthPart:
    """Nodes from `WIDTH` and the window to `HALF`, [1, H] or [B, H] in float64.

    Raises:
        InvalidInput: the interval has another width than the case's answers, or a scale other features.
    """
    width = case.task.width
    require_shape("Interval.half_width_H", interval.half_width_H, (width,))
    part = build_scale(interval.scale, case)
    widths = {WIDTH: interval.half_width_H.astype(np.float64)}
    last = (
        helper.make_node("Mul", [WIDTH, "scale"], [HALF])
        if part.nodes
        else helper.make_node("Identity", [WIDTH], [HALF])
    )
    return WidthPart([*part.nodes, last], {**part.constants, **widths}, {**part.inputs, WIDTH: (width,)})


@singledispatch
def build_scale(scale: Scale, case: Case) -> WidthPart:
    """Nodes to "scale" in float64; none for a constant scale."""
    raise NotImplementedError(f"No nodes are defined for {type(scale).__name__}; register them here.")


@build_scale.register
def _build_constant(scale: ConstantScale, case: Case) -> WidthPart:
    return WidthPart()


@build_scale.register
def _build_moves(scale: MoveScale, case: Case) -> WidthPart:
    """From the first half of "known", whose missing levels are NaN."""
    history = case.history
    nodes = [
        helper.make_node("Slice", ["known", "scale/one", "scale/length", "scale/axis"], ["scale/newer"]),
        helper.make_node("Slice", ["known", "scale/zero", "scale/last", "scale/axis"], ["scale/older"]),
        helper.make_node("Sub", ["scale/newer", "scale/older"], ["scale/moves"]),
        helper.make_node("Div", ["scale/moves", "scale/typical"], ["scale/relative"]),
        helper.make_node("Mul", ["scale/relative", "scale/relative"], ["scale/squared"]),
        helper.make_node("IsNaN", ["scale/squared"], ["scale/missing"]),
        helper.make_node("Min", ["scale/squared", "scale/most"], ["scale/limited"]),
        helper.make_node("Where", ["scale/missing", "scale/usual", "scale/limited"], ["scale/known"]),
        helper.make_node("Gemm", ["scale/known", "scale/weights", "scale/rest"], ["scale/mixed"]),
        helper.make_node("Sqrt", ["scale/mixed"], ["scale/narrow"]),
        widen("scale/narrow", "scale"),
    ]
    weight_S1 = scale.mix * scale.weigh(history - 1)[:, None]
    numbers = {"scale/typical": scale.typical, "scale/most": scale.most**2, "scale/usual": 1.0}
    constants: dict[str, NDArray[Any]] = {
        "scale/zero": ints(0), "scale/one": ints(1), "scale/last": ints(history - 1), "scale/length": ints(history),
        "scale/axis": ints(1), "scale/weights": weight_S1.astype(np.float32),
        "scale/rest": np.array([1 - scale.mix], dtype=np.float32),
        **{name: np.array(value, dtype=np.float32) for name, value in numbers.items()},
    }  # fmt: skip
    return WidthPart(nodes, constants, {"known": ("B", 2 * history)})


@build_scale.register
def _build_levels(scale: LevelScale, case: Case) -> WidthPart:
    """From "mean"; the answer's own bounds change nothing, because `least` and `most` lie within them."""
    nodes = [
        helper.make_node("Clip", ["mean", "scale/least", "scale/highest"], ["scale/level"]),
        helper.make_node("Div", ["scale/level", "scale/typical"], ["scale/relative"]),
        helper.make_node("Pow", ["scale/relative", "scale/power"], ["scale"]),
    ]
    numbers = {"least": scale.least, "highest": scale.most, "typical": scale.typical, "power": scale.power}
    return WidthPart(nodes, {f"scale/{name}": np.array(value, dtype=np.float64) for name, value in numbers.items()})


@build_scale.register
def _build_features(scale: FeatureScale, case: Case) -> WidthPart:
    """From the features of the newest reading."""
    n_features = case.n_features
    require_shape("FeatureScale.weight_K", scale.weight_K, (n_features,))
    nodes = [
        helper.make_node("Reshape", ["z", "scale/row"], ["scale/features"]),
        helper.make_node("Gemm", ["scale/features", "scale/weights", "scale/bias"], ["scale/logarithm"]),
        helper.make_node("Clip", ["scale/logarithm", "scale/lowest", "scale/highest"], ["scale/limited"]),
        helper.make_node("Exp", ["scale/limited"], ["scale/narrow"]),
        widen("scale/narrow", "scale"),
    ]
    constants: dict[str, NDArray[Any]] = {
        "scale/row": ints(-1, n_features), "scale/weights": scale.weight_K[:, None].astype(np.float32),
        "scale/bias": np.array([scale.bias], dtype=np.float32),
        "scale/lowest": np.array(scale.lowest, dtype=np.float32),
        "scale/highest": np.array(scale.highest, dtype=np.float32),
    }  # fmt: skip
    return WidthPart(nodes, constants, {"z": ("B", case.n_feature_steps, n_features)})
