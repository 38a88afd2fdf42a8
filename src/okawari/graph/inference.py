"""The graph: raw readings in, answer in the target's own unit out, as one self-contained ONNX file.

A graph is joined from a reading stage and an answer stage (`okawari.graph.stages`) with a fitted model's core between
them (`okawari.graph.cores`, `okawari.graph.trees`).
The reading stage is the one place where features are computed: training, drift and serving all run it.

Shapes: B windows (dynamic), T readings, F columns, K features, S = T - 1, H steps ahead; everything float32.
The modules `okawari.graph.inference*` are the only homes of onnx, onnxruntime, onnxscript, skl2onnx and onnxmltools.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph.cores import build_core_stage
from okawari.graph.stages import IR_VERSION, build_answer_stage, build_reading_stage
from okawari.graph.tabular_stage import build_heads_stage, build_record_stage
from okawari.models.recipe import Core, Floats, Interval
from okawari.schema.tasks import spell_answers

WEIGHTS_ONLY = "uint8"
"""Variant whose weights are stored in 8 bits while it computes in float32."""
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class Answer:
    """What a graph answers, in the target's own unit; the bounds are None where the model has no interval."""

    mean_BH: Floats
    lower_BH: Floats | None = None
    upper_BH: Floats | None = None
    coverage_share: float | None = None
    """Share of truths that the bounds are meant to hold."""


@dataclass(frozen=True)
class Graph:
    """A loaded graph, ready to answer. `labels` are the strings written into the file when it was built."""

    session: onnxruntime.InferenceSession
    sha256: str
    labels: Mapping[str, str]

    @classmethod
    def load(cls, content: bytes, *, threads: int = 1, device: str = "cpu") -> Graph:
        """Load a graph from the bytes of its file. `device` is "cpu" or "cuda".

        Raises:
            InvalidInput: not an ONNX file, a file that points at other files, or a device that is not there.
        """
        labels = read_labels(parse_model(content))
        options = _session_options(threads, weights_only=labels.get("variant") == WEIGHTS_ONLY)
        session = onnxruntime.InferenceSession(content, options, providers=_choose_providers(device))
        return cls(session, hashlib.sha256(content).hexdigest(), labels)

    @property
    def history(self) -> int | None:
        """Readings in a window; None where the graph takes any number."""
        length = self.session.get_inputs()[0].shape[1]
        return length if isinstance(length, int) else None

    @property
    def n_columns(self) -> int:
        """Columns of a reading."""
        return int(self.session.get_inputs()[0].shape[2])

    def answer(self, x_BTF: NDArray[np.floating[Any]]) -> Answer:
        """Answer a batch of raw readings [B, T, F].

        Raises:
            InvalidInput: another shape than the graph takes.
        """
        outputs = self.run(x_BTF)
        share = self.labels.get("coverage_share")
        return Answer(outputs["mean"], outputs.get("lower"), outputs.get("upper"), float(share) if share else None)

    def run(self, x_BTF: NDArray[np.floating[Any]]) -> dict[str, Floats]:
        """All outputs of the graph by name, for raw readings [B, T, F]; raises like `answer`."""
        question = np.ascontiguousarray(x_BTF, dtype=np.float32)
        if not self._fits(question.shape):
            raise InvalidInput(
                f"x has shape {question.shape}; this graph takes [B, {self.history or 'T'}, {self.n_columns}]: "
                "windows, readings (oldest first), columns. Reshape the readings."
            )
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {"x": question}), strict=True))

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[1] == (self.history or shape[1]) and shape[2] == self.n_columns


def _choose_providers(device: str) -> list[str]:
    if device not in _PROVIDERS:
        raise InvalidInput(f"Device is {device!r}; a graph runs on {sorted(_PROVIDERS)}. Choose one of these.")
    available = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in available:
        raise InvalidInput(
            f"Device is {device!r}, but this onnxruntime offers {available}. Install onnxruntime-gpu or use 'cpu'."
        )
    return list(dict.fromkeys((_PROVIDERS[device], _PROVIDERS["cpu"])))


