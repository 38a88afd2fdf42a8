"""A service whose journal's disk is full, and one of whose cases cannot be loaded: predictions are answered."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.service.conftest import Kitchen, MakeDeployable, Records, Server, run_server

pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.fixture
def journal_disk(kitchen: Kitchen) -> Iterator[Path]:
    """A disk of 1 MB, where the service writes its journal."""
    folder = kitchen.home / "journal"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system of its own")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def server(
    kitchen: Kitchen, journal_disk: Path, make_deployable: MakeDeployable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    cases = kitchen.home / "cases"
    cases.mkdir()
    (cases / "broken.py").write_text("x = 1\nCASE = (\n")
    monkeypatch.setenv("OKAWARI_CASES_DIR", str(cases))
    kitchen.cases = "broken,aapl"
    kitchen.put(make_deployable("1"))
    with run_server(kitchen) as running:
        running.wait(lambda case: case["ready"])
        yield running


def _fill(folder: Path) -> Path:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(os.urandom(size))
    return ballast


def test_predictions_are_answered_outcomes_are_refused_and_all_works_after_freeing(
    server: Server, journal_disk: Path, records: Records
) -> None:
    known = server.predict(records)
    assert known.status_code == 200
    ballast = _fill(journal_disk)
    outcome = {"outcomes": [{"id": known.json()["id"], "index": 0, "step": 1, "value": 400.0}]}
    statuses = {server.predict(records).status_code for _ in range(30)}
    refused = server.client.post("/aapl/outcomes", json=outcome)
    assert statuses == {200}
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert refused.json()["error"] == "The outcomes could not be stored: the service's disk fails. Send them again."
    ballast.unlink()
    before = len(server.read_journal("predictions"))
    assert server.predict(records).status_code == 200
    assert server.client.post("/aapl/outcomes", json=outcome).status_code == 202
    assert len(server.read_journal("predictions")) > before
    log = (server.kitchen.home / "service.log").read_text()
    assert "1 predictions of aapl were not journaled" in log
    assert "Case broken is not served: " in log and "broken.py, line 2" in log
