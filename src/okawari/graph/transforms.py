"""The transforms of `okawari.schema.transforms` as ONNX nodes: from levels to moves, and from moves to answers.

    moves           level, levels -> w
    answer stage    level, r -> mean, lower, upper; without moves: r -> mean, lower, upper

Shapes: B windows (dynamic), T readings, H columns of an answer; everything float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from okawari.case import Case
from okawari.graph.stages import Constants, Dims, Part, build_stage, log_ratio, require_shape, tiny
from okawari.graph.tabular_stage import build_heads_stage
from okawari.models.cores import Interval
from okawari.schema.columns import Column
from okawari.schema.transforms import Difference, LogReturn, NoTransform, Transform

_LEAST, _MOST = "answer/minimum", "answer/maximum"
Follow = Callable[[str, str], list[onnx.NodeProto]]
"""Builds the nodes from a learnt move to a future level; both tensors are given by name."""


@singledispatch
def build_moves(transform: Transform) -> Part:
    """Nodes from "levels" [B, T] and "level" [B, 1] to "w" [B, T], the move of each level relative to the last."""
    raise NotImplementedError(f"No nodes are defined for {type(transform).__name__}; register them here.")


@build_moves.register
def _build_returns(transform: LogReturn) -> Part:
    return log_ratio("levels", "level", "w"), {"w/tiny": tiny()}


@build_moves.register
def _build_differences(transform: Difference) -> Part:
    return [helper.make_node("Sub", ["levels", "level"], ["w"])], {}


@singledispatch
def build_answer_stage(transform: Transform, case: Case, interval: Interval | None) -> onnx.ModelProto:
    """Build the stage from "r" and, for moves, "level" to "mean" and, with an interval, "lower" and "upper".

    Raises:
        InvalidInput: the interval has another width than the case's answers.
    """
    raise NotImplementedError(f"No nodes are defined for {type(transform).__name__}; register them here.")


@build_answer_stage.register
def _answer_by_heads(transform: NoTransform, case: Case, interval: Interval | None) -> onnx.ModelProto:
    return build_heads_stage(case, interval)


@build_answer_stage.register
def _answer_by_returns(transform: LogReturn, case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = level * exp(r)` and `lower, upper = level * exp(r -/+ half_width)`."""
    return _build_levels(case, interval, _scaled_exponent, {})


@build_answer_stage.register
def _answer_by_differences(transform: Difference, case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = level + r`, `lower, upper = level + r -/+ half_width`, clipped to the column's `minimum` and `maximum`.

    Clipping keeps the promised coverage: true values lie within these limits, so an interval that held one still does,
    and no error of the mean grows. (The limit `above` is exclusive, so it has no nearest value to clip to.)
    """
    bounds = _list_bounds(case.target)
    return _build_levels(case, interval, partial(_clipped_sum, bounds=bounds), bounds)


def _build_levels(case: Case, interval: Interval | None, follow: Follow, constants: Constants) -> onnx.ModelProto:
    dims: Dims = ("B", case.task.width)
    nodes, outputs = follow("r", "mean"), {"mean": dims}
    if interval is not None:
        require_shape("Interval.half_width_H", interval.half_width_H, (case.task.width,))
        nodes += [helper.make_node("Sub", ["r", "half_width"], ["answer/low"]), *follow("answer/low", "lower")]
        nodes += [helper.make_node("Add", ["r", "half_width"], ["answer/up"]), *follow("answer/up", "upper")]
        outputs |= {"lower": dims, "upper": dims}
        constants = {**constants, "half_width": interval.half_width_H.astype(np.float32)}
    return build_stage("answer", nodes, {"level": ("B", 1), "r": dims}, outputs, constants)


def _scaled_exponent(returns: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Exp", [returns], [f"{out}/growth"]),
        helper.make_node("Mul", ["level", f"{out}/growth"], [out]),
    ]


def _clipped_sum(moves: str, out: str, *, bounds: Constants) -> list[onnx.NodeProto]:
    if not bounds:
        return [helper.make_node("Add", ["level", moves], [out])]
    limits = [name if name in bounds else "" for name in (_LEAST, _MOST)]
    return [
        helper.make_node("Add", ["level", moves], [f"{out}/sum"]),
        helper.make_node("Clip", [f"{out}/sum", *limits], [out]),
    ]


def _list_bounds(target: Column) -> dict[str, NDArray[Any]]:
    """The minimum and the maximum of a column, if it has them."""
    bounds: dict[str, NDArray[Any]] = {}
    if target.minimum is not None:
        bounds[_LEAST] = np.float32(0) - _round_up(-target.minimum)  # avoids -0, which would appear in answers
    if target.maximum is not None:
        bounds[_MOST] = _round_up(target.maximum)
    return bounds


def _round_up(value: float) -> NDArray[np.float32]:
    """The smallest float32 that is not below `value`, so that a true value equal to its limit stays inside."""
    near = np.float32(value)
    return np.asarray(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))
