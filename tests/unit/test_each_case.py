"""Commands over several cases: one that cannot be loaded is one line on stderr and stops no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from okawari.cli.each_case import attempt_each, require_loadable
from okawari.errors import CasesFailed, InvalidInput
from okawari.settings import Settings, adopt_settings

if TYPE_CHECKING:
    from tests.conftest import Said

pytestmark = pytest.mark.fault
Call = Callable[..., "Said"]


@pytest.fixture(autouse=True)
def _settings(home: Path, free_port: int) -> None:
    folder = home.parent / "own"
    folder.mkdir()
    for name in ("broken", "worse"):
        (folder / f"{name}.py").write_text("x = 1\nCASE = (\n")
    ports = dict.fromkeys(("prefect_port", "mlflow_port", "service_port"), free_port)
    adopt_settings(Settings(cases="broken,blobs", cases_dir=folder, **ports))


def _choose(monkeypatch: pytest.MonkeyPatch, cases: str) -> None:
    monkeypatch.setenv("OKAWARI_CASES", cases)
    adopt_settings(Settings())


def test_status_shows_the_others_and_ends_with_code_one(call: Call) -> None:
    said = call("status")
    assert said.code == 1
    assert "Four blobs" in said.out
    assert said.err.startswith("okawari: broken: ") and "broken.py, line 2" in said.err
    assert said.err.count("\n") == 1


def test_run_all_goes_on_after_a_broken_case(call: Call) -> None:
    said = call("run", "--all")
    assert said.code == 1
    first, second = said.err.splitlines()
    assert "broken.py, line 2" in first
    assert second.startswith("okawari: blobs: No Prefect server answers")


def test_up_starts_nothing_if_no_case_can_be_loaded(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _choose(monkeypatch, "broken,worse")
    said = call("up")
    assert said.code == 1
    assert all(name in line for name, line in zip(("broken.py", "worse.py"), said.err.splitlines(), strict=True))
    assert "Traceback" not in said.err and not (home / "logs").exists()


def test_the_broken_ones_are_left_out_with_their_reasons() -> None:
    names, failed = require_loadable(("broken", "blobs"))
    assert names == ("blobs",) and list(failed) == ["broken"]
    with pytest.raises(CasesFailed, match=r"broken: .*line 2.*\nworse: .*line 2"):
        require_loadable(("broken", "worse"))
    with pytest.raises(InvalidInput, match="OKAWARI_CASES names no case"):
        require_loadable(())


def test_any_error_of_one_case_is_one_sentence_and_the_next_one_is_handled() -> None:
    done: list[str] = []

    def act(name: str) -> None:
        if name == "a":
            raise ZeroDivisionError("division by zero")
        if name == "b":
            raise OSError(28, "No space left on device", "/full/table")
        done.append(name)

    failed = attempt_each(["a", "b", "c"], act)
    assert done == ["c"]
    assert failed["a"] == "ZeroDivisionError: division by zero"
    assert failed["b"].startswith("/full/table cannot be written: its disk is full")
