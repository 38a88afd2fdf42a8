"""A user's ONNX function as the core of a graph: nodes for its input and its output, and one test run.

Shapes: B windows (dynamic), T readings, S feature steps, K features, L newest steps, H columns of an answer; everything
float32.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from okawari.case import Case
from okawari.errors import InvalidInput, require
from okawari.graph.function_import import EXPORT, import_function, read_dims, walk
from okawari.graph.stages import ML_DOMAIN, Part, build_stage, newest_row, shares_to_logits
from okawari.models.cores import OnnxCore
from okawari.schema.heads import mark_shares

_TRIED_WINDOWS = (1, 3)
_ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


def build_function_stage(core: OnnxCore, case: Case) -> onnx.ModelProto:
    """Build the stage with the input `core.reads` and the output `r` [B, H] around the function.

    Raises:
        InvalidInput: `import_function` refuses the function, it takes windows of another shape than the case has, or
            ONNX Runtime does not run it on one window and on several.
    """
    graph, taken_dims, width = import_function(core), _measure_reads(core, case), case.task.width
    inner_input, inner_output = graph.input[0].name, graph.output[0].name
    taking, taking_constants = _take(core, case, read_dims(graph.input[0])[1:], inner_input)
    giving, giving_constants = shares_to_logits(inner_output, "r", _mark_shares(core, case))
    stage = build_stage(
        "function",
        [*taking, *graph.node, *giving],
        {core.reads: ("B", *taken_dims)},
        {"r": ("B", width)},
        {each.name: numpy_helper.to_array(each) for each in graph.initializer} | taking_constants | giving_constants,
        with_ml=any(node.domain == ML_DOMAIN for node in walk(graph)),
    )
    _run_once(stage, core.reads, taken_dims, width)
    return stage


def _measure_reads(core: OnnxCore, case: Case) -> tuple[int, ...]:
    if core.reads == "z":
        return (case.n_feature_steps, case.n_features)
    require(
        case.level_index is not None,
        f"OnnxCore.reads is {core.reads!r}; case {case.name} has no series with levels. Use 'z'.",
    )
    return (case.history,)


def _take(core: OnnxCore, case: Case, dims: list[int | None], inner: str) -> Part:
    """Nodes from the stage's input to the function's input: unchanged, or the newest feature steps as one row."""
    expected = _measure_reads(core, case)
    if len(dims) == len(expected) and all(each in (None, size) for each, size in zip(dims, expected, strict=True)):
        return [helper.make_node("Identity", [core.reads], [inner])], {}
    in_rows = core.reads == "z" and len(dims) == 1
    lags = _count_lags(dims[0], expected) if in_rows else None
    if lags is None:
        raise InvalidInput(
            f"The function takes windows of shape {dims}; case {case.name} has {_list_shapes(core, expected)}. "
            "Fit and export it for this case."
        )
    return newest_row(lags, case.n_features, inner)


def _count_lags(width: int | None, expected: tuple[int, ...]) -> int | None:
    """Number of feature steps in a row of this width; None if it is not a whole number of the available steps."""
    steps, n_features = expected
    if width is None:
        return steps
    return width // n_features if width % n_features == 0 and 0 < width <= steps * n_features else None


def _list_shapes(core: OnnxCore, expected: tuple[int, ...]) -> str:
    if core.reads != "z":
        return f"{list(expected)}"
    steps, n_features = expected
    return f"{[steps, n_features]}, or [L * {n_features}] in one row with L from 1 to {steps}"


def _mark_shares(core: OnnxCore, case: Case) -> NDArray[np.bool_]:
    width = case.task.width
    return mark_shares(case.task.heads, width) if core.labels_as == "shares" else np.zeros(width, dtype=np.bool_)


def _run_once(stage: onnx.ModelProto, taken: str, dims: tuple[int, ...], width: int) -> None:
    """Run the stage on one window and on several. Declared shapes do not prove that the function runs for any B."""
    try:
        onnx.checker.check_model(stage)
        session = onnxruntime.InferenceSession(stage.SerializeToString(), providers=["CPUExecutionProvider"])
        shapes = [session.run(["r"], {taken: np.ones((n, *dims), np.float32)})[0].shape for n in _TRIED_WINDOWS]
    except (onnx.checker.ValidationError, *_ORT_ERRORS) as error:
        raise InvalidInput(f"ONNX Runtime does not run the function: {error}. {EXPORT}") from error
    expected = [(n, width) for n in _TRIED_WINDOWS]
    require(
        shapes == expected,
        f"The function answers {list(_TRIED_WINDOWS)} windows with shapes {shapes}; the case needs {expected}. "
        "Return one row for each window and one column for each number of an answer.",
    )