def _session_options(threads: int, *, weights_only: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning thread keeps a core busy while it waits for the next question.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Weights stored in 8 bits become float once, on loading. Left alone, ONNX Runtime keeps their DequantizeLinear for
    # an 8-bit kernel that does not exist here, and runs it for every question (0.19 against 0.17 ms for a small LSTM).
    options.add_session_config_entry("session.disable_quant_qdq", "1" if weights_only else "0")
    return options


def parse_model(content: bytes) -> onnx.ModelProto:
    """The parsed file, which is checked to be one ONNX model that opens no other file.

    Raises:
        InvalidInput: the bytes are not an ONNX model, or its weights lie in other files.
    """
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise InvalidInput(f"{len(content)} bytes are no ONNX model ({error}). Build the graph again.") from error
    if not model.graph.node:
        raise InvalidInput(f"{len(content)} bytes hold an ONNX model without nodes. Build the graph again.")
    outside = [each.name for each in model.graph.initializer if each.data_location == TensorProto.EXTERNAL]
    if outside:
        raise InvalidInput(f"The graph keeps {outside} in other files; a graph is one file. Embed its weights.")
    return model


def read_labels(model: onnx.ModelProto) -> dict[str, str]:
    """The strings that were written into the file when it was built."""
    return {each.key: each.value for each in model.metadata_props}


def build_graph(core: Core, case: Case, interval: Interval | None) -> bytes:
    """The one self-contained ONNX file of a fitted model: input `x`, outputs `mean` and, with an interval, the bounds.

    Raises:
        InvalidInput: the core or the interval does not fit the case's history or horizon.
    """
    core_model = build_core_stage(core, case)
    taken = core_model.graph.input[0].name
    kept = ["level"] if case.is_forecast else []
    wanted = tuple(dict.fromkeys((taken, *kept)))
    reading = build_reading_stage(case, wanted, length=case.history) if case.is_series else build_record_stage(case)
    answer = build_answer_stage(case, interval) if case.is_forecast else build_heads_stage(case, interval)
    fitted = compose.merge_models(reading, core_model, [(taken, taken)], outputs=[*kept, "core/r"], prefix2="core/")
    merged = compose.merge_models(fitted, answer, [*((name, name) for name in kept), ("core/r", "r")])
    return seal_model(merged, _make_labels(case, interval))


def _make_labels(case: Case, interval: Interval | None) -> dict[str, str]:
    labels = {
        "case": case.name,
        "inputs": ",".join(case.column_names),
        "outputs": "mean,lower,upper" if interval else "mean",
        "target": case.target.name,
        "unit": case.target.unit,
        "history": str(case.history),
        "width": str(case.task.width),
        "variant": "fp32",
    }
    if not case.is_forecast:
        labels["answers"] = spell_answers(case.task)
    return labels | ({"coverage_share": repr(interval.coverage_share)} if interval else {})


def require_answers(graph: Graph, case: Case) -> None:
    """Refuse a graph whose numbers stand for something else than the case asks for now.

    Raises:
        InvalidInput: the case's steps, labels, bounds or targets have changed since it was trained.
    """
    for name, asked, what in (
        ("width", str(case.task.width), f"{case.task.width} numbers"),
        ("answers", spell_answers(case.task), f"({spell_answers(case.task)})"),
    ):
        said = graph.labels.get(name, asked)
        if said != asked:
            came = f"{said} numbers" if name == "width" else f"({said})"
            raise InvalidInput(
                f"The graph answers with {came}; case {case.name} asks for {what}, as it was changed since. "
                "Train it again for this case."
            )


def build_feature_graph(case: Case) -> bytes:
    """Features alone, by the same nodes as in every full graph: `x` [B, T, F] -> `z` [B, T - 1, K] of a series for any
    T, [B, 1, F] -> [B, 1, K] of records.
    """
    stage = build_reading_stage(case, ("z",), length="T") if case.is_series else build_record_stage(case)
    return seal_model(stage, {"case": case.name})


def compute_features(case: Case, x_BTF: NDArray[np.floating[Any]]) -> Floats:
    """Features `z_BSK` of raw readings, by running the feature graph; a whole series of n readings is [1, n, F]."""
    return _load_cached(build_feature_graph(case)).run(x_BTF)["z"]


def compute_standing(case: Case, x_BTF: NDArray[np.floating[Any]]) -> Floats:
    """Where the targets of an `Anticipate` case stand in the last reading of each window, [B, H]: numbers as they are,
    a label as one column for each word; by the same nodes that every graph of the case has.
    """
    stage = build_reading_stage(case, ("now",), length=case.history)
    return _load_cached(seal_model(stage, {"case": case.name})).run(x_BTF)["now"]


@lru_cache(maxsize=32)
def _load_cached(content: bytes) -> Graph:
    return Graph.load(content)


def seal_model(model: onnx.ModelProto, labels: Mapping[str, str]) -> bytes:
    """The model's file: shapes inferred, checked, labelled; equal models give equal bytes."""
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
