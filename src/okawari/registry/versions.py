"""Model versions and the champion. With `tracking`, the only home of mlflow.

The graph of a version is kept as the very bytes that were measured (`variants/<variant>.onnx`), beside the ONNX model
that MLflow itself can load. MLflow keeps no history of alias moves; ours is in the decision records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from okawari.case import Case
from okawari.errors import NotYet
from okawari.registry.client import asking, load_client, load_mlflow
from okawari.registry.runs import load_file

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CHAMPION = "champion"
_LOADERS = ["onnxruntime"]


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered model version with what its tags say of it."""

    case: str
    version: str
    run_id: str
    candidate: str
    variant: str
    graph_sha256: str
    snapshot_version: int
    snapshot_digest: str
    trained_until: str
    decision_id: str
    coverage_share: float | None
    measured_share: float | None
    """Share of the held-out truths that the interval held, of the first step or the first number."""
    loss_name: str
    loss: float
    skill_share: float


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
    tags = found.tags
    promised, measured = (tags.get(name) for name in ("coverage_share", "measured_share"))
    return Version(
        case=case_name,
        version=str(found.version),
        run_id=found.run_id,
        candidate=tags["candidate"],
        variant=tags["variant"],
        graph_sha256=tags["graph_sha256"],
        snapshot_version=int(tags["snapshot_version"]),
        snapshot_digest=tags["snapshot_digest"],
        trained_until=tags["trained_until"],
        decision_id=tags["decision_id"],
        coverage_share=float(promised) if promised else None,
        measured_share=float(measured) if measured else None,
        loss_name=tags["loss_name"],
        loss=float(tags["loss"]),
        skill_share=float(tags["skill_share"]),
    )
