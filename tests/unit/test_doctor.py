"""`okawari doctor` on real installations: what is wrong is a line with what to do, and the exit code says so."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from okawari.local.checks import CHECKS, examine
from okawari.local.findings import Finding, Level
from okawari.settings import adopt_settings, load_settings
from okawari.storage.group_lock import hold_group_lock
from okawari.storage.state_version import write_state_version
from tests.ports import find_free_port

if TYPE_CHECKING:
    from tests.conftest import Said

pytestmark = pytest.mark.fault
Call = Callable[..., "Said"]


@pytest.fixture(autouse=True)
def _free_ports(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT", "MLFLOW", "SERVICE", "UI"):
        monkeypatch.setenv(f"OKAWARI_{name}_PORT", str(find_free_port()))
    load_settings.cache_clear()


def _find(subject: str, **changes: object) -> list[Finding]:
    adopt_settings(load_settings().model_copy(update=changes))
    return [finding for finding in examine(load_settings()) if finding.subject == subject]


def test_a_new_installation_has_no_problem_and_nothing_is_written(call: Call, home: Path) -> None:
    said = call("doctor")
    assert said.code == 0, said.out
    assert "warning" in said.out and "PROBLEM" not in said.out
    [folder] = _find("state folder")
    assert folder.seen == f"{home} does not exist yet" and folder.advice == "Start with: okawari up."
    assert not home.exists()


def test_a_problem_ends_with_code_one_and_says_what_to_do(call: Call, home: Path) -> None:
    write_state_version(home, 99)
    said = call("doctor")
    assert said.code == 1
    assert "PROBLEM" in said.out and "Install the newer Okawari" in said.out


def test_every_finding_that_is_not_as_it_should_be_says_what_to_do(home: Path) -> None:
    home.write_text("this is a file")
    found = examine(load_settings())
    assert any(finding.level == Level.PROBLEM for finding in found)
    assert all(finding.advice for finding in found if finding.level != Level.OK)
    assert all(finding.seen for finding in found)


def test_a_taken_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        [finding] = _find(f"port {port}", ui_port=port)
    assert finding.level == Level.PROBLEM
    assert f"by process {os.getpid()}" in finding.seen and "OKAWARI_UI_PORT" in finding.advice


def test_an_unknown_variable_is_named_with_the_one_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKAWARI_CASE", "blobs")
    [finding] = _find("settings")
    assert finding.level == Level.WARNING
    assert "OKAWARI_CASE" in finding.seen and "Is OKAWARI_CASES meant?" in finding.advice


def test_a_candidate_that_no_case_has_is_named() -> None:
    [finding] = _find("settings", cases="blobs", candidates="liner")
    assert "no case has liner" in finding.seen and "linear_1" in finding.advice


def test_a_secret_that_others_can_read_is_a_problem(home: Path) -> None:
    (home / "secrets").mkdir(parents=True)
    (home / "secrets" / "installation").write_bytes(b"x" * 32)
    (home / "secrets" / "installation").chmod(0o644)
    [finding] = _find("secrets")
    assert finding.level == Level.PROBLEM and finding.advice == f"Run: chmod -R go= {home / 'secrets'}."


def test_a_record_of_the_future_says_that_the_clock_is_wrong(home: Path) -> None:
    write_state_version(home, 1)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).timestamp()
    os.utime(home / "state.json", (tomorrow, tomorrow))
    [finding] = _find("clock")
    assert finding.level == Level.PROBLEM and "state.json is of" in finding.seen


def test_a_broken_case_is_a_problem_and_the_others_are_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "broken.py").write_text("x = 1\nCASE = (\n")
    [finding] = _find("case broken", cases="broken,blobs", cases_dir=folder)
    assert finding.level == Level.PROBLEM and "broken.py, line 2" in finding.seen
    [other] = _find("case blobs")
    assert other.level == Level.OK


def test_a_server_that_is_away_while_the_group_runs_is_a_problem() -> None:
    with hold_group_lock(load_settings()):
        [finding] = _find("Prefect server")
    assert finding.level == Level.PROBLEM and "okawari up runs, but its Prefect server does not answer" in finding.seen


def test_too_many_threads_are_a_warning() -> None:
    [finding] = _find("threads", threads=4096)
    assert finding.level == Level.WARNING and "OKAWARI_THREADS" in finding.advice


def test_a_check_that_fails_is_a_finding_and_stops_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "state.json").write_text("{")
    found = examine(load_settings())
    [finding] = [finding for finding in found if finding.subject == "state version"]
    assert finding.level == Level.PROBLEM and "cannot be read" in finding.seen
    assert any(finding.subject == "case aapl" for finding in found)
    assert list(CHECKS)[-1] == "champions"


def test_settings_as_they_should_be_are_one_line() -> None:
    assert [finding.level for finding in _find("settings")] == [Level.OK]
