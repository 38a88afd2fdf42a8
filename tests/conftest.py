"""What all tests share: thread limits, and a small case over real readings."""

from __future__ import annotations

import os

# ruff: noqa: E402  (thread limits count only where they stand before the libraries are imported)
# One thread for each worker and for each program that a test starts: there are as many workers as cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Forecast, Gate
from okawari.cases.loader import load_case
from okawari.cli import main
from okawari.graph.build import build_graph
from okawari.graph.inference import parse_model
from okawari.models.cores import ConstantCore, Interval
from okawari.models.lstm import Lstm
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.policy.decision import Decision
from okawari.registry import client, runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import digest
from tests.leftovers import MARK, stop_leftovers
from tests.load_groups import GroupScheduling, name_group, rank_group
from tests.ports import find_free_port


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers: the longest groups begin first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: rank_group(name_group(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """For `--dist loadgroup`: tests that share a server or a fit stay in one worker."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """Every process that a test started, or that such a process started, ends before the session does."""
    os.environ[MARK] = str(os.getpid())
    yield
    assert stop_leftovers(str(os.getpid())) == [], "tests left these processes running; they are stopped now"


@pytest.fixture(scope="session")
def small_case() -> Case:
    """The stock case with short windows, a small gate and candidates that fit in a second."""
    return replace(
        load_case("aapl"),
        task=Forecast(target="close", history=12, horizon=3),
        gate=Gate(holdout=40, calibration=60, origins=2, floor_level=0.05),
        candidates=(RandomWalk(), Sarima(), Lstm(hidden=16, layers=2, epochs=2)),
    )


@pytest.fixture
def readings(small_case: Case) -> pd.DataFrame:
    """Some 460 daily readings, 2000-03-01 to 2001-12-31; a fresh copy for each test."""
    return small_case.source.read(until=date(2001, 12, 31))


@contextmanager
def enter_home(folder: Path) -> Iterator[Path]:
    """Make an empty folder this process's installation; the environment is restored, whatever a test adopts."""
    # MLflow keeps artefacts beside where it is called from.
    with patch.dict(os.environ), chdir(folder):
        for name in [name for name in os.environ if name.startswith("OKAWARI_")]:
            del os.environ[name]
        os.environ["OKAWARI_HOME"] = str(folder / "home")
        _forget_settings()
        yield folder / "home"
    _forget_settings()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty state folder of this test's own."""
    with enter_home(tmp_path) as home:
        yield home


def _forget_settings() -> None:
    for remembered in (load_settings, client.load_mlflow, client.load_client):
        remembered.cache_clear()


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database; making one takes seconds, so tests get copies."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("mlflow")
    SqlAlchemyStore(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
    return folder / "mlflow.db"


@pytest.fixture
def mlflow_database(home: Path, empty_mlflow_database: Path) -> Path:
    """The registry of this test's own, on a real MLflow store without a server."""
    return use_registry(home, empty_mlflow_database)


def use_registry(home: Path, empty: Path) -> Path:
    """Copy an empty MLflow database into a home and make it this process's registry."""
    home.mkdir()
    copied = Path(shutil.copy(empty, home / "mlflow.db"))
    os.environ["OKAWARI_MLFLOW_URL"] = f"sqlite:///{copied}"
    _forget_settings()
    return copied


TrainVersion = Callable[..., versions.Version]


@pytest.fixture
def train_version(mlflow_database: Path, small_case: Case, readings: pd.DataFrame) -> TrainVersion:
    """Ingest the first readings, and record and register a training on them whose model grows by `growth` a step; the
    gate's `action` on it is to promote it.

    All that a training leaves behind is real; only the fit is left out.
    """

    def train(
        rows: int = 300, growth: float = 0.01, *, cause: str | None = None, action: str = "promote"
    ) -> versions.Version:
        nothing, now = readings[:0].assign(reason=""), datetime.now(UTC)
        snapshot = snapshots.record_readings(small_case, readings[:rows], nothing, now).snapshot
        graph = build_graph(ConstantCore(np.full(3, growth)), small_case, Interval(0.9, np.full(3, 0.05)))
        decision_id = decision_log.new_id()
        facts = {
            "candidate": "constant",
            "variant": "fp32",
            "graph_sha256": digest(graph),
            "snapshot_version": snapshot.version,
            "snapshot_digest": snapshot.digest,
            "trained_until": snapshot.last_at,
            "coverage_share": 0.9,
            "loss_name": "RMSE",
            "loss": 0.5,
            "skill_share": 0.02,
            "decision_id": decision_id,
        }
        learned = snapshots.load_readings(small_case, snapshot.version)
        with runs.record_training(small_case, snapshot, learned, {"okawari.cause": "asked"}) as run_id:
            runs.record_file(run_id, graph, "variants/fp32.onnx")
            version = versions.register_version(small_case, run_id, parse_model(graph), facts)
        promotion = Decision("promotion", action, "it is better")
        links = {"snapshot_version": snapshot.version, "run_id": run_id, "model_version": version}
        decision_log.record_decision(small_case.name, promotion, id=decision_id, cause=cause, **links)
        return versions.load_version(small_case.name, version)

    return train


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return find_free_port()


class SmallServer:
    """Answers each route with its answers in turn, the last one for ever; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: dict[str, list[Any]] = defaultdict(list)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_DELETE = do_PATCH = do_GET

            def log_message(self, *_: object) -> None:
                """Keep the tests' output to themselves."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port

    def tell(self, route: str, *answers: Any, status: int = 200) -> None:
        """Answer a route with these bodies in turn."""
        self.answers[route] = [*self.answers.get(route, []), *((status, answer) for answer in answers)]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        route = f"{request.command} {request.path}"
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.asked[route].append(json.loads(body) if body else None)
        answers = self.answers.get(route, [(404, {"detail": "Not Found"})])
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        content = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


@pytest.fixture
def small_server() -> Iterator[SmallServer]:
    """A real HTTP server on a free port that knows no route yet."""
    server = SmallServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@dataclass(frozen=True)
class Said:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call `okawari` as its entry point does, on an empty home and a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["okawari", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return run
