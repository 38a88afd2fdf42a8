"""`okawari up` over faults: a page that keeps dying, a case that cannot be loaded, a Prefect server that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from okawari.local.programs import PROGRAM_MARK
from okawari.polling import poll
from tests.installations import Installation, make_installation, read_until

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.heavy, pytest.mark.timeout(900)]

KILLS = 7
POINT = {"instances": [{"x": 0.5, "y": -0.5}]}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Two cases, of which one has a syntax error."""
    folder = tmp_path_factory.mktemp("supervised")
    (folder / "cases").mkdir()
    (folder / "cases" / "broken.py").write_text("x = 1\nCASE = (\n")
    own = {
        "OKAWARI_CASES": "broken,blobs",
        "OKAWARI_CASES_DIR": str(folder / "cases"),
        "OKAWARI_CANDIDATES": "linear_1",
    }
    with make_installation(folder / "home", **own) as made:
        yield made


@pytest.fixture(scope="module")
def running(installation: Installation) -> tuple[subprocess.Popen[str], str]:
    """The running `up`, and what it printed until all servers ran."""
    process = installation.start("up")
    return process, read_until(process, "All servers are running")


def _find(installation: Installation, program: str) -> set[int]:
    """The process ids of a program."""
    found = set()
    for process in installation.members():
        try:
            if process.environ().get(PROGRAM_MARK) == program:
                found.add(process.pid)
        except psutil.Error:
            continue
    return found


def _kill(installation: Installation, program: str) -> set[int]:
    killed = _find(installation, program)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return killed


def _await_other(installation: Installation, program: str, than: set[int]) -> set[int] | None:
    """The processes of a program that has been started again."""
    return poll(lambda: _find(installation, program) - than, every_s=0.1, timeout_s=120)


def test_a_broken_case_is_one_sentence_and_the_other_one_serves(
    running: tuple[subprocess.Popen[str], str], installation: Installation
) -> None:
    _, told = running
    assert told.startswith("okawari: broken: ") and "broken.py, line 2: '(' was never closed" in told
    assert "Traceback" not in told
    asked = httpx.post(f"{installation.url('SERVICE')}/blobs/predict", json=POINT)
    assert asked.status_code == 200, asked.text
    assert "Okawari" in httpx.get(installation.url("UI")).text
    code, told = installation.run("status")
    assert code == 1
    assert "serving version 1" in told and "broken.py, line 2" in told and "Traceback" not in told


def test_the_page_dies_seven_times_and_the_service_answers_throughout(
    running: tuple[subprocess.Popen[str], str], installation: Installation
) -> None:
    process, _ = running
    others = {name: _find(installation, name) for name in ("service", "prefect", "mlflow", "worker")}
    stop, statuses = threading.Event(), []

    def ask() -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.wait(0.2):
                statuses.append(client.post(f"{installation.url('SERVICE')}/blobs/predict", json=POINT).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(KILLS):
            killed = _kill(installation, "ui")
            assert killed
            assert _await_other(installation, "ui", killed)
        assert poll(lambda: _answers(installation.url("UI")), every_s=0.5, timeout_s=120)
    finally:
        stop.set()
        asking.join()
    assert len(statuses) > 100 and set(statuses) == {200}
    assert process.poll() is None
    for name, pids in others.items():
        assert pids & _find(installation, name), f"{name} was stopped"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_command_waits_while_prefect_restarts(
    running: tuple[subprocess.Popen[str], str], installation: Installation
) -> None:
    _kill(installation, "prefect")
    code, told = installation.run("run", "blobs")
    assert code == 0, told
    assert "start it with" not in told


def test_sigterm_stops_everything(running: tuple[subprocess.Popen[str], str], installation: Installation) -> None:
    process, _ = running
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    assert not installation.members()
    assert {path.name for path in Path(installation.home, "logs").glob("*.log")} >= {"ui.log", "service.log"}
