"""Real services over real graphs: deployables, servers on free ports, and requests to put to them."""

from __future__ import annotations

import os
import tempfile

# BentoML reads its environment when it is imported; no test may touch the user's own stores.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ.setdefault(
    "BENTOML_HOME",
    os.path.join(tempfile.gettempdir(), "okawari-tests-bentoml" + os.environ.get("PYTEST_XDIST_WORKER", "")),
)

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.clients.wire import AnyPrediction, CaseList, ForecastAnswer, PredictAnswer
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import ConstantCore, Interval
from okawari.polling import poll
from okawari.settings import load_settings
from okawari.storage.deployable import Deployable, Golden, Manifest, digest
from tests.ports import find_free_port

ROOT = Path(__file__).parents[2]
BUSY_S = 60.0  # how long one answer, or a change that a server notices by itself, may take beside heavy load
START_S, STOP_S = 120, 30  # the imports of a worker take four seconds, and ten times that beside heavy load

Records = list[dict[str, Any]]
MakeDeployable = Callable[..., Deployable]


@pytest.fixture(scope="session")
def case() -> Case:
    """The bundled case that the services answer for."""
    return load_case("aapl")


@pytest.fixture(scope="session")
def readings(case: Case) -> pd.DataFrame:
    """Eighty consistent readings: a seeded random walk that ends in March 2013."""
    noise = np.random.default_rng(5)
    close = 400 * np.exp(np.cumsum(noise.normal(0, 0.02, 80)))
    assert case.calendar is not None
    days = case.calendar.steps_between(pd.Timestamp("2012-10-01"), pd.Timestamp("2013-03-01"))
    frame = pd.DataFrame({case.time: days[-80:]})
    frame["open"], frame["high"], frame["low"] = close * 1.001, close * 1.02, close * 0.98
    frame["close"], frame["volume"] = close, noise.integers(1, 9, 80) * 1e7
    return frame


@pytest.fixture(scope="session")
def records(readings: pd.DataFrame, case: Case) -> Records:
    """The newest sixty readings as a client sends them."""
    newest = readings.tail(case.task.history)
    return list(newest.assign(**{case.time: newest[case.time].dt.strftime("%Y-%m-%d")}).to_dict("records"))


@pytest.fixture(scope="session")
def make_deployable(case: Case, readings: pd.DataFrame) -> MakeDeployable:
    """Build a deployable whose graph answers `factor` times the last close, at every step."""

    def make(version: str, factor: float = 1.01, *, interval: bool = True) -> Deployable:
        core = ConstantCore(np.full(case.task.horizon, np.log(factor)))
        bounds = Interval(0.9, np.linspace(0.02, 0.06, case.task.horizon)) if interval else None
        graph = build_graph(core, case, bounds)
        question = last_window(readings, case)
        golden = Golden(x_BTF=question, mean_BH=Graph.load(graph).answer(question).mean_BH)
        return Deployable(_name(version, graph, 0.9 if interval else None), golden, graph, readings.tail(60))

    return make


def _name(version: str, graph: bytes, coverage_share: float | None) -> Manifest:
    known = {"case": "aapl", "candidate": "constant", "variant": "fp32", "trained_until": "2013-03-01"}
    lineage = {"run_id": "0" * 32, "snapshot_version": 3, "snapshot_digest": "d" * 64, "decision_id": "e" * 32}
    return Manifest(**known, **lineage, version=version, graph_sha256=digest(graph), coverage_share=coverage_share)


@pytest.fixture(scope="session")
def give_wrong_golden(make_deployable: MakeDeployable) -> Callable[[str], Deployable]:
    """Build a deployable whose graph does not answer its golden question as recorded."""

    def make(version: str) -> Deployable:
        good = make_deployable(version, 1.5)
        return replace(good, golden=replace(good.golden, mean_BH=good.golden.mean_BH * 2))

    return make


