"""The outer stages that a graph is joined from, as small ONNX models with named inputs and outputs.

    reading stage   x -> z features, level the last target level, levels all of them, w how each moved away from the
                    last, and where there are several targets now, where they stand (`graph_growth`)
    core            z, w, now, levels or level -> r, what models learn: the fitted model's own part (`graph_cores`)
    answer stage    level, r -> mean, lower, upper of a forecast; other tasks have that of `graph_records`

Moves are those of `okawari.schema.transforms`: logarithms of ratios, or differences.
Shapes: B windows (dynamic), T readings, F columns, K features, S = T - 1, H steps ahead; everything float32.
Knows no session and no file: `okawari.graph.inference` joins and runs what is built here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from okawari.case import Anticipate, Case
from okawari.errors import InvalidInput
from okawari.graph.growth_targets import Part, build_growth_part
from okawari.models.cores import Interval
from okawari.schema.columns import Column
from okawari.schema.features import Change, Feature, LogRatio

OPSET = 20
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 3
"""ONNX's own second set of operators, where trees live; every ONNX Runtime has it."""
IR_VERSION = 10
TINY = 1e-12
"""Floor under both sides of a ratio; it keeps Log finite in float32 (1e26 / 1e-12 is still below 3.4e38)."""
_END = 2**63 - 1
_LEAST, _MOST = "answer/minimum", "answer/maximum"

Dims = tuple[int | str, ...]
Constants = Mapping[str, NDArray[Any]]


def build_stage(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims],
    constants: Constants,
    *,
    with_trees: bool = False,
) -> onnx.ModelProto:
    """One stage from its nodes; `inputs` and `outputs` map names to shapes, `constants` are its embedded tensors."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, dims) for each, dims in inputs.items()],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, dims) for each, dims in outputs.items()],
        [numpy_helper.from_array(value, each) for each, value in constants.items()],
    )
    opsets = [("", OPSET), *([(ML_DOMAIN, ML_OPSET)] if with_trees else [])]
    imports = [helper.make_opsetid(*each) for each in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)


def build_reading_stage(case: Case, outputs: Sequence[str], length: int | str) -> onnx.ModelProto:
    """Input `x` [B, length, F]; `outputs` chosen from "z", "level", "levels", "w" and "now"."""
    steps = length - 1 if isinstance(length, int) else "S"
    shapes: dict[str, Dims] = {
        "z": ("B", steps, len(case.features)),
        "level": ("B", 1),
        "levels": ("B", length),
        "w": ("B", length),
        "now": ("B", case.task.width),
    }
    parts: list[Part] = [_feature_part(case)] if "z" in outputs else []
    if {"level", "levels", "w", "now"} & set(outputs):
        parts.append(_level_part(case, with_moves=bool({"w", "now"} & set(outputs))))
    if "now" in outputs:
        assert isinstance(case.task, Anticipate), "only several targets have a state"
        parts.append(build_growth_part(case.task))
    nodes = [node for part_nodes, _ in parts for node in part_nodes]
    constants = {name: value for _, values in parts for name, value in values.items()}
    chosen = {name: shapes[name] for name in outputs}
    return build_stage("reading", nodes, {"x": ("B", length, len(case.columns))}, chosen, constants)


def _feature_part(case: Case) -> Part:
    """All features at once: `log(numerator[t] / denominator[t - lag])` or `column[t] - column[t - 1]`.

    Newest and previous readings stand side by side as 2F columns, so that a lagged column is a column like any other.
    """
    places = {name: place for place, name in enumerate(case.column_names)}
    pairs = [_place_pair(feature, places) for feature in case.features]
    nodes = [
        helper.make_node("Slice", ["x", "z/one", "z/end", "z/axis"], ["z/newest"]),
        helper.make_node("Slice", ["x", "z/zero", "z/minus_one", "z/axis"], ["z/previous"]),
        helper.make_node("Concat", ["z/newest", "z/previous"], ["z/pairs"], axis=2),
    ]
    constants: dict[str, NDArray[Any]] = {
        "z/zero": ints(0), "z/one": ints(1), "z/minus_one": ints(-1), "z/end": ints(_END), "z/axis": ints(1),
    }  # fmt: skip
    ratios, changes = (
        [place for place, feature in enumerate(case.features) if isinstance(feature, kind)]
        for kind in (LogRatio, Change)
    )
    if not changes:
        return [*nodes, *_take_ratios(pairs, "z", constants)], constants
    nodes += _take_changes([pairs[place] for place in changes], constants)
    parts = ["z/changes"]
    if ratios:
        nodes += _take_ratios([pairs[place] for place in ratios], "z/ratios", constants)
        parts = ["z/ratios", "z/changes"]
    constants["z/order"] = np.argsort([*ratios, *changes])
    nodes += [
        helper.make_node("Concat", parts, ["z/grouped"], axis=2),
        helper.make_node("Gather", ["z/grouped", "z/order"], ["z"], axis=2),
    ]
    return nodes, constants


def _place_pair(feature: Feature, places: Mapping[str, int]) -> tuple[int, int]:
    """Where the two numbers of a feature stand among newest and previous readings."""
    if isinstance(feature, Change):
        return places[feature.column], places[feature.column] + len(places)
    return places[feature.numerator], places[feature.denominator] + feature.lag * len(places)


def _take_ratios(
    pairs: Sequence[tuple[int, int]], out: str, constants: dict[str, NDArray[Any]]
) -> list[onnx.NodeProto]:
    numerators, denominators = zip(*pairs, strict=True)
    constants |= {"z/numerators": ints(*numerators), "z/denominators": ints(*denominators), f"{out}/tiny": _tiny()}
    return [
        helper.make_node("Gather", ["z/pairs", "z/numerators"], ["z/above"], axis=2),
        helper.make_node("Gather", ["z/pairs", "z/denominators"], ["z/below"], axis=2),
        *_log_ratio("z/above", "z/below", out),
    ]


def _take_changes(pairs: Sequence[tuple[int, int]], constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    newest, previous = zip(*pairs, strict=True)
    constants |= {"z/now": ints(*newest), "z/before": ints(*previous)}
    return [
        helper.make_node("Gather", ["z/pairs", "z/now"], ["z/later"], axis=2),
        helper.make_node("Gather", ["z/pairs", "z/before"], ["z/earlier"], axis=2),
        helper.make_node("Sub", ["z/later", "z/earlier"], ["z/changes"]),
    ]


def _level_part(case: Case, *, with_moves: bool) -> Part:
    """`levels`, the target of each reading, `level`, that of the last, and on demand `w = log(levels / level)`; where
    differences are learnt `w = levels - level`.
    """
    nodes = [
        helper.make_node("Gather", ["x", "level/target"], ["levels"], axis=2),
        helper.make_node("Gather", ["levels", "level/newest"], ["level"], axis=1),
    ]
    target = np.array(case.column_names.index(case.target.name), dtype=np.int64)
    constants: dict[str, NDArray[Any]] = {"level/target": target, "level/newest": ints(-1)}
    if not with_moves:
        return nodes, constants
    if case.learns == "difference":
        return [*nodes, helper.make_node("Sub", ["levels", "level"], ["w"])], constants
    return [*nodes, *_log_ratio("levels", "level", "w")], {**constants, "w/tiny": _tiny()}


def _log_ratio(above: str, below: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Max", [above, f"{out}/tiny"], [f"{out}/above_0"]),
        helper.make_node("Max", [below, f"{out}/tiny"], [f"{out}/below_0"]),
        helper.make_node("Div", [f"{out}/above_0", f"{out}/below_0"], [f"{out}/ratio"]),
        helper.make_node("Log", [f"{out}/ratio"], [out]),
    ]


def _tiny() -> NDArray[np.float32]:
    return np.array(TINY, dtype=np.float32)


def ints(*values: int) -> NDArray[np.int64]:
    """Integers as ONNX takes shapes, axes and indices."""
    return np.array(values, dtype=np.int64)


def count_features(case: Case) -> int:
    """K: a series' features; of records one for each number and one for each word that a label may be."""
    return len(case.features) if case.is_series else sum(len(column.labels) or 1 for column in case.columns)


