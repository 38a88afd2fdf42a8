"""Build the graph of a fitted model: join reading stage, core and answer stage into one ONNX file.

Shapes: B windows (dynamic), T readings, F columns, H columns of an answer. Readings and answers are float64.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import onnx
from onnx import compose, helper

from okawari.case import Case
from okawari.graph.cores import build_core_stage
from okawari.graph.dictionary import describe_words
from okawari.graph.imputation_stage import describe_medians
from okawari.graph.reading_stage import build_reading_stage
from okawari.graph.stages import IR_VERSION
from okawari.graph.transforms import build_answer_stage
from okawari.models.cores import Core, Interval
from okawari.schema.imputation import Imputation


def build_graph(core: Core, case: Case, interval: Interval | None, imputation: Imputation | None = None) -> bytes:
    """Build the self-contained ONNX file of a fitted model: input `x`, outputs `mean` and, with an interval, bounds and
    the optional input `width_H`, whose default are the interval's half widths.

    `imputation` has the medians for missing values, those of the windows that the model was fitted on.

    Raises:
        InvalidInput: the core or the interval does not fit the case's history or horizon, or a column allows missing
            values and no imputation is given.
    """
    core_model = build_core_stage(core, case)
    taken = [each.name for each in core_model.graph.input]
    answer = build_answer_stage(case.task.transform, case, interval)
    own = {"r", *(each.name for each in answer.graph.initializer)}
    kept = [each.name for each in answer.graph.input if each.name not in own]
    reading = build_reading_stage(case.layout, case, tuple(dict.fromkeys((*taken, *kept))), imputation)
    read = [(name, name) for name in taken]
    fitted = compose.merge_models(reading, core_model, read, outputs=[*kept, "core/r"], prefix2="core/")
    merged = compose.merge_models(fitted, answer, [*((name, name) for name in kept), ("core/r", "r")])
    return seal_model(merged, _make_labels(case, interval) | describe_medians(case, imputation))


def _make_labels(case: Case, interval: Interval | None) -> dict[str, str]:
    labels = {
        "case": case.name,
        "inputs": ",".join(column.name for column in case.input_columns),
        "outputs": "mean,lower,upper" if interval else "mean",
        "target": case.target.name,
        "unit": case.target.unit,
        "history": str(case.history),
        "width": str(case.task.width),
        "variant": "fp32",
        "answers_sha256": case.task.answers_sha256,
        "answers": json.dumps(case.task.describe_answers(), sort_keys=True),
    }
    labels |= describe_words(case)
    return labels | ({"coverage_share": repr(interval.coverage_share)} if interval else {})


def seal_model(model: onnx.ModelProto, labels: Mapping[str, str]) -> bytes:
    """Infer shapes, check the model, add `labels` as metadata and serialize it. Equal models give equal bytes."""
    opsets = [
        helper.make_opsetid(*each) for each in sorted({(each.domain, each.version) for each in model.opset_import})
    ]
    sealed = helper.make_model(model.graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="okawari")
    sealed.graph.name, sealed.graph.doc_string = labels["case"], ""
    helper.set_model_props(sealed, dict(sorted(labels.items())))
    sealed = onnx.shape_inference.infer_shapes(sealed, check_type=True, strict_mode=True)
    onnx.checker.check_model(sealed, full_check=True)
    content: bytes = sealed.SerializeToString(deterministic=True)
    return content
