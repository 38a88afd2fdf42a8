"""Trainings beside dying programs, and beside each other: what a person sees who runs `okawari`."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from unittest.mock import patch

import psutil
import pytest

from okawari.clients import orchestrator
from okawari.local.programs import PROGRAM_MARK
from okawari.settings import load_settings
from tests.installations import Installation, make_installation, read_until, run_up

pytestmark = [pytest.mark.fault, pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(600)]

CASE = '''
"""The stock case with short windows and a training of some ten seconds."""
from dataclasses import replace

from okawari.case import Forecast, Gate
from okawari.cases.aapl import CASE as AAPL
from okawari.models.lstm import Lstm
from okawari.models.random_walk import RandomWalk

CASE = replace(
    AAPL,
    name="{name}",
    task=Forecast(target="close", history=12, horizon=3),
    gate=Gate(holdout=40, calibration=60),
    candidates=(RandomWalk(), Lstm(hidden=32, layers=1, epochs={epochs})),
)
'''
OLD_RUNS = 80


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home, cases = tmp_path_factory.mktemp("installation"), tmp_path_factory.mktemp("cases")
    (cases / "first.py").write_text(CASE.format(name="first", epochs=12))
    (cases / "second.py").write_text(CASE.format(name="second", epochs=1))
    with make_installation(home, OKAWARI_CASES="first,second", OKAWARI_CASES_DIR=str(cases)) as made:
        yield made


@pytest.fixture(scope="module")
def running(installation: Installation) -> Iterator[subprocess.Popen[str]]:
    with run_up(installation) as process:
        yield process


def _start_training(installation: Installation, case: str = "first") -> subprocess.Popen[str]:
    """`okawari run --retrain`, at the moment when a candidate is being fitted."""
    process = installation.start("run", case, "--retrain")
    read_until(process, f"{case}: train: ", timeout_s=120)
    return process


def _finish(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=300)
    told = " ".join(told.split())  # a pipe's lines are broken as a terminal's are
    assert process.returncode == 0, told
    return told


def _find_runner(installation: Installation) -> psutil.Process:
    return next(each for each in _find(installation, "worker") if {"worker", "start"} <= set(each.cmdline()))


def _find(installation: Installation, program: str) -> list[psutil.Process]:
    return [each for each in installation.members() if each.environ().get(PROGRAM_MARK) == program]


def test_a_training_that_dies_with_the_runner_is_taken_up_again(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    process = _start_training(installation)
    _find_runner(installation).kill()
    told = _finish(process)
    assert "it is started again" in told
    assert "version" in told


def test_a_training_goes_on_when_mlflow_dies_and_comes_back(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    process = _start_training(installation)
    for member in _find(installation, "mlflow"):
        member.kill()
    told = _finish(process)
    assert "HTTPConnectionPool" not in told
    assert "it is started again" not in told


def test_of_two_trainings_the_second_waits_for_the_first_and_says_so(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    """Two people ask at once; whichever request comes second waits."""
    asked = {name: installation.start("run", name, "--retrain") for name in ("first", "second")}
    told = {name: _finish(process) for name, process in asked.items()}
    other = {"first": "second", "second": "first"}
    waited = [name for name in told if f"{name}: waits behind the training of {other[name]}; position 1" in told[name]]
    assert len(waited) == 1, told
    text = told[waited[0]]
    assert text.index("waits behind") < text.index(f"{waited[0]}: train: ")


def test_the_first_round_does_not_wait_for_what_an_old_queue_holds(
    running: subprocess.Popen[str], installation: Installation
) -> None:
    with patch.dict(os.environ, installation.environment):
        load_settings.cache_clear()
        for number in range(OLD_RUNS):
            flow = ("monitor", "train")[number % 2]
            orchestrator.start_run(flow, {"case": "first"}, idempotency_key=f"old {number}")
    load_settings.cache_clear()
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    code, told = installation.run("up", "--once", timeout_s=240)
    assert code == 0, told
    assert "RMSE" not in told, "an old request has trained"