@dataclass
class Kitchen:
    """The folders of one installation."""

    home: Path
    made: int = 0
    opened: bool = False
    cases: str = "aapl"
    extra: dict[str, str] = field(default_factory=dict)
    """More environment variables of its processes."""

    @property
    def bentoml_home(self) -> Path:
        """BentoML's folder, where whoever starts the service puts it."""
        return self.home / "bentoml"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every process of this installation."""
        return {
            **os.environ,
            "OKAWARI_HOME": str(self.home),
            "OKAWARI_CASES": self.cases,
            "BENTOML_HOME": str(self.bentoml_home),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
            "OMP_NUM_THREADS": "1",
            **self.extra,
        }

    def save(self, deployable: Deployable) -> Path:
        """Write a deployable's folder."""
        self.made += 1
        folder = self.home / "made" / str(self.made)
        with self.settings():
            deployable.save(folder)
        return folder

    def put(self, deployable: Deployable) -> str:
        """Deploy, in this process; returns the tag."""
        from bentos.deploy import put

        with self.stores():
            return str(put(self.save(deployable))["tag"])

    @contextmanager
    def stores(self) -> Iterator[None]:
        """Let BentoML in this process work on this installation's stores, with its settings."""
        if self.opened:
            yield
            return
        with self.settings(), self._open_stores():
            yield

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Let this process have the settings and the secret of this installation."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OKAWARI_HOME", str(self.home))
            load_settings.cache_clear()
            yield
        load_settings.cache_clear()

    @contextmanager
    def _open_stores(self) -> Iterator[None]:
        from bentoml._internal.bento import BentoStore
        from bentoml._internal.configuration.containers import BentoMLContainer
        from bentoml._internal.models import ModelStore

        for name in ("models", "bentos"):
            (self.bentoml_home / name).mkdir(parents=True, exist_ok=True)
        BentoMLContainer.model_store.set(ModelStore(self.bentoml_home / "models"))
        BentoMLContainer.bento_store.set(BentoStore(self.bentoml_home / "bentos"))
        self.opened = True
        try:
            yield
        finally:
            self.opened = False
            BentoMLContainer.model_store.reset()
            BentoMLContainer.bento_store.reset()


@pytest.fixture(scope="session")
def make_kitchen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Kitchen]:
    """Make an empty installation."""
    return lambda: Kitchen(tmp_path_factory.mktemp("kitchen"))


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """An empty installation, whose stores BentoML uses in this process too."""
    made = Kitchen(tmp_path)
    with made.stores():
        yield made


@dataclass
class Server:
    """A running service."""

    kitchen: Kitchen
    client: httpx.Client
    process: subprocess.Popen[bytes]

    def predict(self, records: Records) -> httpx.Response:
        """Ask for one instance."""
        return self.client.post("/aapl/predict", json={"instances": [records]})

    def answer_examples(self) -> dict[str, int]:
        """Send what the API page shows as an example; the status of each answer, by path."""
        paths = self.client.get("/openapi.json").json()["paths"]
        bodies = {
            path: verbs["post"]["requestBody"]["content"]["application/json"]["example"]
            for path, verbs in paths.items()
            if path.endswith("/predict")
        }
        return {path: self.client.post(path, json=body).status_code for path, body in bodies.items()}

    def show_case(self) -> dict[str, Any]:
        """The case as `GET /cases` shows it."""
        return dict(self.client.get("/cases").json()["cases"][0])

    def wait(self, holds: Callable[[dict[str, Any]], bool], within_s: float = BUSY_S) -> dict[str, Any]:
        """Wait until the case is as wanted."""
        shown = poll(lambda: found if holds(found := self.show_case()) else None, every_s=0.05, timeout_s=within_s)
        assert shown is not None, f"not within {within_s} s: {self.show_case()}"
        return shown

    def find_workers(self) -> list[int]:
        """Process ids of the workers that answer."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"worker.service" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def read_journal(self, kind: str) -> list[dict[str, Any]]:
        """All rows of the case's journal, oldest first."""
        from okawari.storage.journal import list_segments

        folder = self.kitchen.home / "journal" / "aapl"
        return [row for segment in list_segments(folder, kind) for row in segment.rows()]  # type: ignore[arg-type]


