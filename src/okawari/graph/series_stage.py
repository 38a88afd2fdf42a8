"""The reading stage of a series: from readings to features, levels and moves.

Shapes: B windows (dynamic), T readings, F columns, K features, S = T - 1, H columns of an answer. Readings and levels
are float64; features, moves and the levels for networks are float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from okawari.case import Case
from okawari.graph.growth_targets import build_state_part
from okawari.graph.imputation_stage import append_indicators, build_filling, name_features, name_readings
from okawari.graph.stages import Dims, Part, build_stage, ints, log_ratio, narrow, tiny
from okawari.graph.transforms import LEVELS, build_moves
from okawari.schema.features import Change, Feature, Given, LogRatio
from okawari.schema.imputation import Imputation

_END = 2**63 - 1


def build_series_stage(
    case: Case, outputs: Sequence[str], length: int | str, imputation: Imputation | None = None
) -> onnx.ModelProto:
    """Build the stage with the input `x` [B, length, F]; `outputs` are among "z", "level", "levels", "w", "known" and
    "now". "known" has the moves of "w" with NaN for missing levels, then those of "w" itself.
    """
    steps = length - 1 if isinstance(length, int) else "S"
    shapes: dict[str, Dims] = {
        "z": ("B", steps, case.n_features),
        "level": ("B", 1),
        "levels": ("B", length),
        "w": ("B", length),
        "known": ("B", 2 * length if isinstance(length, int) else "T"),
        "now": ("B", case.task.width),
    }
    parts = [build_filling(case, imputation, length)]
    if "z" in outputs:
        parts.append(append_indicators(case, _build_features(case), skip_first=True))
    if {"level", "levels", "w", "known", "now"} & set(outputs):
        parts.append(_build_levels(case))
    if "levels" in outputs:
        parts.append(([narrow(LEVELS, "levels")], {}))
    if {"w", "known", "now"} & set(outputs):
        parts.append(build_moves(case.task.window_transform))
    if "known" in outputs:
        parts.append(_build_known())
    if "now" in outputs:
        parts.append(build_state_part(case.task))
    nodes = [node for part_nodes, _ in parts for node in part_nodes]
    constants = {name: value for _, values in parts for name, value in values.items()}
    chosen = {name: shapes[name] for name in outputs}
    return build_stage("reading", nodes, {"x": ("B", length, len(case.input_columns))}, chosen, constants)


def _build_levels(case: Case) -> Part:
    """Nodes to `LEVELS`, the target of each reading, and to `level`, the target of the last one."""
    nodes = [
        helper.make_node("Gather", [name_readings(case), "level/target"], [LEVELS], axis=2),
        helper.make_node("Gather", [LEVELS, "level/newest"], ["level"], axis=1),
    ]
    target = np.array(case.column_names.index(case.target.name), dtype=np.int64)
    return nodes, {"level/target": target, "level/newest": ints(-1)}


def _build_known() -> Part:
    """Nodes from the moves "w" to "known"."""
    nodes = [
        helper.make_node("Gather", ["x", "level/target"], ["known/levels"], axis=2),
        helper.make_node("IsNaN", ["known/levels"], ["known/missing"]),
        helper.make_node("Where", ["known/missing", "known/nothing", "w"], ["known/own"]),
        helper.make_node("Concat", ["known/own", "w"], ["known"], axis=1),
    ]
    return nodes, {"known/nothing": np.array(np.nan, dtype=np.float32)}


def _build_features(case: Case) -> Part:
    """Nodes that compute all features of one kind together.

    Newest and previous readings are concatenated to 2F columns, so a lagged column is selected like any other column.
    """
    places = {column.name: place for place, column in enumerate(case.input_columns)}
    taken, given = name_readings(case), name_features(case)
    nodes = [
        helper.make_node("Slice", [taken, "z/one", "z/end", "z/axis"], ["z/newest"]),
        helper.make_node("Slice", [taken, "z/zero", "z/minus_one", "z/axis"], ["z/previous"]),
        helper.make_node("Concat", ["z/newest", "z/previous"], ["z/pairs"], axis=2),
    ]
    constants: dict[str, NDArray[Any]] = {
        "z/zero": ints(0), "z/one": ints(1), "z/minus_one": ints(-1), "z/end": ints(_END), "z/axis": ints(1),
    }  # fmt: skip
    groups = _group_alike(case.graph_features)
    outs = [given] if len(groups) == 1 else [f"z/group_{number}" for number in range(len(groups))]
    for out, group in zip(outs, groups, strict=True):
        pairs = [case.graph_features[place].place_pair(places) for place in group]
        taking, own = _take_pairs(pairs, out)
        computed, more = _compute(case.graph_features[group[0]], f"{out}/first", f"{out}/second", out)
        nodes, constants = [*nodes, *taking, *computed], {**constants, **own, **more}
    if len(groups) > 1:
        constants["z/order"] = np.argsort([place for group in groups for place in group])
        nodes += [
            helper.make_node("Concat", outs, ["z/grouped"], axis=2),
            helper.make_node("Gather", ["z/grouped", "z/order"], [given], axis=2),
        ]
    return nodes, constants


def _group_alike(features: Sequence[Feature]) -> list[list[int]]:
    """Indices of the features of each kind; kinds in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for place, feature in enumerate(features):
        groups.setdefault(type(feature).__name__, []).append(place)
    return list(groups.values())


def _take_pairs(pairs: Sequence[tuple[int, int]], out: str) -> Part:
    first, second = zip(*pairs, strict=True)
    nodes = [
        helper.make_node("Gather", ["z/pairs", f"{out}/first_places"], [f"{out}/first"], axis=2),
        helper.make_node("Gather", ["z/pairs", f"{out}/second_places"], [f"{out}/second"], axis=2),
    ]
    return nodes, {f"{out}/first_places": ints(*first), f"{out}/second_places": ints(*second)}


@singledispatch
def _compute(feature: Feature, first: str, second: str, out: str) -> Part:
    """Nodes that compute features of one kind from two tensors, all given by name."""
    raise NotImplementedError(f"No nodes are defined for {type(feature).__name__}; register them here.")


@_compute.register
def _compute_ratios(feature: LogRatio, first: str, second: str, out: str) -> Part:
    return log_ratio(first, second, out), {f"{out}/tiny": tiny()}


@_compute.register
def _compute_changes(feature: Change, first: str, second: str, out: str) -> Part:
    return [helper.make_node("Sub", [first, second], [f"{out}/exact"]), narrow(f"{out}/exact", out)], {}


@_compute.register
def _pass_given(feature: Given, first: str, second: str, out: str) -> Part:
    return [narrow(first, out)], {}
