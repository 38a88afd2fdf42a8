"""The middle stage of a graph: the fitted part of a model as a small ONNX model, one function per type of core.

Shapes: B windows (dynamic), T readings, H steps ahead; everything float32. Trees are in `trees`, user functions in
`function_stage`.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph.combination import join_members
from okawari.graph.demand_stage import build_demand_stage
from okawari.graph.function_stage import build_function_stage
from okawari.graph.reading_stage import choose_smallest_input
from okawari.graph.stages import OPSET, Constants, Dims, build_stage, ints, narrow, require_shape, widen
from okawari.graph.trees import build_trees_stage
from okawari.models.cores import (
    AffineCore,
    CombinedCore,
    ConstantCore,
    Core,
    DemandCore,
    FirstKnownCore,
    OnnxCore,
    PhaseCore,
    TorchCore,
    TreesCore,
)

if TYPE_CHECKING:
    from torch import nn

_FOLD_LIMIT = 2**28
"""Largest tensor, in elements, that constant folding may read or write; above every weight that fits in one file."""


@singledispatch
def build_core_stage(core: Core, case: Case) -> onnx.ModelProto:
    """Build the core's stage with the output `r` [B, H]. Its input is an output of the reading stage; a combined core
    has one for each kind of input that its members read.

    Raises:
        InvalidInput: the core was fitted for another history or horizon, or its function cannot be used.
    """
    raise NotImplementedError(f"No stage is defined for {type(core).__name__}; register it here.")


@build_core_stage.register
def _trees_stage(core: TreesCore, case: Case) -> onnx.ModelProto:
    return build_trees_stage(core, case)


@build_core_stage.register
def _function_stage(core: OnnxCore, case: Case) -> onnx.ModelProto:
    return build_function_stage(core, case)


@build_core_stage.register
def _combined_stage(core: CombinedCore, case: Case) -> onnx.ModelProto:
    return join_members([build_core_stage(member, case) for member in core.cores], core.weights, case.task.heads)


@build_core_stage.register
def _constant_stage(core: ConstantCore, case: Case) -> onnx.ModelProto:
    width = case.task.width
    require_shape("ConstantCore.r_H", core.r_H, (width,))
    # Only the number of windows is read from the input, so the smallest input is used.
    taken, dims = choose_smallest_input(case.layout, case)
    nodes = [
        helper.make_node("Shape", [taken], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "width"], ["shape"], axis=0),
        helper.make_node("Expand", ["r_H", "shape"], ["r"]),
    ]
    constants: Constants = {"r_H": core.r_H.astype(np.float32), "width": ints(width)}
    return build_stage("constant", nodes, {taken: dims}, {"r": ("B", width)}, constants)


@build_core_stage.register
def _affine_stage(core: AffineCore, case: Case) -> onnx.ModelProto:
    dims = _measure_input(core.reads, case)
    n_inputs, width = math.prod(dims), case.task.width
    require_shape("AffineCore.weight_HN", core.weight_HN, (width, n_inputs))
    require_shape("AffineCore.bias_H", core.bias_H, (width,))
    nodes = [
        helper.make_node("Reshape", [core.reads, "row"], ["inputs"]),
        helper.make_node("Gemm", ["inputs", "weight_HN", "bias_H"], ["r"], transB=1),
    ]
    constants: Constants = {
        "row": ints(-1, n_inputs),
        "weight_HN": core.weight_HN.astype(np.float32),
        "bias_H": core.bias_H.astype(np.float32),
    }
    return build_stage("affine", nodes, {core.reads: ("B", *dims)}, {"r": ("B", width)}, constants)


@build_core_stage.register
def _demand_stage(core: DemandCore, case: Case) -> onnx.ModelProto:
    return build_demand_stage(core, case)


@build_core_stage.register
def _phase_stage(core: PhaseCore, case: Case) -> onnx.ModelProto:
    """Nodes for the affine map, in float32, and for the shares of the phases, in float64."""
    length, width, phases = case.history, case.task.width, len(core.share_bias_P)
    require_shape("PhaseCore.weight_HN", core.weight_HN, (width, length))
    require_shape("PhaseCore.bias_PH", core.bias_PH, (phases, width))
    require_shape("PhaseCore.share_weight_PN", core.share_weight_PN, (phases, length))
    nodes = [
        widen("w", "exact"),
        helper.make_node("Gemm", ["exact", "share_weight", "share_bias"], ["exponents"], transB=1),
        helper.make_node("Softmax", ["exponents"], ["shares"], axis=1),
        helper.make_node("Gemm", ["shares", "bias_PH"], ["exact_bias"]),
        narrow("exact_bias", "phase"),
        helper.make_node("Gemm", ["w", "weight_HN"], ["moved"], transB=1),
        helper.make_node("Add", ["moved", "phase"], ["r"]),
    ]
    constants: Constants = {
        "share_weight": core.share_weight_PN,
        "share_bias": core.share_bias_P,
        "bias_PH": core.bias_PH,
        "weight_HN": core.weight_HN.astype(np.float32),
    }
    return build_stage("phase", nodes, {"w": ("B", length)}, {"r": ("B", width)}, constants)


@build_core_stage.register
def _first_known_stage(core: FirstKnownCore, case: Case) -> onnx.ModelProto:
    """Nodes that gather the carried levels, and replace them by known ones, the last of the places first."""
    n_places, width = len(core.places_KH), case.task.width
    require_shape("FirstKnownCore.places_KH", core.places_KH, (n_places, width))
    nodes, taken = [helper.make_node("Gather", ["known", "carried"], [f"r/{n_places}"], axis=1)], f"r/{n_places}"
    for place in reversed(range(n_places)):
        out = f"r/{place}" if place else "r"
        nodes += [
            helper.make_node("Gather", ["known", f"places_{place}"], [f"{out}/own"], axis=1),
            helper.make_node("IsNaN", [f"{out}/own"], [f"{out}/missing"]),
            helper.make_node("Where", [f"{out}/missing", taken, f"{out}/own"], [out]),
        ]
        taken = out
    known = {f"places_{place}": places_H for place, places_H in enumerate(core.places_KH)}
    constants: Constants = {"carried": core.places_KH[0] + case.history, **known}
    return build_stage("first_known", nodes, {"known": ("B", 2 * case.history)}, {"r": ("B", width)}, constants)


def _measure_input(reads: str, case: Case) -> tuple[int, ...]:
    if reads == "now":
        return (case.task.width,)
    return (case.history,) if reads == "w" else (case.n_feature_steps, case.n_features)


@build_core_stage.register
def _torch_stage(core: TorchCore, case: Case) -> onnx.ModelProto:
    from okawari.graph.network_stage import write_network

    horizon = case.task.width
    dims = (case.n_feature_steps, case.n_features) if core.reads == "z" else (case.history,)
    written = write_network(core.module, core.reads)
    if written is not None:
        _require_width(["B", written.width], horizon)
        inputs: Mapping[str, Dims] = {core.reads: ("B", *dims)}
        return build_stage("network", written.nodes, inputs, {"r": ("B", horizon)}, written.constants)
    model = _export_module(core.module, core.reads, dims)
    graph = model.graph
    r_dims = [dim.dim_value or dim.dim_param for dim in graph.output[0].type.tensor_type.shape.dim]
    _require_width(r_dims, horizon)
    return build_stage(
        "network",
        [_plain_node(node) for node in graph.node],
        {core.reads: ("B", *dims)},
        {"r": ("B", horizon)},
        {each.name: numpy_helper.to_array(each) for each in graph.initializer},
    )


def _require_width(r_dims: Sequence[int | str], width: int) -> None:
    if len(r_dims) != 2 or r_dims[1] != width:
        raise InvalidInput(
            f"The module returns r of shape {r_dims}; the case needs [B, {width}]. Fit it for this case."
        )


def _plain_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node without the exporter's metadata, which holds source lines and paths of the exporting machine."""
    node.ClearField("metadata_props")
    node.ClearField("doc_string")
    return node


def _export_module(module: nn.Module, taken: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    import torch
    from onnxscript import ir, optimizer

    was_training = module.training
    example = torch.zeros(2, *shape, device=next(module.parameters()).device)
    try:
        with _quiet():
            program = torch.onnx.export(
                module.eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[taken],
                output_names=["r"],
                dynamic_shapes=({0: torch.export.Dim("B")},),
                verbose=False,
            )
            assert program is not None
            # The exporter reorders LSTM gates by Slice and Concat. After folding, each weight is one tensor, which can
            # be quantized.
            optimizer.fold_constants(program.model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
            optimizer.optimize(program.model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
            return ir.to_proto(program.model)
    finally:
        module.train(was_training)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings about its own deprecations and optional libraries; our code cannot fix them."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
