"""What a newcomer does: `okawari up`, the README's commands, a second `up`, Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from okawari.polling import retry_for
from tests.installations import Installation, make_installation, read_until, run_up
from tests.tables import draw_stormy_days

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FEW = os.environ.get("OKAWARI_CANDIDATES", "random_walk,sarima_211_1005,random_forest_100")
"""Three candidates of eight, so that a training takes seconds; `tests/golden` fits all, `test_loop` trains an LSTM."""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with make_installation(tmp_path_factory.mktemp("installation"), OKAWARI_CANDIDATES=FEW) as made:
        yield made


@pytest.fixture(scope="module")
def running(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    with run_up(installation) as process:
        yield process


def test_up_ends_with_a_service_that_answers_and_a_page(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    answer = httpx.post(f"{installation.url('SERVICE')}/aapl/forecast").raise_for_status().json()
    assert answer["model"]["version"] == "1"
    assert answer["predictions"][0]["mean"][0] > 0
    assert answer["predictions"][0]["interval"]["coverage_share"] == 0.9
    assert "Okawari" in httpx.get(installation.url("UI")).raise_for_status().text


def test_the_commands_of_the_readme_work(running: subprocess.Popen[str], installation: Installation) -> None:
    code, told = installation.run("status")
    assert code == 0 and "champion version 1" in told and "serving version 1" in told
    code, told = installation.run("predict", "aapl", "--json")
    assert code == 0
    code, told = installation.run("explain", json.loads(told)["id"])
    assert code == 0 and told.count("digest holds") == 2


def test_a_file_that_is_no_table_is_refused_in_one_sentence(
    running: subprocess.Popen[str], installation: Installation, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_bytes(b"\x00\xff" * 100)
    code, told = installation.run("run", "aapl", "--file", str(broken))
    assert code == 4
    assert "broken.csv" in told and "Traceback" not in told


def test_a_second_up_on_the_same_state_says_that_one_is_running(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    code, told = installation.run("up")
    assert code == 1
    assert "already runs" in told and "Traceback" not in told


def test_a_retraining_that_a_person_asks_for_ends_in_a_decision(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    code, told = installation.run("run", "aapl", "--retrain", timeout_s=600)
    assert code == 0, told
    assert "a person requested it" in told and "keep version 2" in told


def test_a_round_with_drift_ends_when_its_training_has_ended(
    running: subprocess.Popen[str], installation: Installation, tmp_path: Path
) -> None:
    """Three months that swing ten times as much as before: one verdict, one training, and the state after it."""
    stormy = tmp_path / "stormy.csv"
    draw_stormy_days(90).to_csv(stormy, index=False)
    code, told = installation.run("run", "aapl", "--file", str(stormy), timeout_s=600)
    assert code == 0, told
    told = " ".join(told.split())  # a pipe's lines are broken as a terminal's are
    state = told[told.rindex("Apple closing price") :]
    assert "90 new and 0 revised" in told
    assert "new champion promoted" in state or "champion kept" in state, state
    assert "request:" not in state, state  # nothing asked for a second training
    assert told.count("the data has drifted; there are 90 new rows") == 1, told


def test_a_program_that_is_killed_is_started_again(running: subprocess.Popen[str], installation: Installation) -> None:
    port = int(installation.environment["OKAWARI_SERVICE_PORT"])
    next(p for p in installation.members() if "bentoml" in p.cmdline() and str(port) in p.cmdline()).kill()
    read_until(running, "starting it again")
    ask = partial(httpx.post, f"{installation.url('SERVICE')}/aapl/forecast")
    retry_for(lambda: ask().raise_for_status(), errors=(httpx.HTTPError,), every_s=0.5, timeout_s=60)


def test_ctrl_c_leaves_nothing_and_the_next_up_trains_nothing(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert not installation.members()

    code, told = installation.run("up", "--once", timeout_s=600)
    assert code == 0, told
    assert "0 new and 0 revised readings" in told and "RMSE" not in told
    assert not installation.members()


def test_a_taken_port_gets_a_sentence(installation: Installation) -> None:
    with socket.socket() as holder:
        # Connections of the service before may still be in TIME_WAIT on this port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", int(installation.environment["OKAWARI_SERVICE_PORT"])))
        holder.listen()
        code, told = installation.run("up")
    assert code == 1
    assert "OKAWARI_SERVICE_PORT" in told and "Traceback" not in told
