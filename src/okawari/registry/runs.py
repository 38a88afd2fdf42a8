"""MLflow runs and their artefacts. One training is one run with a child run for each candidate."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from okawari.case import Case
from okawari.registry.client import load_client, load_mlflow, translate_errors
from okawari.settings import load_settings
from okawari.storage.snapshots import Snapshot

if TYPE_CHECKING:
    from datetime import datetime

    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from okawari.models.search.trials import SearchedModel, Trial


_LONGEST_PARAM = 500
_MOST_RECORDED, _MOST_PARAMS = 1000, 100
"""Limits of MLflow for one request: of all entries, and of settings."""


@contextmanager
def record_training(case: Case, snapshot: Snapshot, readings: pd.DataFrame, tags: Mapping[str, str]) -> Iterator[str]:
    """Open a run in the case's experiment, with its data set; yields its id. The run is failed if the block raises."""
    name = f"{case.name} snapshot {snapshot.version}"
    kind = {"okawari.kind": "training", "okawari.snapshot_version": str(snapshot.version)}
    with _run(_find_experiment(case), name, {**kind, **tags}) as run_id:
        _record_data(run_id, case, snapshot, readings)
        load_client().log_dict(run_id, case.describe(), "case.json")
        load_client().log_dict(run_id, asdict(snapshot), "snapshot.json")
        yield run_id


