"""Runs, artefacts, model versions and the champion. Only home of mlflow.

One training is one run with a child run per candidate. The graph of a version is kept as the very bytes that were
measured (`variants/<variant>.onnx`), beside the ONNX model that MLflow itself can load. MLflow keeps no history of
alias moves; ours is in the decision records.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.errors import NotYet, ServerUnreachable
from okawari.settings import load_settings
from okawari.store import Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHAMPION = "champion"
_LOADERS = ["onnxruntime"]
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


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
    rmse: float
    skill_share: float


# --- runs ---------------------------------------------------------------------------------------------------------


@contextmanager
def record_training(case: Case, snapshot: Snapshot, readings: pd.DataFrame, tags: Mapping[str, str]) -> Iterator[str]:
    """A run of the case's experiment with its data set; yields its id, and marks it failed if the body raises."""
    name = f"{case.name} snapshot {snapshot.version}"
    kind = {"okawari.kind": "training", "okawari.snapshot_version": str(snapshot.version)}
    with _run(_find_experiment(case), name, {**kind, **tags}) as run_id:
        _record_data(run_id, case, snapshot, readings)
        _client().log_dict(run_id, case.describe(), "case.json")
        _client().log_dict(run_id, asdict(snapshot), "snapshot.json")
        yield run_id


