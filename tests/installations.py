"""Installations that tests start as a person does, with ports and state of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from okawari.local.programs import GROUP_MARK
from tests.ports import find_free_port

PORTS = ("PREFECT", "MLFLOW", "SERVICE", "UI")


@dataclass
class Installation:
    home: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "okawari.cli.main", *arguments]
        self.started.append(
            subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return self.started[-1]

    def run(self, *arguments: str, timeout_s: float = 240) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.environment[f'OKAWARI_{name}_PORT']}"

    def members(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(GROUP_MARK) == str(self.home):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


def read_until(process: subprocess.Popen[str], text: str, timeout_s: float = 600) -> str:
    assert process.stdout is not None
    told, until = "", time.monotonic() + timeout_s
    while text not in told and time.monotonic() < until:
        line = process.stdout.readline()
        assert line, f"it ended before it said {text!r}:\n{told}"
        told += line
    assert text in told, told
    return told


@contextmanager
def run_up(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    """`okawari up` with all servers running; Ctrl-C ends it when the block ends."""
    process = installation.start("up")
    read_until(process, "All servers are running")
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(60)


@contextmanager
def make_installation(home: Path, **settings: str) -> Iterator[Installation]:
    """An installation with free ports and these settings; all of its processes are killed when the block ends."""
    ports = {f"OKAWARI_{name}_PORT": str(find_free_port()) for name in PORTS}
    own = {"OKAWARI_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    made = Installation(home, {**os.environ, **ports, **own, **settings})
    try:
        yield made
    finally:
        for process in made.started:
            process.kill()
            process.wait()
        for member in made.members():
            member.kill()
