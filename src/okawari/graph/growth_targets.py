"""The current targets of an `Anticipate` task, in a window's last reading, as a part of the reading stage.

    w -> now    numbers unchanged, labels one-hot

The truth of a window is the value of `now` in the next window. So a model that predicts the last state reads in
service what it was trained on, and the bounds of a label are applied in one place.

Shapes: B windows, T readings, V targets, N bounds of labels, H columns of an answer; everything float32.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from okawari.errors import InvalidInput
from okawari.graph.stages import Part
from okawari.schema.tasks.multi_target import Anticipate, Growth
from okawari.schema.tasks.task import Task


@singledispatch
def build_state_part(task: Task) -> Part:
    """Nodes to "now" [B, H], a task's targets in the last reading.

    Raises:
        InvalidInput: the task's targets have no state.
    """
    raise InvalidInput(f"The targets of {type(task).__name__} have no state; read the features instead.")


@build_state_part.register
def build_growth_part(task: Anticipate) -> Part:
    """Nodes from "w" [B, T], `log(level / last level)`, to "now" [B, H].

    Growth is linear in w. A label's columns are `[1, 0, 0]` below its first bound; each bound that is reached moves the
    1 one column to the right.
    """
    weight_VT = np.stack([_weigh(target, task.history) for target in task.targets])
    values_VH, steps_NH, first_H = _lay_out_columns(task)
    nodes = [helper.make_node("Gemm", ["w", "now/weight"], ["now/values"], transB=1)]
    constants = {"now/weight": weight_VT, "now/columns": values_VH}
    if not len(steps_NH):
        return [*nodes, helper.make_node("MatMul", ["now/values", "now/columns"], ["now"])], _narrow(constants)
    nodes += [
        helper.make_node("Gather", ["now/values", "now/banded"], ["now/judged"], axis=1),
        helper.make_node("GreaterOrEqual", ["now/judged", "now/bounds"], ["now/reached"]),
        helper.make_node("Cast", ["now/reached"], ["now/marks"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["now/marks", "now/steps", "now/first"], ["now/labels"]),
        helper.make_node("Gemm", ["now/values", "now/columns", "now/labels"], ["now"]),
    ]
    places = [place for place, target in enumerate(task.targets) for _ in target.bounds]
    bounds = np.array([bound for target in task.targets for bound in target.bounds])
    constants |= {"now/bounds": bounds, "now/steps": steps_NH, "now/first": first_H}
    return nodes, {**_narrow(constants), "now/banded": np.array(places, dtype=np.int64)}


def _weigh(target: Growth, history: int) -> NDArray[np.float64]:
    """Weight of each reading's w in the target's value [T]."""
    weight_T = np.zeros(history)
    for back, sign in ((1, 1.0), (2, -1.0))[: 1 + target.change]:
        weight_T[-back] += sign * target.factor
        weight_T[-back - target.lag] -= sign * target.factor
    return weight_T


def _lay_out_columns(task: Anticipate) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The matrix from targets to columns [V, H], the change per reached bound [N, H], and the first labels [H]."""
    values_VH, first_H = np.zeros((len(task.targets), task.width)), np.zeros(task.width)
    steps_NH = np.zeros((sum(len(target.bounds) for target in task.targets), task.width))
    row = 0
    for place, (target, head) in enumerate(zip(task.targets, task.heads, strict=True)):
        values_VH[place, head.start], first_H[head.start] = 1.0 - head.is_share, float(head.is_share)
        for column in range(head.start, head.start + len(target.bounds)):
            steps_NH[row, column : column + 2] = -1.0, 1.0
            row += 1
    return values_VH, steps_NH, first_H


def _narrow(constants: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
    return {name: values.astype(np.float32) for name, values in constants.items()}