@contextmanager
def record_candidate(case: Case, parent_id: str, name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """A child run of a training for one candidate; yields its id."""
    tags = {"okawari.kind": "candidate", "mlflow.parentRunId": parent_id}
    with _run(_find_experiment(case), name, tags) as run_id:
        for key, value in settings.items():
            _client().log_param(run_id, key, str(value)[:500])
        yield run_id


def record_monitoring(case: Case, snapshot: Snapshot, report: bytes, numbers: Mapping[str, float]) -> str:
    """A run of its own for a drift report (HTML) and its numbers; returns the run's id."""
    kind = {"okawari.kind": "monitoring", "okawari.snapshot_version": str(snapshot.version)}
    with _run(_find_experiment(case), f"{case.name} drift {snapshot.version}", kind) as run_id:
        record_metrics(run_id, numbers)
        record_file(run_id, report, "drift.html")
    return run_id


@contextmanager
def _run(experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    run_id = str(_client().create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
    status = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        _client().set_terminated(run_id, status)


def _find_experiment(case: Case) -> str:
    found = _client().get_experiment_by_name(case.name)
    return str(found.experiment_id if found is not None else _client().create_experiment(case.name))


def _record_data(run_id: str, case: Case, snapshot: Snapshot, readings: pd.DataFrame) -> None:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.entities import DatasetInput, InputTag

    place = f"{load_settings().data_base}/{case.name}/readings"
    source = DeltaDatasetSource(path=place, delta_table_version=snapshot.version)
    name = f"{case.name} snapshot {snapshot.version}"
    data = _mlflow().data.from_pandas(readings, source=source, name=name, digest=snapshot.digest[:32])
    context = InputTag(key="mlflow.data.context", value="training")
    _client().log_inputs(run_id, datasets=[DatasetInput(data._to_mlflow_entity(), [context])])


def record_metrics(run_id: str, numbers: Mapping[str, float | None], *, step: int | None = None) -> None:
    """Numbers of a run; those that are None are left out."""
    known = {name: float(value) for name, value in numbers.items() if value is not None}
    for name, value in known.items():
        _client().log_metric(run_id, name, value, step=step)


def record_history(run_id: str, history: Sequence[Mapping[str, float]]) -> None:
    """Numbers of every epoch, in one call."""
    from mlflow.entities import Metric

    points = [
        Metric(key=name, value=float(value), timestamp=0, step=epoch)
        for epoch, numbers in enumerate(history, start=1)
        for name, value in numbers.items()
    ]
    for start in range(0, len(points), 1000):
        _client().log_batch(run_id, metrics=points[start : start + 1000])


def record_figure(run_id: str, figure: Figure, path: str) -> None:
    """A figure as an artefact of a run."""
    _client().log_figure(run_id, figure, path)


def record_table(run_id: str, rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """A table as a JSON artefact that MLflow's page can compare across runs."""
    _client().log_table(run_id, pd.DataFrame(list(rows)), path)


def record_file(run_id: str, content: bytes, path: str) -> None:
    """Bytes as an artefact of a run, at exactly this path."""
    target = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / target.name).write_bytes(content)
        place = None if target.parent == Path() else str(target.parent)
        _client().log_artifact(run_id, str(Path(folder) / target.name), place)


def load_file(run_id: str, path: str) -> bytes:
    """An artefact's bytes.

    Raises:
        NotYet: the run has no such artefact.
    """
    missing = f"Run {run_id} has no artefact {path}; train the case again."
    with tempfile.TemporaryDirectory() as folder, _asking(missing):
        return Path(_client().download_artifacts(run_id, path, folder)).read_bytes()


def load_snapshot_version(run_id: str) -> int:
    """The snapshot that a training learned from."""
    return int(_client().get_run(run_id).data.tags["okawari.snapshot_version"])


def page_url(run_id: str) -> str:
    """Where a person looks at a run."""
    run = _client().get_run(run_id)
    return f"{load_settings().mlflow_base}/#/experiments/{run.info.experiment_id}/runs/{run_id}"


# --- versions -----------------------------------------------------------------------------------------------------


def register_version(case: Case, run_id: str, graph: Any, facts: Mapping[str, Any]) -> str:
    """Log the graph as the run's ONNX model, register it under the case's name, and return the version's number.

    Args:
        case: whose model it is.
        run_id: the training that made it.
        graph: the parsed ONNX model (`okawari.graph.parse_model`).
        facts: the fields of `Version` besides case, version and run_id.
    """
    mlflow = _mlflow()
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
    made = _client().create_model_version(case.name, logged.model_uri, run_id, tags=tags, model_id=logged.model_id)
    return str(made.version)


def close_abandoned(case: Case) -> int:
    """Mark this case's trainings that still say RUNNING as killed; right only while no other training runs."""
    experiment = _find_experiment(case)
    dead = _client().search_runs([experiment], "attributes.status = 'RUNNING'")
    for run in dead:
        _client().set_terminated(run.info.run_id, "KILLED")
    return len(dead)


def set_champion(case_name: str, version: str) -> None:
    """Point the champion alias at a version."""
    _client().set_registered_model_alias(case_name, CHAMPION, version)


def load_champion(case_name: str) -> Version | None:
    """The version that the champion alias points at; None where the case has no champion."""
    try:
        with _asking():
            found = _client().get_model_version_by_alias(case_name, CHAMPION)
    except NotYet:
        return None
    return _to_version(case_name, found)


def load_version(case_name: str, version: str) -> Version:
    """A registered version.

    Raises:
        NotYet: there is none of that number.
    """
    with _asking(f"Case {case_name} has no registered version {version}."):
        return _to_version(case_name, _client().get_model_version(case_name, version))


def load_graph(version: Version) -> bytes:
    """The graph of a version, as measured."""
    return load_file(version.run_id, f"variants/{version.variant}.onnx")


def _sign(case: Case) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    number, task = np.dtype("float32"), case.task
    return ModelSignature(
        inputs=Schema([TensorSpec(number, (-1, task.history, len(case.columns)), "x")]),
        outputs=Schema([TensorSpec(number, (-1, task.horizon), "mean")]),
    )


def _ensure_registered(case: Case) -> None:
    from mlflow.exceptions import MlflowException

    try:
        _client().create_registered_model(case.name, description=case.title)
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _to_version(case_name: str, found: Any) -> Version:
    tags = found.tags
    share = tags.get("coverage_share")
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
        coverage_share=float(share) if share else None,
        rmse=float(tags["rmse"]),
        skill_share=float(tags["skill_share"]),
    )


@contextmanager
def _asking(missing: str = "not there") -> Iterator[None]:
    """Turn what MLflow raises into our own errors: what is not there is `NotYet`, a server that is not, unreachable."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except OSError as absent:
        raise NotYet(missing) from absent
    except MlflowException as failed:
        if failed.error_code in _ABSENT:
            raise NotYet(missing) from failed
        if "Max retries exceeded" in str(failed) or "timed out" in str(failed):
            base = load_settings().mlflow_base
            raise ServerUnreachable(f"No MLflow server answers at {base}; start it with: okawari up.") from failed
        raise


@cache
def _mlflow() -> Any:
    """The library, pointed at our server, without telemetry, and failing within seconds where no server answers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    import mlflow.onnx

    mlflow.set_tracking_uri(load_settings().mlflow_base)
    return mlflow


@cache
def _client() -> MlflowClient:
    _mlflow()
    from mlflow import MlflowClient

    return MlflowClient()
