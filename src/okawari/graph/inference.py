"""Load a graph and run it: raw readings in, answers in the target's own unit out.

Shapes: B windows (dynamic), T readings, F columns, H columns of an answer. Readings and answers are float64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph.dictionary import WORDS, know_graph, read_graph_words
from okawari.graph.scale_stage import WIDTH
from okawari.models.windows import Values

WEIGHTS_ONLY = "uint8"
"""Variant whose weights are stored in 8 bits while it computes in float32."""


_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class Answer:
    """The output of a graph in the target's own unit; the bounds are None if the model has no interval."""

    mean_BH: Values
    lower_BH: Values | None = None
    upper_BH: Values | None = None
    coverage_share: float | None = None
    """Promised share of true values between the bounds."""


@dataclass(frozen=True)
class Graph:
    """A loaded graph. `labels` are the metadata strings written into the file when it was built. `width_H` are the half
    widths of its intervals before scaling, in the unit of what models learn; None for a graph without intervals, and
    for one of an earlier version of Okawari.
    """

    session: onnxruntime.InferenceSession
    sha256: str
    labels: Mapping[str, str]
    width_H: Values | None = None

    @classmethod
    def load(cls, content: bytes, *, threads: int = 1, device: str = "cpu") -> Graph:
        """Load a graph from the bytes of its file. `device` is "cpu" or "cuda".

        Raises:
            InvalidInput: not an ONNX file, a file that references other files, or a device that is not available.
        """
        model = parse_model(content)
        labels = read_labels(model)
        options = _session_options(threads, weights_only=labels.get("variant") == WEIGHTS_ONLY)
        session = onnxruntime.InferenceSession(content, options, providers=_choose_providers(device))
        return cls(session, hashlib.sha256(content).hexdigest(), labels, _read_widths(model))

    @property
    def history(self) -> int | None:
        """Readings in a window; None if the graph takes any number."""
        length = self.session.get_inputs()[0].shape[1]
        return length if isinstance(length, int) else None

    @property
    def is_exact(self) -> bool:
        """Whether it takes readings in float64; graphs of earlier versions of Okawari take float32."""
        return bool(self.session.get_inputs()[0].type == "tensor(double)")

    @property
    def n_columns(self) -> int:
        """Columns of a reading."""
        return int(self.session.get_inputs()[0].shape[2])

    def answer(self, x_BTF: NDArray[np.floating[Any]], width_H: Values | None = None) -> Answer:
        """Compute the answers to a batch of raw readings [B, T, F].

        Args:
            x_BTF: the readings.
            width_H: half widths to use instead of those that the graph was calibrated with.

        Raises:
            InvalidInput: the graph takes another shape, or no widths.
        """
        outputs = self.run(x_BTF, width_H)
        share = self.labels.get("coverage_share")
        return Answer(outputs["mean"], outputs.get("lower"), outputs.get("upper"), float(share) if share else None)

    def run(self, x_BTF: NDArray[np.floating[Any]], width_H: Values | None = None) -> dict[str, NDArray[Any]]:
        """All outputs of the graph by name, for raw readings [B, T, F]; raises like `answer`."""
        windows = np.ascontiguousarray(x_BTF, dtype=np.float64)
        if not self._fits(windows.shape):
            raise InvalidInput(
                f"x has shape {windows.shape}; this graph takes [B, {self.history or 'T'}, {self.n_columns}]: "
                "windows, readings (oldest first), columns. Reshape the readings."
            )
        names = [output.name for output in self.session.get_outputs()]
        given = {"x": windows} if width_H is None else {"x": windows, WIDTH: self._check_widths(width_H)}
        return dict(zip(names, self.session.run(names, given), strict=True))

    def _check_widths(self, width_H: Values) -> Values:
        if self.width_H is None or width_H.shape != self.width_H.shape:
            takes = "none" if self.width_H is None else f"{len(self.width_H)}"
            raise InvalidInput(f"width_H has shape {width_H.shape}; this graph takes {takes} widths. Leave them out.")
        return np.ascontiguousarray(width_H, dtype=np.float64)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[1] == (self.history or shape[1]) and shape[2] == self.n_columns


