"""Model versions and the champion. With `tracking`, the only home of mlflow.

The graph of a version is kept as the very bytes that were measured (`variants/<variant>.onnx`), beside the ONNX model
that MLflow itself can load. MLflow keeps no history of alias moves; ours is in the decision records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from okawari.case import Case
from okawari.errors import NotYet
from okawari.registry.client import asking, load_client, load_mlflow
from okawari.registry.runs import load_file
from okawari.storage.deployable import ModelIdentity

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CHAMPION = "champion"
_LOADERS = ["onnxruntime"]


@dataclass(frozen=True, kw_only=True)
class Version(ModelIdentity):
    """A registered model version: its identity and how good it was, kept as tags."""

    loss_name: str
    loss: float
    skill_share: float


_TYPES: Mapping[str, Callable[[str], Any]] = defaultdict(
    lambda: str, snapshot_version=int, coverage_share=float, measured_share=float, loss=float, skill_share=float
)
"""How tags, which are text, become values again."""


def register_version(case: Case, run_id: str, graph: Any, facts: Mapping[str, Any]) -> str:
    """Log the graph as the run's ONNX model, register it under the case's name, and return the version's number.

    Args:
        case: whose model it is.
        run_id: the training that made it.
        graph: the parsed ONNX model (`okawari.graph.inference.parse_model`).
        facts: the fields of `Version` besides case, version and run_id.
    """
    mlflow = load_mlflow()
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.onnx.log_model(
            graph,
            name="model",
            signature=_sign(case),
            pip_requirements=_LOADERS,
            save_as_external_data=False,
            onnx_execution_providers=["CPUExecutionProvider"],
        )
    _ensure_registered(case)
    tags = {name: str(value) for name, value in facts.items() if value is not None}
    made = load_client().create_model_version(case.name, logged.model_uri, run_id, tags=tags, model_id=logged.model_id)
    return str(made.version)


def set_champion(case_name: str, version: str) -> None:
    """Point the champion alias at a version."""
    load_client().set_registered_model_alias(case_name, CHAMPION, version)


def load_champion(case_name: str) -> Version | None:
    """The version that the champion alias points at; None where the case has no champion."""
    try:
        with asking():
            found = load_client().get_model_version_by_alias(case_name, CHAMPION)
    except NotYet:
        return None
    return _to_version(case_name, found)


def load_version(case_name: str, version: str) -> Version:
    """A registered version.

    Raises:
        NotYet: there is none of that number.
    """
    with asking(f"Case {case_name} has no registered version {version}."):
        return _to_version(case_name, load_client().get_model_version(case_name, version))


def load_graph(version: Version) -> bytes:
    """The graph of a version, as measured."""
    return load_file(version.run_id, f"variants/{version.variant}.onnx")


def _sign(case: Case) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    number, task = np.dtype("float32"), case.task
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, case.history, len(case.columns)), "x")]),
        outputs=Schema([TensorSpec(number, (-1, task.width), "mean")]),
    )


def _ensure_registered(case: Case) -> None:
    from mlflow.exceptions import MlflowException

    try:
        load_client().create_registered_model(case.name, description=case.title)
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _to_version(case_name: str, found: Any) -> Version:
    known = {"case": case_name, "version": str(found.version), "run_id": found.run_id}
    told = {field.name: found.tags.get(field.name) for field in fields(Version) if field.name not in known}
    return Version(**known, **{name: _parse_tag(name, text) for name, text in told.items()})


def _parse_tag(name: str, text: str | None) -> Any:
    """A tag's text as its field's type; tags of missing values are not written."""
    return None if text is None else _TYPES[name](text)
