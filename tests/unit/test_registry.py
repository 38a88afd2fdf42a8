"""The registry on a real MLflow store: what is registered comes back, byte by byte, and one alias says who serves."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from okawari.case import Case
from okawari.dataset.windows import last_window
from okawari.errors import InvalidInput, NotYet, ServerUnreachable
from okawari.graph.inference import Graph
from okawari.loop.status import read_state
from okawari.registry import runs, versions
from okawari.registry.client import limit_waiting, translate_errors
from okawari.registry.versions import Version
from okawari.settings import Settings, adopt_settings
from okawari.storage import snapshots
from okawari.storage.deployable import digest
from okawari.storage.snapshots import Snapshot
from tests.conftest import SmallServer

TrainVersion = Callable[..., Version]


@pytest.fixture
def client(mlflow_database: Path) -> MlflowClient:
    """MLflow's own client on the same store."""
    return MlflowClient(f"sqlite:///{mlflow_database}")


@pytest.fixture
def snapshot(mlflow_database: Path, small_case: Case, readings: pd.DataFrame) -> Snapshot:
    """The second snapshot of a case, of fifty readings."""
    nothing, now = readings[:0].assign(reason=""), datetime(2003, 1, 1, tzinfo=UTC)
    snapshots.record_readings(small_case, readings[:40], nothing, now)
    return snapshots.record_readings(small_case, readings[:50], nothing, now).snapshot


# --- versions -----------------------------------------------------------------------------------------------------