def _read_widths(model: onnx.ModelProto) -> Values | None:
    """The default of the input `WIDTH`; None for a graph without it."""
    if WIDTH not in {each.name for each in model.graph.input}:
        return None
    [stored] = [each for each in model.graph.initializer if each.name == WIDTH]
    widths: Values = numpy_helper.to_array(stored).copy()
    return widths


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
    # A spinning thread keeps a core busy while it waits for the next request.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Weights stored in 8 bits become float once, on loading. By default, ONNX Runtime keeps their DequantizeLinear for
    # an 8-bit kernel that does not exist here, and runs it in every request (0.19 against 0.17 ms for a small LSTM).
    options.add_session_config_entry("session.disable_quant_qdq", "1" if weights_only else "0")
    return options


def parse_model(content: bytes) -> onnx.ModelProto:
    """Parse a file and check that it is one ONNX model that references no other file.

    Raises:
        InvalidInput: the bytes are not an ONNX model, or its weights are in other files.
    """
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise InvalidInput(f"{len(content)} bytes are not an ONNX model ({error}). Build the graph again.") from error
    if not model.graph.node:
        raise InvalidInput(f"{len(content)} bytes hold an ONNX model without nodes. Build the graph again.")
    outside = [each.name for each in model.graph.initializer if each.data_location == TensorProto.EXTERNAL]
    if outside:
        raise InvalidInput(f"The graph keeps {outside} in other files; a graph is one file. Embed its weights.")
    return model


def read_labels(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata strings that were written into the file when it was built."""
    return {each.key: each.value for each in model.metadata_props}


def require_fit(graph: Graph, case: Case) -> None:
    """Check that a graph takes the questions of a case.

    Raises:
        InvalidInput: the case's history, its number of columns or its columns of words have changed since the training,
            or the graph was built for readings in float32.
    """
    if not graph.is_exact:
        raise InvalidInput("Its graph takes readings in float32; they are float64 now. Train the case again.")
    require_inputs(graph, case)
    takes, needs = (graph.history, graph.n_columns), (case.history, len(case.input_columns))
    if takes[0] not in (None, needs[0]) or takes[1] != needs[1]:
        raise InvalidInput(
            f"Its graph takes {takes[0]} readings of {takes[1]} columns; case {case.name} sends "
            f"{needs[0]} of {needs[1]}. Train it again for this case."
        )


def require_inputs(graph: Graph, case: Case) -> None:
    """Check that a graph was trained on the columns of a case, in this order, each of words or of numbers.

    Raises:
        InvalidInput: a column was renamed, moved, or changed between words and numbers since the training.
    """
    metadata = graph.labels
    if "inputs" not in metadata:
        return
    words = read_graph_words(metadata)
    came = [_name_kind(name, "word" if name in words else "number") for name in metadata["inputs"].split(",")]
    needs = [_name_kind(column.name, column.kind) for column in case.input_columns]
    if came != needs and not (_is_early(graph) and graph.labels["inputs"] == ",".join(case.column_names)):
        raise InvalidInput(
            f"Its graph takes the columns {', '.join(came)}; case {case.name} sends {', '.join(needs)}. Train it again "
            "for this case."
        )


def _is_early(graph: Graph) -> bool:
    """Whether the graph may be of an Okawari that did not write the words of inputs into graphs."""
    metadata = graph.labels
    return WORDS not in metadata


def _name_kind(name: str, kind: str) -> str:
    return name if kind == "number" else f"{name} ({kind}s)"


def require_answers(graph: Graph, case: Case) -> None:
    """Check that a graph's answers are those that the case defines, with the words of the graph's own dictionary.

    Raises:
        InvalidInput: the case's steps, bounds or targets have changed since the training.
    """
    task = know_graph(case, graph.labels).task
    width, digest = str(task.width), task.answers_sha256
    came_width, came_digest = graph.labels.get("width", width), graph.labels.get("answers_sha256", digest)
    if (came_width, came_digest) == (width, digest):
        return
    came, what = (
        (f"{came_width} numbers", f"{width} numbers")
        if came_width != width
        else _find_difference(json.loads(graph.labels.get("answers", "[]")), task.describe_answers())
    )
    raise InvalidInput(
        f"The graph answers with {came}; case {case.name} needs {what}, because the case was changed since. "
        "Train it again for this case."
    )


def _find_difference(came: Sequence[object], expected: Sequence[object]) -> tuple[str, str]:
    """The first pair of answers that differ, as JSON."""
    both = zip(came, expected, strict=False)
    pairs = ((json.dumps(one, sort_keys=True), json.dumps(other, sort_keys=True)) for one, other in both)
    return next(((one, other) for one, other in pairs if one != other), ("other answers", json.dumps(expected)))
