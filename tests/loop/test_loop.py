"""The whole loop on real data, with all the real parts: killed in the middle, started again, and played to its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from okawari.programs import GROUP_MARK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def start_loop(home: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OKAWARI_HOME": str(home)}
    command = [sys.executable, "-m", "okawari.cli", "loop", "--until", "2008-04"]
    with log.open("ab") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def list_members(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(GROUP_MARK) == str(home / "loop"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(log: Path, text: str, loop: subprocess.Popen[bytes], timeout_s: float = 240) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if text in log.read_text():
            return
        assert loop.poll() is None, log.read_text()
        time.sleep(0.5)
    raise AssertionError(f"{text!r} never came:\n{log.read_text()}")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in list_members(tmp_path):
        process.kill()


def test_a_loop_killed_in_the_middle_goes_on_and_closes_on_real_drift(home: Path) -> None:
    log = home / "loop.log"
    first = start_loop(home, log)
    wait_for(log, "21 new and 0 revised readings", first)
    # Nobody gets a chance to tidy up: the supervisor first, then every program and every flow run.
    first.send_signal(signal.SIGKILL)
    first.wait()
    for process in list_members(home):
        process.kill()

    second = start_loop(home, log)
    code = second.wait(timeout=800)
    told = log.read_text()

    assert code == 0, told
    assert "2008-04" in told and "real drift was found" in told
    assert "NO " not in told.split("claim")[-1], told
    assert "0 failed" in told
    assert not list_members(home)
