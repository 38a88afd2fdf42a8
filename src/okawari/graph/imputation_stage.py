"""The first nodes of a reading stage: missing values replaced, and indicators of where they were.

    x -> FILLED        a series: the value before it in the window, then the median; records: the median
    x -> indicators    1 where a column with `missing="allow"` has no value, else 0

A graph also carries its medians as metadata, so that drift imputes what the graph imputes.

Shapes: B windows, T readings, F columns, A columns that allow missing values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil, log2
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from okawari.case import Case
from okawari.errors import require
from okawari.graph.stages import Dims, Part, ints, narrow
from okawari.schema.columns import find_words
from okawari.schema.imputation import Imputation, start_imputation

FILLED = "x/filled"
"""The readings without missing numbers; a missing word stays NaN, which is equal to no place."""
MEDIANS = "medians"
_MOST_STEPS = 24
"""Doubling steps where the number of readings is free: enough for 2**24 of them."""
_END = 2**63 - 1


def choose_imputation(case: Case, imputation: Imputation | None) -> Imputation:
    """The given imputation, or one without training readings for a case whose columns allow no missing values.

    Raises:
        InvalidInput: none is given, and a column allows missing values.
    """
    allowing = [column.name for column in case.columns if column.allows_missing]
    require(
        imputation is not None or not allowing,
        f"Case {case.name} allows missing values in {allowing}, and no imputation is given. Give that of the windows.",
    )
    return imputation or start_imputation(case.input_columns)


def describe_medians(case: Case, imputation: Imputation | None) -> dict[str, str]:
    """The metadata of a graph that is built for a case; none for a case without gaps."""
    if not case.may_have_gaps:
        return {}
    medians = choose_imputation(case, imputation).medians
    words = {column.name for column in find_words(case.columns)}
    named = {each.name: median for each, median in zip(case.input_columns, medians, strict=True)}
    named = {name: median for name, median in named.items() if name not in words}
    return {MEDIANS: json.dumps(named)}


def read_medians(labels: Mapping[str, str], case: Case) -> Imputation | None:
    """The imputation of a graph, from its metadata.

    None for a graph without medians of all the case's numbers: the case has changed, or an earlier Okawari wrote it.
    """
    medians = json.loads(labels.get(MEDIANS, "{}"))
    numbers = {each.name for each in case.input_columns} - {column.name for column in find_words(case.columns)}
    if not numbers <= set(medians):
        return None
    return Imputation(tuple(medians.get(each.name, float("nan")) for each in case.input_columns))


def name_readings(case: Case) -> str:
    """The tensor from which features and levels are computed: the input itself where no value can be missing."""
    return FILLED if case.may_have_gaps else "x"


def build_filling(case: Case, imputation: Imputation | None, length: int | str | None = None) -> Part:
    """Nodes from "x" to `FILLED`; none for a case without gaps.

    Args:
        case: its columns.
        imputation: the medians.
        length: readings of a series, a number or the name of a free dimension; None for records.
    """
    if not case.may_have_gaps:
        return [], {}
    medians = np.array(choose_imputation(case, imputation).medians)
    if length is None:
        return _replace_missing("x", FILLED), {"x/medians": medians}
    return _fill_where_missing(medians, length), {}


def _fill_where_missing(medians_F: NDArray[np.float64], length: int | str) -> list[onnx.NodeProto]:
    """Nodes that fill readings if one is missing; otherwise `FILLED` is a copy of "x".

    The fill costs more than all other nodes of a small graph. One sum finds any NaN; infinite readings of both signs
    also sum to NaN, and the fill then changes nothing.
    """
    shape = ("B", length, len(medians_F))
    branches = {
        "then_branch": _make_branch("fill", "x/forward", shape, _build_forward_fill(medians_F, length)),
        "else_branch": _make_branch("keep", "x/same", shape, ([helper.make_node("Identity", ["x"], ["x/same"])], {})),
    }
    return [
        helper.make_node("ReduceSum", ["x"], ["x/sum"], keepdims=0),
        helper.make_node("IsNaN", ["x/sum"], ["x/lacks"]),
        helper.make_node("If", ["x/lacks"], [FILLED], **branches),
    ]


def _make_branch(name: str, out: str, shape: Dims, part: Part) -> onnx.GraphProto:
    nodes, constants = part
    given = helper.make_tensor_value_info(out, TensorProto.DOUBLE, shape)
    return helper.make_graph(
        nodes, name, [], [given], [numpy_helper.from_array(*each[::-1]) for each in constants.items()]
    )


def _build_forward_fill(medians_F: NDArray[np.float64], length: int | str) -> Part:
    """Nodes from "x" to "x/forward": each missing value becomes the one before it, or else the median.

    Values are carried forward by doubling: after k steps each value has reached the 2**k - 1 readings after it.
    """
    nodes, taken = [], "x"
    constants: dict[str, NDArray[Any]] = {
        "x/medians": medians_F, "x/axis": ints(1), "x/zero": ints(0),
    }  # fmt: skip
    for step in range(_count_steps(length)):
        shift, out = f"x/carried_{step}", f"x/forward_{step}"
        constants |= {f"{shift}/by": ints(2**step), f"{shift}/back": ints(-(2**step))}
        nodes += [
            helper.make_node("Slice", [taken, "x/zero", f"{shift}/by", "x/axis"], [f"{shift}/first"]),
            helper.make_node("Slice", [taken, "x/zero", f"{shift}/back", "x/axis"], [f"{shift}/earlier"]),
            helper.make_node("Concat", [f"{shift}/first", f"{shift}/earlier"], [shift], axis=1),
            helper.make_node("IsNaN", [taken], [f"{shift}/missing"]),
            helper.make_node("Where", [f"{shift}/missing", shift, taken], [out]),
        ]
        taken = out
    return [*nodes, *_replace_missing(taken, "x/forward")], constants


def _replace_missing(taken: str, out: str) -> list[onnx.NodeProto]:
    """Nodes that put the medians, a constant `x/medians`, in place of missing values."""
    return [
        helper.make_node("IsNaN", [taken], ["x/missing"]),
        helper.make_node("Where", ["x/missing", "x/medians", taken], [out]),
    ]


def _count_steps(length: int | str) -> int:
    return ceil(log2(length)) if isinstance(length, int) else _MOST_STEPS


def build_indicators(case: Case, out: str, *, skip_first: bool) -> Part:
    """Nodes from "x" to the indicators [B, T, A] in float32; with `skip_first` without those of the first reading."""
    places = [place for place, column in enumerate(case.columns) if column.allows_missing]
    nodes = [
        helper.make_node("Gather", ["x", f"{out}/places"], [f"{out}/allowing"], axis=2),
        helper.make_node("Slice", [f"{out}/allowing", f"{out}/start", f"{out}/end", f"{out}/axis"], [f"{out}/taken"]),
        helper.make_node("IsNaN", [f"{out}/taken"], [f"{out}/missing"]),
        narrow(f"{out}/missing", out),
    ]
    return nodes, {
        f"{out}/places": ints(*places), f"{out}/start": ints(int(skip_first)), f"{out}/end": ints(_END),
        f"{out}/axis": ints(1),
    }  # fmt: skip


def append_indicators(case: Case, features: Part, *, skip_first: bool) -> Part:
    """Nodes to "z": features (`name_features`) with the indicators behind them, if a column allows missing values."""
    nodes, constants = features
    if name_features(case) == "z":
        return features
    more, own = build_indicators(case, "z/indicators", skip_first=skip_first)
    joined = helper.make_node("Concat", ["z/base", "z/indicators"], ["z"], axis=2)
    return [*nodes, *more, joined], {**constants, **own}


def name_features(case: Case) -> str:
    """The tensor of features without indicators: "z" itself where there are none."""
    return "z/base" if any(column.allows_missing for column in case.columns) else "z"