@contextmanager
def record_candidate(case: Case, parent_id: str, name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Open a child run of a training for one candidate; yields its id."""
    tags = {"okawari.kind": "candidate", "mlflow.parentRunId": parent_id}
    with _run(_find_experiment(case), name, tags) as run_id:
        _record_params(run_id, settings)
        yield run_id


def record_search(case: Case, candidate_id: str, found: SearchedModel) -> None:
    """Record the trials of a search as child runs of its candidate's run, and the chosen settings in that run."""
    experiment = _find_experiment(case)
    _record_params(candidate_id, {f"chosen.{name}": value for name, value in found.recipe.describe().items()})
    for trial in found.trials:
        _record_trial(experiment, candidate_id, trial)


def _record_trial(experiment_id: str, candidate_id: str, trial: Trial) -> None:
    tags = {
        "okawari.kind": "trial",
        "okawari.trial_state": trial.state,
        "mlflow.parentRunId": candidate_id,
        **({"okawari.reason": trial.reason} if trial.reason else {}),
    }
    run = load_client().create_run(
        experiment_id, start_time=_to_ms(trial.started_at), run_name=f"trial {trial.number}", tags=tags
    )
    points = _list_epochs([{"valid_loss": loss} for loss in trial.valid_losses])
    _record(run.info.run_id, metrics=[*points, *_list_numbers({"loss": trial.loss})], params=trial.settings)
    ended = {"finished": "FINISHED", "pruned": "FINISHED", "refused": "FAILED", "killed": "KILLED"}[trial.state]
    load_client().set_terminated(run.info.run_id, ended, end_time=_to_ms(trial.ended_at))


def _to_ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def record_monitoring(case: Case, snapshot: Snapshot, report: bytes, numbers: Mapping[str, float]) -> str:
    """Record a drift report (HTML) and its numbers as a separate run; returns the run's id."""
    kind = {"okawari.kind": "monitoring", "okawari.snapshot_version": str(snapshot.version)}
    with _run(_find_experiment(case), f"{case.name} drift {snapshot.version}", kind) as run_id:
        record_metrics(run_id, numbers)
        record_file(run_id, report, "drift.html")
    return run_id


def record_comparison(case: Case, rows: Sequence[Mapping[str, Any]], decisions: Mapping[str, str]) -> str:
    """Record the variants of several candidates, and the chosen variant of each, as a separate run; returns its id."""
    with _run(_find_experiment(case), f"{case.name} in 8 bits", {"okawari.kind": "comparison"}) as run_id:
        record_table(run_id, rows, "variants.json")
        load_client().log_dict(run_id, dict(decisions), "decisions.json")
    return run_id


@contextmanager
def _run(experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    run_id = str(load_client().create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
    status = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        load_client().set_terminated(run_id, status)


def _find_experiment(case: Case) -> str:
    return _load_experiment(load_client(), case.name)


@lru_cache(maxsize=100)
def _load_experiment(client: MlflowClient, name: str) -> str:
    """The id of an experiment, which never changes; it is created if there is none."""
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _record_data(run_id: str, case: Case, snapshot: Snapshot, readings: pd.DataFrame) -> None:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.entities import DatasetInput, InputTag

    place = f"{load_settings().data_base}/{case.name}/readings"
    source = DeltaDatasetSource(path=place, delta_table_version=snapshot.version)
    name = f"{case.name} snapshot {snapshot.version}"
    data = load_mlflow().data.from_pandas(readings, source=source, name=name, digest=snapshot.digest[:32])
    context = InputTag(key="mlflow.data.context", value="training")
    load_client().log_inputs(run_id, datasets=[DatasetInput(data._to_mlflow_entity(), [context])])


def record_metrics(run_id: str, numbers: Mapping[str, float | None], *, step: int | None = None) -> None:
    """Record numbers of a run; those that are None are skipped."""
    _record(run_id, metrics=_list_numbers(numbers, step or 0))


def record_history(run_id: str, history: Sequence[Mapping[str, float]]) -> None:
    """Record the numbers of every epoch."""
    _record(run_id, metrics=_list_epochs(history))


def _record_params(run_id: str, settings: Mapping[str, Any]) -> None:
    _record(run_id, params=settings)


def _list_numbers(numbers: Mapping[str, float | None], step: int = 0) -> list[Metric]:
    """The numbers that are not None, measured now."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in numbers.items() if value is not None]


def _list_epochs(history: Sequence[Mapping[str, float]]) -> list[Metric]:
    from mlflow.entities import Metric

    return [
        Metric(name, float(value), 0, epoch)
        for epoch, numbers in enumerate(history, start=1)
        for name, value in numbers.items()
    ]


def _record(run_id: str, *, metrics: Sequence[Metric] = (), params: Mapping[str, Any] | None = None) -> None:
    """Record numbers and settings in as few requests as MLflow's limits allow, because each takes some 20 ms."""
    from mlflow.entities import Param

    texts = [Param(name, str(value)[:_LONGEST_PARAM]) for name, value in (params or {}).items()]
    while metrics or texts:
        n_metrics = _MOST_RECORDED - len(texts[:_MOST_PARAMS])
        load_client().log_batch(run_id, metrics=metrics[:n_metrics], params=texts[:_MOST_PARAMS])
        metrics, texts = metrics[n_metrics:], texts[_MOST_PARAMS:]


def record_figure(run_id: str, figure: Figure, path: str) -> None:
    """Record a figure as an artefact of a run."""
    load_client().log_figure(run_id, figure, path)


def record_table(run_id: str, rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Record a table as a JSON artefact that MLflow's page can compare across runs; missing values are empty."""
    names = dict.fromkeys(name for row in rows for name in row)
    table = pd.DataFrame([{name: row.get(name) for name in names} for row in rows], dtype=object)
    load_client().log_table(run_id, table, path)


def record_file(run_id: str, content: bytes, path: str) -> None:
    """Record bytes as an artefact of a run, at exactly this path."""
    target = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / target.name).write_bytes(content)
        place = None if target.parent == Path() else str(target.parent)
        load_client().log_artifact(run_id, str(Path(folder) / target.name), place)


def load_file(run_id: str, path: str) -> bytes:
    """An artefact's bytes.

    Raises:
        NotYet: the run has no such artefact.
        ServerUnreachable: the server does not answer, or the connection broke.
    """
    missing = f"Run {run_id} has no artefact {path}; train the case again."
    with tempfile.TemporaryDirectory() as folder, translate_errors(missing):
        # The client's own `download_artifacts` raises one error for a missing artefact and for a broken connection.
        place = load_client().get_run(run_id).info.artifact_uri
        found = load_mlflow().artifacts.download_artifacts(artifact_uri=f"{place}/{path}", dst_path=folder)
        return Path(found).read_bytes()


def load_leaderboard(run_id: str) -> list[dict[str, Any]]:
    """The rows of a training's recorded leaderboard, best first."""
    table = json.loads(load_file(run_id, "leaderboard.json"))
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def find_candidate(case: Case, training_id: str, name: str) -> str | None:
    """The run id of a candidate in a training; None where the candidate was not trained."""
    wanted = f"tags.`mlflow.parentRunId` = '{training_id}' and tags.`mlflow.runName` = '{name}'"
    found = load_client().search_runs([_find_experiment(case)], wanted)
    return str(found[0].info.run_id) if found else None


def load_snapshot_version(run_id: str) -> int:
    """The version of the snapshot that a training used."""
    return int(load_client().get_run(run_id).data.tags["okawari.snapshot_version"])


def page_url(run_id: str) -> str:
    """Address of a run's page in MLflow; of our own MLflow through our page, which signs the browser in."""
    settings, run = load_settings(), load_client().get_run(run_id)
    path = f"/#/experiments/{run.info.experiment_id}/runs/{run_id}"
    if settings.mlflow_url:
        return f"{settings.mlflow_base}{path}"
    return f"{settings.page_base}/open/mlflow?path={quote(path)}"


def close_abandoned(case: Case) -> int:
    """Mark this case's RUNNING runs as killed; returns their number. Call it only while no training runs."""
    experiment = _find_experiment(case)
    dead = load_client().search_runs([experiment], "attributes.status = 'RUNNING'")
    for run in dead:
        load_client().set_terminated(run.info.run_id, "KILLED")
    return len(dead)
