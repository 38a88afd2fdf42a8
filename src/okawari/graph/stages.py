"""Building blocks of every stage of a graph. A stage is a small ONNX model with named inputs and outputs.

    reading stage   x -> z features, level the last level of the target, levels all levels, w the move of each level
                    relative to the last, now the current targets of `Anticipate` (`series_stage`, `tabular_stage`)
    core            z, w, now, levels or level -> r, the learnt quantity: the fitted part of the model (`cores`)
    answer stage    level, r -> mean, lower, upper (`transforms`)

Shapes: B windows (dynamic), T readings, F columns, K features, S = T - 1, H columns of an answer. Values in their own
units (`EXACT`) are float64, so that a small move of a large level is not rounded away; everything learnt is float32.
No sessions and no files here: `okawari.graph.build` joins the stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from okawari.errors import InvalidInput
from okawari.models.cores import ONNX_OPSETS
from okawari.schema.heads import SMALLEST_SHARE

ML_DOMAIN = "ai.onnx.ml"
OPSET, ML_OPSET = ONNX_OPSETS[""], ONNX_OPSETS[ML_DOMAIN]
"""ONNX's own second set of operators, for trees and other classical models; every ONNX Runtime has it."""
IR_VERSION = 10
TINY = 1e-150
"""Floor under both sides of a ratio; it keeps Log finite in float64 (1e150 / 1e-150 is still below 1.8e308)."""
EXACT = frozenset({"x", "level", "mean", "lower", "upper", "width_H"})
"""Inputs and outputs of stages in float64: readings, levels, answers and widths."""

Dims = tuple[int | str, ...]
Constants = Mapping[str, NDArray[Any]]
_END = 2**63 - 1
Part = tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]
"""Nodes and their constants."""


def build_stage(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims],
    constants: Constants,
    *,
    with_ml: bool = False,
) -> onnx.ModelProto:
    """Build a stage from its nodes; `inputs` and `outputs` map names to shapes, `constants` are embedded tensors."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [_describe(each, dims) for each, dims in inputs.items()],
        [_describe(each, dims) for each, dims in outputs.items()],
        [numpy_helper.from_array(value, each) for each, value in constants.items()],
    )
    opsets = [("", OPSET), *([(ML_DOMAIN, ML_OPSET)] if with_ml else [])]
    imports = [helper.make_opsetid(*each) for each in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)


def _describe(name: str, dims: Dims) -> onnx.ValueInfoProto:
    kind = TensorProto.DOUBLE if name in EXACT else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, dims)


def narrow(taken: str, out: str) -> onnx.NodeProto:
    """The node that rounds float64 to float32, the precision of everything learnt."""
    return helper.make_node("Cast", [taken], [out], to=TensorProto.FLOAT)


def widen(taken: str, out: str) -> onnx.NodeProto:
    """The node that turns float32 into float64, the precision of levels and answers."""
    return helper.make_node("Cast", [taken], [out], to=TensorProto.DOUBLE)


def log_ratio(above: str, below: str, out: str) -> list[onnx.NodeProto]:
    """Nodes for `log(above / below)` in float32, computed in float64; both are clipped to the constant `<out>/tiny`."""
    return [
        helper.make_node("Max", [above, f"{out}/tiny"], [f"{out}/above_0"]),
        helper.make_node("Max", [below, f"{out}/tiny"], [f"{out}/below_0"]),
        helper.make_node("Div", [f"{out}/above_0", f"{out}/below_0"], [f"{out}/ratio"]),
        helper.make_node("Log", [f"{out}/ratio"], [f"{out}/exact"]),
        narrow(f"{out}/exact", out),
    ]


def newest_row(lags: int, n_features: int, out: str) -> Part:
    """Nodes that take the newest `lags` feature steps of `z` as one row [B, lags * K], oldest first."""
    nodes = [
        helper.make_node("Slice", ["z", "newest", "end", "step_axis"], ["lags"]),
        helper.make_node("Reshape", ["lags", "row"], [out]),
    ]
    row = ints(-1, lags * n_features)
    return nodes, {"newest": ints(-lags), "end": ints(_END), "step_axis": ints(1), "row": row}


def shares_to_logits(taken: str, out: str, is_share_H: NDArray[np.bool_]) -> Part:
    """Nodes that copy `taken` and replace the shares of labels by their logarithms, of at least SMALLEST_SHARE.

    The softmax of the answer stage then returns the shares.
    """
    if not is_share_H.any():
        return [helper.make_node("Identity", [taken], [out])], {}
    nodes = [
        helper.make_node("Max", [taken, "smallest"], ["shares"]),
        helper.make_node("Log", ["shares"], ["logits"]),
        helper.make_node("Where", ["is_share", "logits", taken], [out]),
    ]
    return nodes, {"smallest": np.array(SMALLEST_SHARE, dtype=np.float32), "is_share": is_share_H}


def tiny() -> NDArray[np.float64]:
    """The floor under both sides of a ratio, as a constant."""
    return np.array(TINY)


def ints(*values: int) -> NDArray[np.int64]:
    """Integers as a constant of ONNX's type for shapes, axes and indices."""
    return np.array(values, dtype=np.int64)


def require_shape(what: str, value: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Check that an array was fitted for the case's history and horizon.

    Raises:
        InvalidInput: `value` has another shape.
    """
    if value.shape != shape:
        raise InvalidInput(f"{what} has shape {value.shape}; the case needs {shape}. Fit it for this case.")