def count_steps(case: Case) -> int:
    """S, the feature steps of a question: a series' feature may look one reading back, a record's does not."""
    return case.history - 1 if case.is_series else 1


def require_shape(what: str, value: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse numbers that were fitted for another history or horizon.

    Raises:
        InvalidInput: `value` has another shape.
    """
    if value.shape != shape:
        raise InvalidInput(f"{what} has shape {value.shape}; the case asks for {shape}. Fit for this case.")


def build_answer_stage(case: Case, interval: Interval | None) -> onnx.ModelProto:
    """`mean = level * exp(r)` and, with an interval, `lower, upper = level * exp(r -/+ half_width)`.

    Where differences are learnt, `mean = level + r` and so on, but none of the three lies beyond the `minimum` and
    `maximum` of the target's column. The promised coverage stays: a truth lies between them, so whatever interval held
    it before holds it still, and no error of the mean becomes larger. (A truth lies above `above` as well, but there is
    no nearest number to answer instead.)
    """
    dims: Dims = ("B", case.task.width)
    constants = _list_bounds(case.target) if case.learns == "difference" else {}
    follow = partial(_clipped_sum, bounds=constants) if case.learns == "difference" else _scaled_exponent
    nodes, outputs = follow("r", "mean"), {"mean": dims}
    if interval is not None:
        require_shape("Interval.half_width_H", interval.half_width_H, (case.task.width,))
        nodes += [
            helper.make_node("Sub", ["r", "half_width"], ["answer/low"]),
            *follow("answer/low", "lower"),
        ]
        nodes += [helper.make_node("Add", ["r", "half_width"], ["answer/up"]), *follow("answer/up", "upper")]
        outputs |= {"lower": dims, "upper": dims}
        constants = {**constants, "half_width": interval.half_width_H.astype(np.float32)}
    return build_stage("answer", nodes, {"level": ("B", 1), "r": dims}, outputs, constants)


def _scaled_exponent(returns: str, out: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Exp", [returns], [f"{out}/growth"]),
        helper.make_node("Mul", ["level", f"{out}/growth"], [out]),
    ]


def _clipped_sum(moves: str, out: str, *, bounds: Constants) -> list[onnx.NodeProto]:
    if not bounds:
        return [helper.make_node("Add", ["level", moves], [out])]
    limits = [name if name in bounds else "" for name in (_LEAST, _MOST)]
    return [
        helper.make_node("Add", ["level", moves], [f"{out}/sum"]),
        helper.make_node("Clip", [f"{out}/sum", *limits], [out]),
    ]


def _list_bounds(target: Column) -> dict[str, NDArray[Any]]:
    """The least and the largest value of a column, as far as it has them."""
    bounds: dict[str, NDArray[Any]] = {}
    if target.minimum is not None:
        bounds[_LEAST] = np.float32(0) - _round_up(-target.minimum)  # 0 and not -0, which would be answered
    if target.maximum is not None:
        bounds[_MOST] = _round_up(target.maximum)
    return bounds


def _round_up(value: float) -> NDArray[np.float32]:
    """The smallest float32 that is not below: a truth that stands on its bound stays inside."""
    near = np.float32(value)
    return np.asarray(near if float(near) >= value else np.nextafter(near, np.float32(np.inf)))
