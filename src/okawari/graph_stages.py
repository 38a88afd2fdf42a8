"""The three stages that a graph is joined from, as small ONNX models with named inputs and outputs.

    reading stage   x -> z features, level the last target level, w the centred log levels
    core            z, w or level -> r, cumulative log returns: the fitted model's own part
    answer stage    level, r -> mean, lower, upper

Shapes: B windows (dynamic), T readings, F columns, K features, S = T - 1, H steps ahead; everything float32.
Knows no session and no file: `okawari.graph` joins and runs what is built here.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.models.recipe import AffineCore, ConstantCore, Core, Interval, TorchCore

if TYPE_CHECKING:
    from torch import nn

OPSET = 20
IR_VERSION = 10
TINY = 1e-12
"""Floor under both sides of a ratio; it keeps Log finite in float32 (1e26 / 1e-12 is still below 3.4e38)."""
_END = 2**63 - 1
_FOLD_LIMIT = 2**28
"""Largest tensor, in elements, that constant folding may read or write: every weight that belongs in one file."""

Dims = tuple[int | str, ...]
Constants = Mapping[str, NDArray[Any]]


def build_stage(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims],
    constants: Constants,
) -> onnx.ModelProto:
    """One stage from its nodes; `inputs` and `outputs` map names to shapes, `constants` are its embedded tensors."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, dims) for each, dims in inputs.items()],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, dims) for each, dims in outputs.items()],
        [numpy_helper.from_array(value, each) for each, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def build_reading_stage(case: Case, outputs: Sequence[str], length: int | str) -> onnx.ModelProto:
    """Input `x` [B, length, F]; `outputs` chosen from "z", "level" and "w"."""
    steps = length - 1 if isinstance(length, int) else "S"
    shapes: dict[str, Dims] = {"z": ("B", steps, len(case.features)), "level": ("B", 1), "w": ("B", length)}
    parts = [_feature_part(case)] if "z" in outputs else []
    if {"level", "w"} & set(outputs):
        parts.append(_level_part(case, with_logs="w" in outputs))
    nodes = [node for part_nodes, _ in parts for node in part_nodes]
    constants = {name: value for _, values in parts for name, value in values.items()}
    chosen = {name: shapes[name] for name in outputs}
    return build_stage("reading", nodes, {"x": ("B", length, len(case.columns))}, chosen, constants)


def _feature_part(case: Case) -> tuple[list[onnx.NodeProto], Constants]:
    """`z = log(numerator[t] / denominator[t - lag])`, all features at once.

    Newest and previous readings stand side by side as 2F columns, so that a lagged column is a column like any other.
    """
    names = case.column_names
    numerators = [names.index(each.numerator) for each in case.features]
    denominators = [names.index(each.denominator) + each.lag * len(names) for each in case.features]
    nodes = [
        helper.make_node("Slice", ["x", "z/one", "z/end", "z/axis"], ["z/newest"]),
        helper.make_node("Slice", ["x", "z/zero", "z/minus_one", "z/axis"], ["z/previous"]),
        helper.make_node("Concat", ["z/newest", "z/previous"], ["z/pairs"], axis=2),
        helper.make_node("Gather", ["z/pairs", "z/numerators"], ["z/above"], axis=2),
        helper.make_node("Gather", ["z/pairs", "z/denominators"], ["z/below"], axis=2),
        *_log_ratio("z/above", "z/below", "z"),
    ]
    constants: Constants = {
        "z/zero": _ints(0), "z/one": _ints(1), "z/minus_one": _ints(-1), "z/end": _ints(_END), "z/axis": _ints(1),
        "z/numerators": _ints(*numerators), "z/denominators": _ints(*denominators), "z/tiny": _tiny(),
    }  # fmt: skip
    return nodes, constants


def _level_part(case: Case, *, with_logs: bool) -> tuple[list[onnx.NodeProto], Constants]:
    """`level`, the target of the last reading, and on demand `w = log(target[t] / level)`."""
    nodes = [
        helper.make_node("Gather", ["x", "level/target"], ["level/series"], axis=2),
        helper.make_node("Gather", ["level/series", "level/newest"], ["level"], axis=1),
    ]
    target = np.array(case.column_names.index(case.target.name), dtype=np.int64)
    constants = {"level/target": target, "level/newest": _ints(-1)}
    if not with_logs:
        return nodes, constants
    return [*nodes, *_log_ratio("level/series", "level", "w")], {**constants, "w/tiny": _tiny()}


def _log_ratio(above: str, below: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Max", [above, f"{out}/tiny"], [f"{out}/above_0"]),
        helper.make_node("Max", [below, f"{out}/tiny"], [f"{out}/below_0"]),
        helper.make_node("Div", [f"{out}/above_0", f"{out}/below_0"], [f"{out}/ratio"]),
        helper.make_node("Log", [f"{out}/ratio"], [out]),
    ]


def _tiny() -> NDArray[np.float32]:
    return np.array(TINY, dtype=np.float32)


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def build_core_stage(core: Core, case: Case, n_features: int) -> onnx.ModelProto:
    """The fitted model's own part over K `n_features`; its one input is named "level", "w" or "z", its output is `r`
    [B, H].

    Raises:
        InvalidInput: the core's numbers do not have the case's history or horizon.
    """
    if isinstance(core, ConstantCore):
        return _constant_stage(core, case, n_features)
    if isinstance(core, AffineCore):
        return _affine_stage(core, case, n_features)
    return _torch_stage(core, case, n_features)


def _constant_stage(core: ConstantCore, case: Case, n_features: int) -> onnx.ModelProto:
    width = case.task.width
    require_shape("ConstantCore.r_H", core.r_H, (width,))
    # Only the number of windows is taken from the input: the cheapest one there is.
    taken, dims = ("level", ("B", 1)) if case.is_series else ("z", ("B", 1, n_features))
    nodes = [
        helper.make_node("Shape", [taken], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "width"], ["shape"], axis=0),
        helper.make_node("Expand", ["r_H", "shape"], ["r"]),
    ]
    constants: Constants = {"r_H": core.r_H.astype(np.float32), "width": _ints(width)}
    return build_stage("constant", nodes, {taken: dims}, {"r": ("B", width)}, constants)


