"""The programs of one local installation: their command lines, environments and readiness checks.

This module starts nothing (`okawari.local.supervisor` does) and imports nothing of Prefect, MLflow, BentoML or Gradio:
they appear on command lines only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from okawari.security.engine_access import make_auth_string
from okawari.settings import Settings

GROUP_MARK = "OKAWARI_GROUP"
PROGRAM_MARK = "OKAWARI_PROGRAM"
"""Environment variables that every process of a group carries, so that the supervisor can find and stop it."""

WORK_POOL = "local"

_OTHER_RUNS = 3
"""Runs beside the trainings: an ingest, a monitor or reconcile, and a training request that finds no free slot."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program. `port` and `ready_path` are None for a program without an HTTP server.

    `deploy` is the command that applies prefect.yaml to the server; empty for other programs.
    """

    name: str
    title: str
    command: tuple[str, ...]
    port: int | None = None
    port_setting: str = ""
    scheme: str = "http"
    ready_path: str | None = None
    deploy: tuple[str, ...] = ()


def list_programs(settings: Settings) -> tuple[Program, ...]:
    """All programs in the order in which they start."""
    return (_prefect(settings), _mlflow(settings), _service(settings), _worker(settings), _page(settings))


def build_environment(settings: Settings) -> dict[str, str]:
    """Environment of every program of the group: settings, one folder per tool, no telemetry, thread counts."""
    return {
        **_prefect_database(settings),  # before os.environ, so that a database set there is used
        **os.environ,
        **_own_settings(settings),
        **_engine_homes(settings),
        **_list_credentials(settings),
        **_SILENCE,
        **dict.fromkeys(_THREAD_COUNTS, str(settings.threads)),
        GROUP_MARK: str(settings.state_dir),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(settings.root), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


_SILENCE: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
_FILES = ("tls_cert", "tls_key", "tls_ca")
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _own_settings(settings: Settings) -> dict[str, str]:
    """Our settings with absolute paths: programs run in the checkout, wherever the group was started."""
    url = settings.data_url
    paths = {
        "home": str(settings.state_dir),
        "cases_dir": str(settings.cases_dir.resolve()),
        "data_url": url if not url or "://" in url else str(Path(url).resolve()),
    }
    files = {name: str(Path(file).resolve()) for name in _FILES if (file := getattr(settings, name))}
    values = settings.model_dump(mode="json") | paths | files
    return {f"OKAWARI_{name.upper()}": str(value) for name, value in values.items()}


def _prefect_database(settings: Settings) -> dict[str, str]:
    """Prefect's SQLite file, over one connection: with more of them, the server blocks for a minute or two at times.

    Prefect opens fifteen connections, whatever its pool settings are, but only one if the address contains `:memory:`.
    SQLAlchemy ignores an unknown query parameter, so the database stays in the file.
    """
    file = settings.state_dir / "prefect" / "prefect.db"
    return {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{file}?connections=:memory:"}


def _engine_homes(settings: Settings) -> dict[str, str]:
    state = settings.state_dir
    return {
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"{settings.prefect_base}/api",
        "PREFECT_UI_API_URL": "/api",  # the page calls the server that it comes from, whatever its name
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "5",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # A run that finds its flow running asks again so many seconds later (30 by default), so that urgent ones are
        # due when the other run ends.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
        "BENTOML_HOME": str(state / "bentoml"),
        "MLFLOW_TRACKING_URI": settings.mlflow_base,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 8 processes, 1.4 GB, for jobs that nothing starts
        "MPLCONFIGDIR": str(state / "matplotlib"),
    }


def _list_credentials(settings: Settings) -> dict[str, str]:
    """Passwords of the engines on this machine. A remote engine's own credentials are those of the environment."""
    prefect = {} if settings.prefect_url else dict.fromkeys(_PREFECT_AUTH, make_auth_string("prefect"))
    user, _, password = make_auth_string("mlflow").partition(":")
    mlflow = {} if settings.mlflow_url else {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    return {**prefect, **mlflow}


_PREFECT_AUTH = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")


def _prefect(settings: Settings) -> Program:
    return Program(
        name="prefect",
        title="Prefect server",
        command=_python(
            "uvicorn", "--factory", "flows.prefect_server:create_app", *_bind(settings, settings.prefect_port)
        ),
        port=settings.prefect_port,
        port_setting="OKAWARI_PREFECT_PORT",
        ready_path="/api/health",
        deploy=_python("prefect", "--no-prompt", "deploy", "--all"),
    )


def _mlflow(settings: Settings) -> Program:
    folder = settings.state_dir / "mlflow"
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts")
    options = ("--workers", "1", "--app-name", "okawari")  # the guarded application of okawari.registry.server
    return Program(
        name="mlflow",
        title="MLflow server",
        command=_python("mlflow", "server", *stores, *_bind(settings, settings.mlflow_port), *options),
        port=settings.mlflow_port,
        port_setting="OKAWARI_MLFLOW_PORT",
        ready_path="/health",
    )


def _service(settings: Settings) -> Program:
    return Program(
        name="service",
        title="prediction service",
        command=_python(
            "bentoml",
            "serve",
            "bentos.service:Okawari",
            *_bind(settings, settings.service_port),
            *_name_certificate(settings),
        ),
        port=settings.service_port,
        scheme=settings.scheme,
        port_setting="OKAWARI_SERVICE_PORT",
        ready_path="/readyz",
    )


def _worker(settings: Settings) -> Program:
    limit = str(settings.trainings + _OTHER_RUNS)
    options = ("--pool", WORK_POOL, "--type", "process", "--limit", limit, "--install-policy", "never")
    return Program(name="worker", title="flow runner", command=_python("prefect", "worker", "start", *options))


def _page(settings: Settings) -> Program:
    return Program(
        name="ui",
        title="page",
        command=_python("ui.app"),
        port=settings.ui_port,
        scheme=settings.scheme,
        port_setting="OKAWARI_UI_PORT",
        ready_path="/",
    )


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _bind(settings: Settings, port: int) -> tuple[str, ...]:
    return ("--host", settings.host, "--port", str(port))


def _name_certificate(settings: Settings) -> tuple[str, ...]:
    if not settings.tls_cert:
        return ()
    certificate, key = (str(Path(file).resolve()) for file in (settings.tls_cert, settings.tls_key))
    return ("--ssl-certfile", certificate, "--ssl-keyfile", key)
