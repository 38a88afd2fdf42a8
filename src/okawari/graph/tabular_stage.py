"""The reading stage of records, columns in as features, and the answer stage of all but forecasts: numbers and
probabilities out.

    reading stage   x -> z, numbers as they are, a label as one column for each word it may be
    answer stage    r -> mean, lower, upper; the columns of a labelled head become probabilities

Shapes: B records (dynamic), F columns, K features, H columns of an answer; everything float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from okawari.case import Case, Column
from okawari.graph.growth_targets import Part
from okawari.graph.stages import Dims, build_stage, count_features, require_shape
from okawari.models.cores import Interval
from okawari.schema.tasks import Head


def build_record_stage(case: Case) -> onnx.ModelProto:
    """Input `x` [B, 1, F], output `z` [B, 1, K]."""
    dims: Dims = ("B", 1, count_features(case))
    nodes, constants = _expand_labels(case) if any(column.labels for column in case.columns) else _pass_on()
    return build_stage("reading", nodes, {"x": ("B", 1, len(case.columns))}, {"z": dims}, constants)


def _pass_on() -> Part:
    return [helper.make_node("Identity", ["x"], ["z"])], {}


def _expand_labels(case: Case) -> Part:
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {}
    for place, column in enumerate(case.columns):
        constants[f"z/place_{place}"] = np.array([place], dtype=np.int64)
        nodes += _expand_column(place, column, constants)
    parts = [f"z/part_{place}" for place in range(len(case.columns))]
    return [*nodes, helper.make_node("Concat", parts, ["z"], axis=2)], constants


def _expand_column(place: int, column: Column, constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """The column [B, 1, 1] or, of a label, [B, 1, words] with 1 where the word stands."""
    taken, part = f"z/column_{place}", f"z/part_{place}"
    if not column.labels:
        return [helper.make_node("Gather", ["x", f"z/place_{place}"], [part], axis=2)]
    constants[f"z/words_{place}"] = np.arange(len(column.labels), dtype=np.float32)
    return [
        helper.make_node("Gather", ["x", f"z/place_{place}"], [taken], axis=2),
        helper.make_node("Equal", [taken, f"z/words_{place}"], [f"{part}/is"]),
        helper.make_node("Cast", [f"{part}/is"], [part], to=TensorProto.FLOAT),
    ]


def build_heads_stage(case: Case, interval: Interval | None) -> onnx.ModelProto:
    """Numbers pass, labels go through a softmax; with an interval, numbers get `lower, upper = r -/+ half_width`."""
    dims: Dims = ("B", case.task.width)
    nodes, constants = _answer_heads("r", "mean", case.task.heads)
    outputs = {"mean": dims}
    if interval is not None:
        require_shape("Interval.half_width_H", interval.half_width_H, (case.task.width,))
        constants["half_width"] = interval.half_width_H.astype(np.float32)
        for operator, bound in (("Sub", "lower"), ("Add", "upper")):
            nodes.append(helper.make_node(operator, ["mean", "half_width"], [bound]))
            outputs[bound] = dims
    return build_stage("answer", nodes, {"r": dims}, outputs, constants)


def _answer_heads(taken: str, out: str, heads: tuple[Head, ...]) -> Part:
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {"answer/axis": np.array([1], dtype=np.int64)}
    for place, head in enumerate(heads):
        start, stop, own = f"answer/start_{place}", f"answer/stop_{place}", f"answer/own_{place}"
        constants |= {start: np.array([head.start], dtype=np.int64), stop: np.array([head.stop], dtype=np.int64)}
        nodes.append(helper.make_node("Slice", [taken, start, stop, "answer/axis"], [own]))
        operator, options = ("Softmax", {"axis": 1}) if head.labels else ("Identity", {})
        nodes.append(helper.make_node(operator, [own], [f"answer/said_{place}"], **options))
    said = [f"answer/said_{place}" for place in range(len(heads))]
    return [*nodes, helper.make_node("Concat", said, [out], axis=1)], constants