def _affine_stage(core: AffineCore, case: Case, n_features: int) -> onnx.ModelProto:
    steps, width = count_steps(case), case.task.width
    dims: Dims = ("B", case.history) if core.reads == "w" else ("B", steps, n_features)
    n_inputs = case.history if core.reads == "w" else steps * n_features
    require_shape("AffineCore.weight_HN", core.weight_HN, (width, n_inputs))
    require_shape("AffineCore.bias_H", core.bias_H, (width,))
    nodes = [
        helper.make_node("Flatten", [core.reads], ["inputs"], axis=1),
        helper.make_node("Gemm", ["inputs", "weight_HN", "bias_H"], ["r"], transB=1),
    ]
    constants = {"weight_HN": core.weight_HN.astype(np.float32), "bias_H": core.bias_H.astype(np.float32)}
    return build_stage("affine", nodes, {core.reads: dims}, {"r": ("B", width)}, constants)


def count_steps(case: Case) -> int:
    """S, the feature steps of a question: a series' feature may look one reading back, a record's does not."""
    return case.history - 1 if case.is_series else 1


def require_shape(what: str, value: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse a fitted model's numbers that do not have the shape that the case asks for."""
    if value.shape != shape:
        raise InvalidInput(f"{what} has shape {value.shape}; the case asks for {shape}. Fit for this case.")


def _torch_stage(core: TorchCore, case: Case, n_features: int) -> onnx.ModelProto:
    steps, horizon = count_steps(case), case.task.width
    model = _export_module(core.module, (steps, n_features))
    graph = model.graph
    r_dims = [dim.dim_value or dim.dim_param for dim in graph.output[0].type.tensor_type.shape.dim]
    if len(r_dims) != 2 or r_dims[1] != horizon:
        raise InvalidInput(
            f"The module gives r of shape {r_dims}; the case asks for [B, {horizon}]. Fit for this case."
        )
    return build_stage(
        "network",
        [_plain_node(node) for node in graph.node],
        {"z": ("B", steps, n_features)},
        {"r": ("B", horizon)},
        {each.name: numpy_helper.to_array(each) for each in graph.initializer},
    )


def _plain_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """The node without the exporter's notes: source lines and paths of the machine that exported it."""
    node.ClearField("metadata_props")
    node.ClearField("doc_string")
    return node


def _export_module(module: nn.Module, shape: tuple[int, int]) -> onnx.ModelProto:
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
                input_names=["z"],
                output_names=["r"],
                dynamic_shapes=({0: torch.export.Dim("B")},),
                verbose=False,
            )
            assert program is not None
            # The exporter reorders LSTM gates by Slice and Concat; folded, each weight is one tensor to quantize.
            optimizer.fold_constants(program.model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
            optimizer.optimize(program.model, input_size_limit=_FOLD_LIMIT, output_size_limit=_FOLD_LIMIT)
            return ir.to_proto(program.model)
    finally:
        module.train(was_training)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own deprecations and of libraries that it could support; none of it is ours."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def build_answer_stage(case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = level * exp(r)` and, with an interval, `lower, upper = level * exp(r -/+ half_width)`."""
    dims: Dims = ("B", case.task.width)
    nodes, outputs, constants = _scaled_exponent("r", "mean"), {"mean": dims}, {}
    if interval is not None:
        require_shape("Interval.half_width_H", interval.half_width_H, (case.task.width,))
        nodes += [
            helper.make_node("Sub", ["r", "half_width"], ["answer/low"]),
            *_scaled_exponent("answer/low", "lower"),
        ]
        nodes += [helper.make_node("Add", ["r", "half_width"], ["answer/up"]), *_scaled_exponent("answer/up", "upper")]
        outputs |= {"lower": dims, "upper": dims}
        constants = {"half_width": interval.half_width_H.astype(np.float32)}
    return build_stage("answer", nodes, {"level": ("B", 1), "r": dims}, outputs, constants)


def _scaled_exponent(returns: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Exp", [returns], [f"{out}/growth"]),
        helper.make_node("Mul", ["level", f"{out}/growth"], [out]),
    ]
