"""The whole loop on real data, with all real parts: killed in the middle, started again, and played to its end.

Two months are played here, which takes in everything once; `make loop` plays the year.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from okawari.local.programs import GROUP_MARK
from okawari.polling import poll

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

UNTIL = "2008-02"


@dataclass
class Stage:
    """A place to rehearse in; whatever is started here is gone afterwards, the supervisor first."""

    home: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.home / "loop.log"

    def start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OKAWARI_HOME": str(self.home)}
        command = [sys.executable, "-m", "okawari.cli.main", "loop", "--until", UNTIL]
        with self.log.open("ab") as output:
            self.started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
        return self.started[-1]

    def kill_all(self) -> None:
        for supervisor in self.started:
            supervisor.kill()
            supervisor.wait()
        for process in list_members(self.home):
            process.kill()


def list_members(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(GROUP_MARK) == str(home / "loop"):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(log: Path, text: str, loop: subprocess.Popen[bytes], timeout_s: float = 600) -> None:
    def is_there() -> bool:
        if text in log.read_text():
            return True
        assert loop.poll() is None, log.read_text()
        return False

    assert poll(is_there, every_s=0.5, timeout_s=timeout_s), f"{text!r} never came:\n{log.read_text()}"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.kill_all()


def test_a_loop_killed_in_the_middle_goes_on_and_closes_on_real_drift(stage: Stage) -> None:
    first = stage.start()
    wait_for(stage.log, "21 new and 0 revised readings", first)
    # Nobody gets a chance to tidy up: the supervisor first, then every program and every flow run.
    stage.kill_all()

    second = stage.start()
    code = second.wait(timeout=1000)
    told = stage.log.read_text()

    assert code == 0, told
    assert UNTIL in told and "real drift was found" in told
    assert "NO " not in told.split("claim")[-1], told
    assert "0 failed" in told
    assert not list_members(stage.home)
