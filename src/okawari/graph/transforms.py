"""The transforms of `okawari.schema.transforms` as ONNX nodes: from levels to moves, and from moves to answers.

    moves           level, levels -> w
    answer stage    level, r -> mean, lower, upper; without moves: r -> mean, lower, upper. An interval also takes
                    `width_H` and what its scale reads (`okawari.graph.scale_stage`)

Shapes: B windows (dynamic), T readings, H columns of an answer. Levels and answers are float64, moves and `r` float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from okawari.case import Case
from okawari.graph.scale_stage import HALF, build_widths
from okawari.graph.stages import Constants, Dims, Part, build_stage, log_ratio, narrow, tiny, widen
from okawari.graph.tabular_stage import build_heads_stage
from okawari.models.cores import Interval
from okawari.schema.columns import Column
from okawari.schema.record_transforms import Level, Logarithm
from okawari.schema.transforms import Difference, LogReturn, NoTransform, Transform

LEVELS = "levels/exact"
"""The target of each reading in float64, [B, T]."""
_LEAST, _MOST = "answer/minimum", "answer/maximum"
Follow = Callable[[str, str], list[onnx.NodeProto]]
"""Builds the nodes from a learnt move to a future level; both tensors are given by name."""


@singledispatch
def build_moves(transform: Transform) -> Part:
    """Nodes from `LEVELS` [B, T] and "level" [B, 1] to "w" [B, T], the move of each level relative to the last."""
    raise NotImplementedError(f"No nodes are defined for {type(transform).__name__}; register them here.")


@build_moves.register
def _build_returns(transform: LogReturn) -> Part:
    return log_ratio(LEVELS, "level", "w"), {"w/tiny": tiny()}


@build_moves.register
def _build_differences(transform: Difference) -> Part:
    return [helper.make_node("Sub", [LEVELS, "level"], ["w/exact"]), narrow("w/exact", "w")], {}


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
    """`mean = level + r`, `lower, upper = level + r -/+ half_width`, clipped to the column's bounds.

    Clipping keeps the promised coverage: true values lie within these limits, so an interval that held one still does,
    and no error of the mean grows.
    """
    bounds = _list_bounds(case.target)
    return _build_levels(case, interval, partial(_clipped, compute=_add_level, bounds=bounds), bounds)


@build_answer_stage.register
def _answer_by_levels(transform: Level, case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = r` and `lower, upper = r -/+ half_width`, clipped to the column's bounds."""
    bounds = _list_bounds(case.target)
    return _build_levels(case, interval, partial(_clipped, compute=_pass, bounds=bounds), bounds, taken={})


@build_answer_stage.register
def _answer_by_logarithms(transform: Logarithm, case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = exp(r)` and `lower, upper = exp(r -/+ half_width)`, clipped to the column's bounds."""
    bounds = _list_bounds(case.target)
    return _build_levels(case, interval, partial(_clipped, compute=_raise_e, bounds=bounds), bounds, taken={})


_LEVEL: Mapping[str, Dims] = {"level": ("B", 1)}


def _build_levels(
    case: Case,
    interval: Interval | None,
    follow: Follow,
    constants: Constants,
    taken: Mapping[str, Dims] = _LEVEL,
) -> onnx.ModelProto:
    """The stage whose answers and bounds `follow` from learnt numbers, with the further inputs `taken`."""
    dims: Dims = ("B", case.task.width)
    nodes, outputs = [widen("r", "answer/r"), *follow("answer/r", "mean")], {"mean": dims}
    if interval is not None:
        widths = build_widths(interval, case)
        nodes += widths.nodes
        nodes += [helper.make_node("Sub", ["answer/r", HALF], ["answer/low"]), *follow("answer/low", "lower")]
        nodes += [helper.make_node("Add", ["answer/r", HALF], ["answer/up"]), *follow("answer/up", "upper")]
        outputs |= {"lower": dims, "upper": dims}
        taken, constants = {**taken, **widths.inputs}, {**constants, **widths.constants}
    return build_stage("answer", nodes, {**taken, "r": dims}, outputs, constants)


def _scaled_exponent(returns: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Exp", [returns], [f"{out}/growth"]),
        helper.make_node("Mul", ["level", f"{out}/growth"], [out]),
    ]


def _add_level(moves: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Add", ["level", moves], [out])


def _pass(numbers: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Identity", [numbers], [out])


def _raise_e(logarithms: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Exp", [logarithms], [out])


def _clipped(
    learnt: str, out: str, *, compute: Callable[[str, str], onnx.NodeProto], bounds: Constants
) -> list[onnx.NodeProto]:
    if not bounds:
        return [compute(learnt, out)]
    limits = [name if name in bounds else "" for name in (_LEAST, _MOST)]
    return [compute(learnt, f"{out}/free"), helper.make_node("Clip", [f"{out}/free", *limits], [out])]


def _list_bounds(target: Column) -> dict[str, NDArray[Any]]:
    """The lower and the upper bound of a column, if it has them."""
    bounds: dict[str, NDArray[Any]] = {}
    if target.lowest is not None:
        bounds[_LEAST] = np.array(target.lowest + 0.0)  # avoids -0, which would appear in answers
    if target.maximum is not None:
        bounds[_MOST] = np.array(float(target.maximum))
    return bounds
