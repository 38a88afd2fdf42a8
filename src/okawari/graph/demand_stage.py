"""The stage of intermittent demand: smoothed share and size of demand over a window, without a loop.

With `has_t` 1 for a reading with demand and 0 for one without, and `after_t` the number of demands after it, smoothing
reading by reading equals

    share = (1 - b)^T first_share + sum_t b (1 - b)^(T - t) has_t
    size  = (1 - a)^n first_size  + sum_t a (1 - a)^after_t level_t       n demands in the window

as a level without demand is 0. Shapes: B windows (dynamic), T readings, H steps ahead; computed in float64.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from okawari.case import Case
from okawari.graph.stages import Constants, build_stage, ints, widen
from okawari.graph.transforms import LEVELS, build_moves
from okawari.models.cores import DemandCore


def build_demand_stage(core: DemandCore, case: Case) -> onnx.ModelProto:
    """Build the stage with the input `levels` [B, T] and the output `r` [B, H], equal for all steps ahead."""
    moving, more = build_moves(case.task.window_transform)
    nodes = [
        widen("levels", "exact"),
        helper.make_node("Equal", ["exact", "zero"], ["is_0"]),
        helper.make_node("Not", ["is_0"], ["has_demand"]),
        helper.make_node("Cast", ["has_demand"], ["has"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["has", "share_weights"], ["seen_share"]),
        helper.make_node("Add", ["seen_share", "first_share"], ["share"]),
        helper.make_node("MatMul", ["has", "count_later"], ["after"]),
        helper.make_node("Pow", ["kept", "after"], ["faded"]),
        helper.make_node("Mul", ["faded", "exact"], ["faded_levels"]),
        helper.make_node("ReduceSum", ["faded_levels", "steps"], ["seen_sum"]),
        helper.make_node("Mul", ["seen_sum", "size_weight"], ["seen_size"]),
        helper.make_node("ReduceSum", ["has", "steps"], ["n_demands"]),
        helper.make_node("Pow", ["kept", "n_demands"], ["first_kept"]),
        helper.make_node("Mul", ["first_kept", "first_size"], ["first_part"]),
        helper.make_node("Add", ["seen_size", "first_part"], ["size"]),
        helper.make_node("Mul", ["share", "size"], [LEVELS]),
        helper.make_node("Gather", ["exact", "newest"], ["level"], axis=1),
        *moving,
        helper.make_node("Tile", ["w", "width"], ["r"]),
    ]
    constants = _list_constants(core, case.history, case.task.width)
    return build_stage(
        "demand", nodes, {"levels": ("B", case.history)}, {"r": ("B", case.task.width)}, {**constants, **more}
    )


def _list_constants(core: DemandCore, length: int, width: int) -> Constants:
    fading_T1 = core.share_weight * (1 - core.share_weight) ** np.arange(length - 1, -1, -1.0)[:, None]
    return {
        "zero": np.array(0.0),
        "share_weights": fading_T1,
        "first_share": np.array((1 - core.share_weight) ** length * core.first_share),
        "count_later": np.tril(np.ones((length, length)), k=-1),
        "kept": np.array(1 - core.size_weight),
        "size_weight": np.array(core.size_weight),
        "first_size": np.array(core.first_size),
        "steps": ints(1),
        "newest": ints(-1),
        "width": ints(1, width),
    }
