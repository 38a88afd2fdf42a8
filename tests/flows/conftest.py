"""A Prefect server of its own, and installations of one small case, so that flows run for real."""

from __future__ import annotations

import os

os.environ["DO_NOT_TRACK"] = "1"  # read while Prefect is imported

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import tenacity
from prefect.events import Event
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, PREFECT_HOME, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.clients import run_queue
from okawari.local.programs import WORK_POOL, build_environment
from okawari.registry import client
from okawari.settings import load_settings

ROOT = Path(__file__).parents[2]
LAST_DAY = date(2007, 12, 31)
"""The first champion learns until here; January 2008 is real drift."""

SMALL = '''
"""The stock case with short windows, a small gate, and candidates that fit in a second."""
from dataclasses import replace

from okawari.case import Forecast, Gate
from okawari.cases.aapl import CASE as AAPL
from okawari.models.lstm import Lstm
from okawari.models.random_walk import RandomWalk

CASE = replace(
    AAPL,
    name="small",
    task=Forecast(target="close", history=12, horizon=3),
    gate=Gate(holdout=40, calibration=60, origins=2, floor_level=0.05),
    candidates=(RandomWalk(), Lstm(hidden=16, layers=1, epochs=3)),
)
'''

Heard = Callable[[], list[Event]]

START_S, DEPLOY_S, BUSY_S = 180, 240, 120.0
"""How long the server may take to start, to take the deployments, and to answer one request beside heavy load."""
BUSY_RETRIES = 12
"""How often Prefect's own client asks again; its usual five times are over too soon beside heavy load."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prefect server of the tests' own."""
    with (
        patch.dict(os.environ, {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}),
        temporary_settings(
            {PREFECT_HOME: tmp_path_factory.mktemp("prefect"), PREFECT_CLIENT_MAX_RETRIES: BUSY_RETRIES}
        ),
        prefect_test_harness(server_startup_timeout=START_S),
    ):
        yield str(PREFECT_API_URL.value()).removesuffix("/api")


@contextmanager
def _enter(folder: Path, server: str) -> Iterator[Case]:
    """Make a folder this process's installation: state, case file, registry and model store."""
    own = {
        "OKAWARI_HOME": str(folder / "home"),
        "OKAWARI_CASES": "small",
        "OKAWARI_CASES_DIR": str(folder / "cases"),
        "OKAWARI_MLFLOW_URL": f"sqlite:///{folder}/mlflow.db",
        "OKAWARI_PREFECT_URL": server,
        "OKAWARI_SERVICE_URL": "http://127.0.0.1:9",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
    }
    # MLflow without a server keeps artefacts beside where it is called from.
    with patch.dict(os.environ, own), contextlib.chdir(folder):
        _forget()
        yield load_case("small")
    _forget()


def _forget() -> None:
    for remembered in (load_settings, load_case, client.load_mlflow, client.load_client):
        remembered.cache_clear()


@contextmanager
def _listen() -> Iterator[Heard]:
    """Catch what the flows emit; the loop's own events, oldest first."""
    AssertingEventsClient.reset()
    worker = EventsWorker.instance(AssertingEventsClient)

    def hear() -> list[Event]:
        worker.wait_until_empty()
        caught = [event for client in AssertingEventsClient.all for event in getattr(client, "events", [])]
        return [event for event in caught if event.event.startswith("okawari.")]

    with patch.object(EventsWorker, "instance", lambda *_: worker):
        yield hear
    worker.drain()


@pytest.fixture
def heard(server: str) -> Iterator[Heard]:
    """The events of this test; none of them reaches the server, so none starts anything."""
    with _listen() as hear:
        yield hear


@pytest.fixture(scope="session")
def _blank(tmp_path_factory: pytest.TempPathFactory, empty_mlflow_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("blank")
    (folder / "cases").mkdir()
    (folder / "cases" / "small.py").write_text(SMALL)
    shutil.copy(empty_mlflow_database, folder / "mlflow.db")
    return folder


@dataclass(frozen=True)
class First:
    """The first training of the small case: where it happened, what it returned, and the events on the way."""

    folder: Path
    result: dict[str, Any]
    events: tuple[Event, ...]


@pytest.fixture(scope="session")
def first(server: str, _blank: Path, tmp_path_factory: pytest.TempPathFactory) -> First:
    """Ingested until the end of 2007, trained, promoted and packaged, once for all tests."""
    folder = tmp_path_factory.mktemp("first") / "installation"
    shutil.copytree(_blank, folder)
    with _enter(folder, server), _listen() as hear:
        ingest("small", until=LAST_DAY)
        result = train("small", cause="missing", reason="the tests begin")
        return First(folder, result, tuple(hear()))


@pytest.fixture
def fresh(server: str, _blank: Path, tmp_path: Path) -> Iterator[Case]:
    """An installation without any data; gives its case."""
    shutil.copytree(_blank, tmp_path / "installation")
    with _enter(tmp_path / "installation", server) as case:
        yield case


@pytest.fixture
def trained(server: str, first: First, tmp_path: Path) -> Iterator[Case]:
    """A copy of the installation after its first training; gives its case."""
    shutil.copytree(first.folder, tmp_path / "installation")
    with _enter(tmp_path / "installation", server) as case:
        yield case


@pytest.fixture(scope="session")
def applied(server: str, _blank: Path) -> None:
    """The deployments and triggers of prefect.yaml, applied to the server as `okawari up` does it."""
    with _enter(_blank, server):
        run_queue.ensure_work_pool(WORK_POOL)
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        environment = build_environment(load_settings())
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEPLOY_S)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def deployed(server: str, applied: None) -> Iterator[None]:
    """The deployments; the runs that a test has started are deleted after it."""
    yield
    with httpx.Client(base_url=f"{server}/api", timeout=BUSY_S) as client:
        left = request_patiently(
            client, "POST", "/flow_runs/filter", json={"flow_runs": {"deployment_id": {"is_null_": False}}}
        )
        for run in left.raise_for_status().json():
            # An attempt whose answer was lost has deleted the run, so the next one does not find it.
            answer = request_patiently(client, "DELETE", f"/flow_runs/{run['id']}")
            assert answer.is_success or answer.status_code == httpx.codes.NOT_FOUND, answer.text


def _is_busy(answer: httpx.Response) -> bool:
    return answer.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)


def request_patiently(client: httpx.Client, method: str, path: str, **body: Any) -> httpx.Response:
    """Ask again for as long as the server is busy; its SQLite is locked now and then, and it answers 503 then."""
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_result(_is_busy) | tenacity.retry_if_exception_type(httpx.TransportError),
        stop=tenacity.stop_after_delay(BUSY_S),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
        retry_error_callback=lambda last: last.outcome.result(),  # type: ignore[union-attr]
    )
    return attempts(client.request, method, path, **body)


@pytest.fixture
def shelf(fresh: Case) -> Iterator[None]:
    """Let this process read the fresh installation's model store, whichever BentoML opened here before."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    folder = Path(os.environ["BENTOML_HOME"]) / "models"
    folder.mkdir(parents=True, exist_ok=True)
    BentoMLContainer.model_store.set(ModelStore(folder))
    yield
    BentoMLContainer.model_store.reset()
