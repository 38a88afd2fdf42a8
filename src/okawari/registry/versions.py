"""Model versions and the champion.

The graph of a version is stored as exactly the bytes that were measured (`variants/<variant>.onnx`), beside the ONNX
model that MLflow itself can load. MLflow keeps no history of alias changes; the decision log has one. A tag of the
registered model names the last move of the alias that Okawari has made (`Move`), so a move by hand can be told from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from okawari.case import Case
from okawari.errors import InvalidInput, NotYet
from okawari.registry.client import load_client, load_mlflow, translate_errors
from okawari.registry.runs import load_file
from okawari.storage.deployable import ModelIdentity

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CHAMPION = "champion"
_MOVE = "okawari.move"
_MOST_VERSIONS = 10_000
_LOADERS = ["onnxruntime"]


@dataclass(frozen=True, kw_only=True)
class Version(ModelIdentity):
    """A registered model version: its identity and its scores, stored as tags."""

    loss_name: str
    loss: float
    skill_share: float
    settings_sha256: str | None = None
    """Digest of the recipe's settings and of the parts of the case that a fit depends on."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A move of the alias that Okawari has made: the recorded decision that it carries out, and the version."""

    decision_id: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Alias:
    """The version that the alias points to, and the last move by Okawari; None where there is none."""

    version: str | None
    move: Move | None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A version in the list of all; `known` is None for a version that was not registered by a training."""

    version: str
    registered_at: datetime
    known: Version | None


_VERSION = TypeAdapter(Version)


def register_version(case: Case, run_id: str, graph: Any, facts: Mapping[str, Any]) -> str:
    """Log the graph as the run's ONNX model, register it under the case's name, and return the version's number.

    Args:
        case: the case that the model belongs to.
        run_id: the run of the training that made it.
        graph: the parsed ONNX model (`okawari.graph.inference.parse_model`).
        facts: the fields of `Version` besides case, version and run_id.

    Raises:
        InvalidInput: a field is missing, unknown or of another type; nothing is logged.
    """
    _read_version({"case": case.name, "version": "new", "run_id": run_id, **facts})
    mlflow = load_mlflow()
    _skip_search_for_packages()
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


def _skip_search_for_packages() -> None:
    """Let MLflow check the versions of `_LOADERS` without searching all installed packages for modules, half a second.

    It needs that search for packages whose requirements it infers, and ours are given.
    """
    from mlflow.utils import requirements_utils

    if requirements_utils._MODULES_TO_PACKAGES is None:
        requirements_utils._MODULES_TO_PACKAGES = {name: [name] for name in _LOADERS}


def set_champion(case_name: str, version: str) -> None:
    """Point the champion alias at a version."""
    load_client().set_registered_model_alias(case_name, CHAMPION, version)


def move_champion(case_name: str, move: Move) -> None:
    """Point the champion alias at the version of a recorded decision, and note that this decision is carried out."""
    set_champion(case_name, move.version)
    note_move(case_name, move)


def note_move(case_name: str, move: Move) -> None:
    """Note that the alias points to the version of a recorded decision."""
    load_client().set_registered_model_tag(case_name, _MOVE, json.dumps(asdict(move)))


def clear_champion(case_name: str) -> None:
    """Remove the champion alias."""
    load_client().delete_registered_model_alias(case_name, CHAMPION)


def load_alias(case_name: str) -> Alias:
    """The champion alias, also where it points to a version that was not registered by a training."""
    try:
        with translate_errors():
            model = load_client().get_registered_model(case_name)
    except NotYet:
        return Alias(version=None, move=None)
    version, noted = model.aliases.get(CHAMPION), model.tags.get(_MOVE)
    return Alias(
        version=None if version is None else str(version), move=None if noted is None else Move(**json.loads(noted))
    )


def list_versions(case_name: str) -> list[Listed]:
    """All registered versions, oldest first."""
    with translate_errors():
        found = load_client().search_model_versions(f"name = '{case_name}'", max_results=_MOST_VERSIONS)
    listed = [
        Listed(
            version=str(each.version),
            registered_at=datetime.fromtimestamp(each.creation_timestamp / 1000, UTC),
            known=_find_version(case_name, each),
        )
        for each in found
    ]
    return sorted(listed, key=lambda each: int(each.version))


def load_champion(case_name: str) -> Version | None:
    """The version that the champion alias points at; None where the case has no champion."""
    try:
        with translate_errors():
            found = load_client().get_model_version_by_alias(case_name, CHAMPION)
    except NotYet:
        return None
    return _to_version(case_name, found)


def load_version(case_name: str, version: str) -> Version:
    """A registered version.

    Raises:
        NotYet: there is no such version.
    """
    with translate_errors(f"Case {case_name} has no registered version {version}."):
        return _to_version(case_name, load_client().get_model_version(case_name, version))


def find_digest(case_name: str, version: str) -> str | None:
    """The recorded sha256 of a version's graph; None for a version that was not registered by a training."""
    try:
        return load_version(case_name, version).graph_sha256
    except InvalidInput:
        return None


def load_graph(version: Version) -> bytes:
    """The graph of a version, as measured."""
    return load_file(version.run_id, f"variants/{version.variant}.onnx")


def _sign(case: Case) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    number, task = np.dtype("float64"), case.task
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, case.history, len(case.input_columns)), "x")]),
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
    names = {field.name for field in fields(Version)}
    return _read_version({**{name: text for name, text in found.tags.items() if name in names}, **known})


def _find_version(case_name: str, found: Any) -> Version | None:
    try:
        return _to_version(case_name, found)
    except InvalidInput:
        return None


def _read_version(given: Mapping[str, Any]) -> Version:
    """A version from values or from tags, which are text; tags of missing values are not written.

    Raises:
        InvalidInput: a field is missing, unknown or of another type.
    """
    unknown = sorted(given.keys() - {field.name for field in fields(Version)})
    try:
        read = _VERSION.validate_python(given)
    except ValidationError as error:
        unknown += [f"{each['loc'][-1]} ({each['msg']})" for each in error.errors(include_url=False)]
    if unknown:
        raise InvalidInput(
            f"Version {given['version']} of case {given['case']} has missing, unknown or invalid fields: "
            f"{', '.join(unknown)}. Train the case again."
        )
    return read
