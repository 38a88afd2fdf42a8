"""The reading stage of records (from columns to features), and the answer stage of labels and of several targets.

    reading stage   x -> z, numbers unchanged, labels one-hot
    answer stage    r -> mean, lower, upper; the columns of a label become probabilities

Shapes: B records (dynamic), F columns, K features, H columns of an answer. Readings and answers are float64, features
and `r` float32.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from okawari.case import Case
from okawari.graph.imputation_stage import append_indicators, build_filling, name_features, name_readings
from okawari.graph.scale_stage import HALF, build_widths
from okawari.graph.stages import Dims, Part, build_stage, narrow, widen
from okawari.models.cores import Interval
from okawari.schema.columns import find_words
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.imputation import Imputation


def build_record_stage(case: Case, imputation: Imputation | None = None) -> onnx.ModelProto:
    """Build the stage from `x` [B, 1, F] to `z` [B, 1, K]."""
    dims: Dims = ("B", 1, case.n_features)
    filling, medians = build_filling(case, imputation)
    features = _expand_labels(case) if find_words(case.columns) else _pass_on(case)
    nodes, constants = append_indicators(case, features, skip_first=False)
    inputs: dict[str, Dims] = {"x": ("B", 1, len(case.input_columns))}
    return build_stage("reading", [*filling, *nodes], inputs, {"z": dims}, {**medians, **constants})


def _pass_on(case: Case) -> Part:
    return [narrow(name_readings(case), name_features(case))], {}


def _expand_labels(case: Case) -> Part:
    """Nodes from the readings, in which missing words are NaN, to the features of all columns."""
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {}
    for place, column in enumerate(case.input_columns):
        constants[f"z/place_{place}"] = np.array([place], dtype=np.int64)
        gathered = [name_readings(case), f"z/place_{place}"]
        nodes.append(helper.make_node("Gather", gathered, [f"z/column_{place}"], axis=2))
        nodes += _expand(column.head, place, constants)
    parts = [f"z/part_{place}" for place in range(len(case.input_columns))]
    return [*nodes, helper.make_node("Concat", parts, [name_features(case)], axis=2)], constants


@singledispatch
def _expand(head: Head, place: int, constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """Nodes from "z/column_<place>", one column of a record, to "z/part_<place>", its features [B, 1, width]."""
    raise NotImplementedError(f"No feature nodes are defined for {type(head).__name__}; register them here.")


@_expand.register
def _expand_number(head: NumberHead, place: int, constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    return [narrow(f"z/column_{place}", f"z/part_{place}")]


@_expand.register
def _expand_label(head: LabelHead, place: int, constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """One-hot columns, one for each word of the label."""
    taken, part = f"z/column_{place}", f"z/part_{place}"
    constants[f"z/words_{place}"] = np.arange(head.width, dtype=np.float64)
    return [
        helper.make_node("Equal", [taken, f"z/words_{place}"], [f"{part}/is"]),
        narrow(f"{part}/is", part),
    ]


def build_heads_stage(case: Case, interval: Interval | None) -> onnx.ModelProto:
    """Build the answer stage: numbers unchanged, labels by softmax; intervals are `lower, upper = r -/+ half_width`."""
    dims: Dims = ("B", case.task.width)
    nodes, constants = _answer_heads("r", "mean", case.task.heads)
    inputs, outputs = {"r": dims}, {"mean": dims}
    if interval is not None:
        widths = build_widths(interval, case)
        nodes += widths.nodes
        inputs, constants = {**inputs, **widths.inputs}, {**constants, **widths.constants}
        for operator, bound in (("Sub", "lower"), ("Add", "upper")):
            nodes.append(helper.make_node(operator, ["mean", HALF], [bound]))
            outputs[bound] = dims
    return build_stage("answer", nodes, inputs, outputs, constants)


def _answer_heads(taken: str, out: str, heads: tuple[Head, ...]) -> Part:
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {"answer/axis": np.array([1], dtype=np.int64)}
    for place, head in enumerate(heads):
        start, stop, own = f"answer/start_{place}", f"answer/stop_{place}", f"answer/own_{place}"
        constants |= {start: np.array([head.start], dtype=np.int64), stop: np.array([head.stop], dtype=np.int64)}
        nodes.append(helper.make_node("Slice", [taken, start, stop, "answer/axis"], [own]))
        nodes.append(_activate(head, own, f"answer/said_{place}"))
    answers = [f"answer/said_{place}" for place in range(len(heads))]
    return [*nodes, helper.make_node("Concat", answers, [f"{out}/said"], axis=1), widen(f"{out}/said", out)], constants


@singledispatch
def _activate(head: Head, taken: str, given: str) -> onnx.NodeProto:
    """The node that turns a model's output for a head into the answer."""
    raise NotImplementedError(f"No answer node is defined for {type(head).__name__}; register it here.")


@_activate.register
def _pass_number(head: NumberHead, taken: str, given: str) -> onnx.NodeProto:
    return helper.make_node("Identity", [taken], [given])


@_activate.register
def _take_softmax(head: LabelHead, taken: str, given: str) -> onnx.NodeProto:
    return helper.make_node("Softmax", [taken], [given], axis=1)
