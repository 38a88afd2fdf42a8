"""The weights of a graph: list them, store them in 8 bits, or hand the graph to ONNX Runtime's dynamic quantizer.

This module handles how ONNX stores weights; `okawari.graph.quantizer` decides how numbers are rounded.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from okawari.graph.build import seal_model
from okawari.graph.inference import WEIGHTS_ONLY, parse_model, read_labels
from okawari.graph.stages import ML_DOMAIN


@dataclass(frozen=True)
class Weight:
    """A float32 weight with the axis of its output channels."""

    values: NDArray[np.float32]
    channel_axis: int


@dataclass(frozen=True)
class QuantizedTensor:
    """Inputs of DequantizeLinear: `(values - zero_point) * scale`, one scale and zero point for each channel."""

    values: NDArray[np.uint8]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.uint8]
    channel_axis: int


def list_weights(content: bytes) -> dict[str, Weight]:
    """The matrix weights of Gemm, MatMul, Conv and LSTM nodes by name, without biases."""
    model = parse_model(content)
    floats = {each.name: each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT}
    found = {}
    for name, axis in _weight_inputs(model):
        if name in floats:
            found[name] = Weight(numpy_helper.to_array(floats[name]), axis)
    return found


def has_trees(content: bytes) -> bool:
    """Whether the graph contains trees."""
    nodes = parse_model(content).graph.node
    return any(node.domain == ML_DOMAIN and node.op_type.startswith("TreeEnsemble") for node in nodes)


def _weight_inputs(model: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    for node in model.graph.node:
        if node.op_type == "LSTM":  # W and R: [directions, 4 * hidden, inputs]
            yield from ((node.input[1], 1), (node.input[2], 1))
        elif node.op_type == "Gemm":
            transposed = any(each.name == "transB" and each.i for each in node.attribute)
            yield node.input[1], 0 if transposed else 1
        elif node.op_type == "Conv":
            yield node.input[1], 0
        elif node.op_type == "MatMul":
            yield node.input[1], -1


def replace_weights(content: bytes, quantized: Mapping[str, QuantizedTensor]) -> bytes:
    """The graph with these weights stored in 8 bits; a DequantizeLinear restores the name and the type of each."""
    model = parse_model(content)
    kept = [each for each in model.graph.initializer if each.name not in quantized]
    nodes = []
    for name, tensor in quantized.items():
        parts: dict[str, NDArray[Any]] = {
            f"{name}/q": tensor.values,
            f"{name}/scale": tensor.scale,
            f"{name}/zero": tensor.zero_point,
        }
        kept += [numpy_helper.from_array(value, part) for part, value in parts.items()]
        axis = tensor.channel_axis % tensor.values.ndim
        nodes.append(helper.make_node("DequantizeLinear", list(parts), [name], axis=axis))
    nodes += model.graph.node
    _replace(model.graph.initializer, kept)
    _replace(model.graph.node, nodes)
    return seal_model(model, read_labels(model) | {"variant": WEIGHTS_ONLY})


def _replace(field: Any, items: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def quantize_dynamic(content: bytes) -> bytes:
    """The graph with int8 weights and arithmetic by ONNX Runtime's `quantize_dynamic`."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as ort_quantize_dynamic

    model = parse_model(content)
    advice = _ExpectedAdvice()
    logging.root.addFilter(advice)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            ort_quantize_dynamic(model, path, weight_type=QuantType.QInt8)
            quantized = onnx.load_model(path)
    finally:
        logging.root.removeFilter(advice)
    return seal_model(quantized, read_labels(model) | {"variant": "int8"})


class _ExpectedAdvice(logging.Filter):
    """Drops the quantizer's advice to preprocess: a graph here is already folded, with all shapes inferred. And its
    remark on float64 weights: they stay as they are, because what they decide needs their precision.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not any(part in record.getMessage() for part in ("pre-processing", "unsupported type to quantize"))