@contextmanager
def run_server(kitchen: Kitchen, *, target: str = "bentos.service:Okawari", folder: Path = ROOT) -> Iterator[Server]:
    """Serve until the block ends; the whole process group is ended then."""
    port = find_free_port()
    environment = kitchen.environment
    if folder != ROOT:  # a built Bento knows neither the checkout nor its state
        environment = {name: value for name, value in environment.items() if name not in ("PYTHONPATH", "OKAWARI_HOME")}
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)]
    log = (kitchen.home / "service.log").open("wb")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        hooks = {"response": [_check_form]}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=BUSY_S, event_hooks=hooks) as client:
            _wait_ready(client, process, kitchen.home / "service.log")
            yield Server(kitchen, client, process)
    finally:
        _end(process)
        log.close()


_FORMS: dict[str, type[BaseModel]] = {
    "cases": CaseList,
    "predict": PredictAnswer[AnyPrediction],
    "forecast": ForecastAnswer[AnyPrediction],
}


def _check_form(reply: httpx.Response) -> None:
    """Every answer with status 200 is what the wire types say, to the last field."""
    form = _FORMS.get(reply.request.url.path.rsplit("/", 1)[-1])
    if reply.status_code == 200 and form is not None:
        body = json.loads(reply.read())
        assert form.model_validate(body).model_dump(mode="json") == body


def _wait_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, f"the service ended while starting:\n{log.read_text()[-4000:]}"
        try:
            return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    ready = poll(is_ready, every_s=0.1, timeout_s=START_S)
    assert ready, f"the service did not start:\n{log.read_text()[-4000:]}"


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)


@pytest.fixture(scope="session")
def server(make_kitchen: Callable[[], Kitchen], make_deployable: MakeDeployable) -> Iterator[Server]:
    """A service with one model, version 1, for all tests that only ask; who deploys starts a service of their own."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    with run_server(kitchen) as running:
        yield running


@pytest.fixture(scope="module")
def empty_server(make_kitchen: Callable[[], Kitchen]) -> Iterator[Server]:
    """A service without any model."""
    with run_server(make_kitchen()) as running:
        yield running


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[Server]]:
    """Start a service by hand."""
    return run_server


@pytest.fixture(scope="session")
def deploy_command() -> Callable[..., dict[str, Any]]:
    """Run `python -m bentos.deploy` in an installation; returns the line it prints."""

    def run(kitchen: Kitchen, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "bentos.deploy", *arguments],
            cwd=kitchen.home,
            env=kitchen.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    return run


SERVER_CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance",
)  # fmt: skip


@pytest.fixture(scope="session")
def run_schemathesis(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Server, int], None]:
    """Send requests that Schemathesis generates from the API's description; no answer may contradict it or be a 5xx."""

    def run(server: Server, within_s: int) -> None:
        options = {
            "--checks": ",".join(SERVER_CHECKS), "--phases": "examples,coverage,fuzzing", "--max-time": within_s,
            "--max-examples": 200, "--seed": 1, "--generation-database": "none", "--warnings": "off",
        }  # fmt: skip
        words = [str(word) for option in options.items() for word in option]
        url = f"{server.client.base_url}/openapi.json".replace("//openapi", "/openapi")
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", url, "--no-color", "--continue-on-failure", *words],
            cwd=tmp_path_factory.mktemp("schemathesis"),
            capture_output=True,
            text=True,
            timeout=within_s + 120,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        sent = re.search(r"(\d+) generated", done.stdout)
        assert sent and int(sent[1]) >= 10, done.stdout[-2000:]
        assert server.client.get("/readyz").status_code == 200

    return run