def test_a_registered_version_comes_back_with_all_that_is_known_of_it(train_version: TrainVersion) -> None:
    version = train_version()
    assert (version.case, version.version, version.candidate, version.variant) == ("aapl", "1", "constant", "fp32")
    assert (version.coverage_share, version.loss, version.skill_share) == (0.9, 0.5, 0.02)
    assert version.snapshot_version == 0
    assert runs.load_snapshot_version(version.run_id) == 0
    assert versions.load_version("aapl", "1") == version


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"loss": None}, "loss"),
        ({"loss": "much"}, "loss"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_facts_that_are_no_version_are_refused_before_anything_is_logged(
    wrong: dict[str, object], told: str, train_version: TrainVersion, client: MlflowClient, small_case: Case
) -> None:
    version = train_version()
    known = {name: value for name, value in vars(version).items() if name not in ("case", "version", "run_id")}
    with pytest.raises(InvalidInput, match=rf"Version new of case aapl has missing, unknown or invalid fields: {told}"):
        versions.register_version(small_case, version.run_id, None, {**known, **wrong})
    assert len(client.search_model_versions("name = 'aapl'")) == 1


def test_a_version_that_lacks_a_digest_is_refused_by_name(train_version: TrainVersion, client: MlflowClient) -> None:
    train_version()
    client.delete_model_version_tag("aapl", "1", "graph_sha256")
    with pytest.raises(
        InvalidInput, match=r"Version 1 of case aapl has missing, unknown or invalid fields: graph_sha256 \("
    ):
        versions.load_version("aapl", "1")


def test_the_graph_of_a_version_comes_back_byte_by_byte(train_version: TrainVersion) -> None:
    first, second = train_version(growth=0.01), train_version(growth=0.02)
    assert first.graph_sha256 != second.graph_sha256
    for version in (first, second):
        assert digest(versions.load_graph(version)) == version.graph_sha256


def test_the_graph_of_a_quantized_version_is_that_of_its_variant(train_version: TrainVersion) -> None:
    version = train_version()
    runs.record_file(version.run_id, b"smaller", "variants/uint8.onnx")
    assert versions.load_graph(replace(version, variant="uint8")) == b"smaller"


def test_mlflow_itself_can_load_the_champion_and_it_answers_like_the_graph(
    train_version: TrainVersion, small_case: Case, readings: pd.DataFrame
) -> None:
    import mlflow.pyfunc

    version = train_version()
    versions.set_champion("aapl", version.version)
    x_BTF = last_window(readings, small_case)
    answer = mlflow.pyfunc.load_model("models:/aapl@champion").predict(x_BTF)
    expected = Graph.load(versions.load_graph(version)).answer(x_BTF)
    np.testing.assert_array_equal(answer["mean"], expected.mean_BH)
    np.testing.assert_array_equal(answer["lower"], expected.lower_BH)


def test_the_champion_is_who_the_alias_points_at_and_can_go_back(train_version: TrainVersion) -> None:
    first, second = train_version(), train_version()
    assert versions.load_champion("aapl") is None
    for version in (first, second, second, first):
        versions.set_champion("aapl", version.version)
        assert versions.load_champion("aapl") == version


def test_a_case_that_was_never_trained_has_no_champion(mlflow_database: Path) -> None:
    assert versions.load_champion("aapl") is None


@pytest.mark.parametrize("number", ["2", "0", "nonsense"])
def test_an_unknown_version_is_not_there_yet(number: str, train_version: TrainVersion) -> None:
    train_version()
    with pytest.raises(NotYet, match=f"Case aapl has no registered version {number}"):
        versions.load_version("aapl", number)


def test_an_unknown_artefact_is_not_there_yet_and_names_the_cure(train_version: TrainVersion) -> None:
    run_id = train_version().run_id
    with pytest.raises(NotYet, match=f"Run {run_id} has no artefact gone.txt; train the case again"):
        runs.load_file(run_id, "gone.txt")


def test_a_server_that_is_not_there_is_said_to_be_unreachable(
    home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    adopt_settings(Settings(mlflow_port=free_port))
    with pytest.raises(ServerUnreachable, match=f"No MLflow server answers at http://127.0.0.1:{free_port}; start it"):
        versions.load_champion("aapl")


def _answer_artefacts(kind: str) -> type[BaseHTTPRequestHandler]:
    """A server that knows one run and sends its artefact only in part, or answers that it has none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/runs/get" in self.path:
                info = {"run_id": "r", "run_uuid": "r", "artifact_uri": "mlflow-artifacts:/0/r/artifacts"}
                self._send(json.dumps({"run": {"info": info, "data": {}}}).encode())
            elif "/artifacts/0/" not in self.path:
                self._send(b'{"files": []}')
            elif kind == "missing":
                self.send_error(404)
            else:
                self._send(b"the first half", missing=100)

        def _send(self, content: bytes, missing: int = 0) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + missing))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    return Handler


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("interrupted", ServerUnreachable, "The connection to the MLflow server at .* broke .*; try again"),
        ("missing", NotYet, "Run r has no artefact variants/fp32.onnx; train the case again"),
    ],
)
def test_a_download_that_breaks_off_is_no_missing_artefact(
    kind: str, error: type[Exception], message: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ThreadingHTTPServer(("127.0.0.1", 0), _answer_artefacts(kind)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        adopt_settings(Settings(mlflow_port=server.server_port))
        with pytest.raises(error, match=message):
            runs.load_file("r", "variants/fp32.onnx")
        server.shutdown()


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (ConnectionResetError(104, "reset"), ServerUnreachable),
        (FileNotFoundError(2, "none"), NotYet),
        (OSError("No such artifact"), NotYet),
        (OSError(28, "No space left on device"), OSError),
    ],
)
def test_errors_of_the_system_are_told_apart(raised: OSError, seen: type[Exception], home: Path) -> None:
    with pytest.raises(seen), translate_errors("It is not there."):
        raise raised


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("kind", ["closed", "silent"])
@pytest.mark.timeout(60)
def test_the_state_of_a_case_is_read_without_a_registry_and_says_so(
    kind: str, home: Path, free_port: int, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port if kind == "closed" else silent_port
    adopt_settings(Settings(mlflow_port=port))
    monkeypatch.setitem(sys.modules, "mlflow", None)  # whose own client would repeat the call for many seconds
    state = read_state("aapl")
    assert state.champion is None
    assert str(state.problem).startswith(f"No MLflow server answers at http://127.0.0.1:{port}")
    assert str(state.problem).endswith("start it with: okawari up.")


def test_a_process_that_limits_waiting_asks_a_busy_server_once(home: Path, small_server: SmallServer) -> None:
    route = "GET /api/2.0/mlflow/registered-models/alias?name=aapl&alias=champion"
    small_server.tell("GET /health", "OK")
    small_server.tell(route, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}, status=503)
    adopt_settings(Settings(mlflow_port=small_server.port))
    limit_waiting()
    with pytest.raises(ServerUnreachable, match=f"No MLflow server answers at http://127.0.0.1:{small_server.port}"):
        versions.load_champion("aapl")
    assert len(small_server.asked[route]) == 1


# --- runs ---------------------------------------------------------------------------------------------------------


def test_a_training_keeps_its_case_its_snapshot_and_its_data(
    client: MlflowClient, snapshot: Snapshot, small_case: Case, readings: pd.DataFrame
) -> None:
    with runs.record_training(small_case, snapshot, readings[:50], {"okawari.cause": "drift"}) as run_id:
        assert client.get_run(run_id).info.status == "RUNNING"
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["okawari.cause"] == "drift"
    assert runs.load_snapshot_version(run_id) == snapshot.version
    assert json.loads(runs.load_file(run_id, "case.json"))["task"]["horizon"] == 3
    assert json.loads(runs.load_file(run_id, "snapshot.json"))["digest"] == snapshot.digest
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.digest == snapshot.digest[:32]
    source = json.loads(used.dataset.source)
    assert source["delta_table_version"] == snapshot.version == 1
    assert source["path"].endswith("data/aapl/readings")


def test_a_run_whose_body_raises_is_marked_failed_and_the_error_goes_on(
    client: MlflowClient, snapshot: Snapshot, small_case: Case, readings: pd.DataFrame
) -> None:
    seen = []

    def fail() -> None:
        with runs.record_training(small_case, snapshot, readings[:50], {}) as parent:
            seen.append(parent)
            with runs.record_candidate(small_case, parent, "lstm", {"hidden": 16}) as child:
                seen.append(child)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [client.get_run(run_id).info.status for run_id in seen] == ["FAILED", "FAILED"]


def test_a_candidate_is_a_child_run_with_its_settings_and_numbers(
    client: MlflowClient, snapshot: Snapshot, small_case: Case, readings: pd.DataFrame
) -> None:
    with (
        runs.record_training(small_case, snapshot, readings[:50], {}) as parent,
        runs.record_candidate(small_case, parent, "lstm", {"hidden": 16, "note": "x" * 900}) as run_id,
    ):
        runs.record_metrics(run_id, {"rmse": 0.5, "coverage_share": None})
        runs.record_history(run_id, [{"train_loss": 3.0}, {"train_loss": 2.0}])
        runs.record_table(run_id, [{"candidate": "lstm", "rmse": 0.5}], "leaderboard.json")
    run = client.get_run(run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params["hidden"] == "16"
    assert run.data.metrics == {"rmse": 0.5, "train_loss": 2.0}
    assert [(point.step, point.value) for point in client.get_metric_history(run_id, "train_loss")] == [
        (1, 3.0),
        (2, 2.0),
    ]
    assert json.loads(runs.load_file(run_id, "leaderboard.json"))["data"] == [["lstm", 0.5]]


def test_abandoned_runs_are_closed_and_finished_ones_left_alone(
    client: MlflowClient, snapshot: Snapshot, small_case: Case, readings: pd.DataFrame
) -> None:
    with runs.record_training(small_case, snapshot, readings[:50], {}) as finished:
        pass
    experiment = client.get_run(finished).info.experiment_id
    abandoned = [client.create_run(experiment).info.run_id for _ in range(2)]
    assert runs.close_abandoned(small_case) == 2
    assert [client.get_run(run_id).info.status for run_id in (finished, *abandoned)] == ["FINISHED", "KILLED", "KILLED"]
    assert runs.close_abandoned(small_case) == 0


def test_a_drift_report_has_a_run_of_its_own(client: MlflowClient, snapshot: Snapshot, small_case: Case) -> None:
    run_id = runs.record_monitoring(small_case, snapshot, b"<html>moved</html>", {"distance": 0.25})
    assert runs.load_file(run_id, "drift.html") == b"<html>moved</html>"
    run = client.get_run(run_id)
    assert (run.data.metrics["distance"], run.data.tags["okawari.kind"]) == (0.25, "monitoring")


def test_an_artefact_keeps_its_bytes_and_its_place(client: MlflowClient, snapshot: Snapshot, small_case: Case) -> None:
    run_id = runs.record_monitoring(small_case, snapshot, b"", {})
    content = bytes(range(256)) * 40
    runs.record_file(run_id, content, "deep/down/graph.onnx")
    assert runs.load_file(run_id, "deep/down/graph.onnx") == content
    assert [each.path for each in client.list_artifacts(run_id, "deep")] == ["deep/down"]


def test_a_runs_page_is_the_address_of_that_run(train_version: TrainVersion) -> None:
    run_id = train_version().run_id
    assert runs.page_url(run_id).endswith(f"/runs/{run_id}")
