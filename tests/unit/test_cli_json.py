"""`--json`: one document on stdout that programs can parse, with everything else on stderr and the same exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from okawari.cli import output
from okawari.cli.document import divert_text, print_document, to_plain
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.settings import Settings, adopt_settings
from okawari.storage import prediction_log
from okawari.storage.journal import Journal

if TYPE_CHECKING:
    from tests.conftest import Said

Call = Callable[..., "Said"]
Train = Callable[..., Version]


@pytest.fixture
def lonely(mlflow_database: Path, free_port: int) -> None:
    """A registry, but no service."""
    adopt_settings(Settings(service_port=free_port))


def _row(name: str, rmse: float, gain: float, p_value: float | None, **more: Any) -> dict[str, Any]:
    shared = {"candidate": name, "rmse": rmse, "skill_share": gain, "coverage_share": 0.9, "interval_score": 3.25}
    return {**shared, "p_value": p_value, "fit_s": 1.5, "graph_bytes": 1000, **more}


def _record_board(version: Version, names: tuple[str, ...] = ("constant", "random_walk")) -> None:
    rows = [_row(names[0], 0.5, 0.25, 0.0125), _row(names[1], 2 / 3, 0.0, None)]
    runs.record_table(version.run_id, rows, "leaderboard.json")


# --- the document -------------------------------------------------------------------------------------------------


def test_values_of_all_kinds_are_plain() -> None:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    came = {
        "path": Path("a/b"), "at": at, "stamp": pd.Timestamp(at), "none": [pd.NaT, float("inf"), np.float32("nan")],
        "numbers": np.array([1.5, 2.0]), "count": np.int64(3), "pair": (1, "a"), 5: True,
    }  # fmt: skip
    assert json.loads(json.dumps(to_plain(came), allow_nan=False)) == {
        "path": "a/b", "at": "2024-05-01T12:00:00+00:00", "stamp": "2024-05-01T12:00:00+00:00",
        "none": [None, None, None], "numbers": [1.5, 2.0], "count": 3, "pair": [1, "a"], "5": True,
    }  # fmt: skip


def test_whatever_is_printed_beside_the_document_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with divert_text(True):
        print("a library")
        output.console.print("a table")
        sys.stdout.write("a line\n")
    print_document({"note": "Zürich"})
    said = capsys.readouterr()
    assert said.out == '{"note": "Zürich"}\n'
    assert said.err.split("\n") == ["a library", "a table", "a line", ""]


# --- the commands -------------------------------------------------------------------------------------------------


def test_the_status_of_a_case_is_one_document(call: Call, lonely: None, train_version: Train) -> None:
    versions.set_champion("aapl", train_version().version)
    said = call("status", "aapl", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert found["case"] == "aapl" and found["snapshot"]["rows"] == 300
    assert found["champion"]["version"] == "1" and found["champion"]["loss"] == 0.5
    assert datetime.fromisoformat(found["decision"]["at"]).tzinfo is not None
    assert found["decision"]["action"] == "promote"
    assert found["serving"] is None and found["service_problem"].startswith("No prediction service answers at")
    assert found["refused_outcomes"] == 0 and found["refused_outcome"] is None


def test_without_a_case_all_cases_are_in_it_and_a_broken_one_is_named(
    call: Call, lonely: None, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    adopt_settings(Settings(cases="aapl,nobody,blobs", service_port=free_port))
    said = call("status", "--json")
    assert said.code == 1
    found = json.loads(said.out)
    assert [each["case"] for each in found["cases"]] == ["aapl", "blobs"]
    assert list(found["failed"]) == ["nobody"] and found["failed"]["nobody"].startswith("There is no case 'nobody'")
    assert said.err.startswith("okawari: nobody: There is no case 'nobody'")


def test_an_unknown_case_prints_no_document(call: Call, lonely: None) -> None:
    for command in ("status", "leaderboard", "run"):
        said = call(command, "tsla", "--json")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("okawari: There is no case 'tsla'")


def test_refused_outcomes_are_in_the_status(call: Call, lonely: None) -> None:
    outcome = {"key": "B-1", "step": 1, "target": "", "value": 2.0, "at": "2024-05-01T12:00:00+00:00", "case": "aapl"}
    prediction_log.record_outcomes("aapl", [outcome])
    found = json.loads(call("status", "aapl", "--json").out)
    assert found["refused_outcomes"] == 1 and found["refused_outcome"]["key"] == "B-1"
    told = "outcomes: 1 refused; the newest: no answer of aapl before this outcome has the key 'B-1'"
    assert told in call("status", "aapl").out


def test_an_explanation_is_one_document(call: Call, lonely: None, train_version: Train) -> None:
    version = train_version()
    row = {"id": "a" * 40, "index": 0, "case": "aapl", "at": "2002-01-02T10:00:00+00:00", "mean": [1.625], "key": "K"}
    Journal(prediction_log.journal_dir("aapl"), "predictions").append(
        [{**row, "version": version.version, "graph_sha256": version.graph_sha256}]
    )
    found = json.loads(call("explain", "a" * 40, "--json").out)
    assert found["prediction"]["mean"] == [1.625] and found["prediction"]["key"] == "K"
    assert found["version"]["graph_sha256"] == version.graph_sha256
    assert found["snapshot"]["digest"] == version.snapshot_digest
    assert [each["action"] for each in found["decisions"]] == ["promote"]
    assert found["answer"] == "1.625 one step ahead"
    assert f"prediction {'a' * 40} (key K) of 2002-01-02" in call("explain", "a" * 40).out


def test_a_new_case_is_one_document(call: Call) -> None:
    days = pd.date_range("2024-01-01", periods=400).strftime("%Y-%m-%d")
    units = 100 + np.random.default_rng(1).normal(size=400).cumsum()
    pd.DataFrame({"day": days, "units": units.round(2)}).to_csv("sales.csv", index=False)
    said = call("new", "demand", "--csv", "sales.csv", "--target", "units", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["case"] == "demand" and Path(found["path"]).is_file() and found["assumptions"]["task"]


# --- the leaderboard ----------------------------------------------------------------------------------------------


def test_the_leaderboard_is_that_of_the_newest_training(call: Call, lonely: None, train_version: Train) -> None:
    first, second = train_version(growth=0.01), train_version(growth=0.02, action="keep")
    versions.set_champion("aapl", first.version)
    _record_board(first)
    _record_board(second, ("lstm", "random_walk"))
    newest = json.loads(call("leaderboard", "aapl", "--json").out)
    assert (newest["version"], newest["champion"], newest["serving"]) == ("2", "1", None)
    best, baseline = newest["candidates"]
    assert (best["candidate"], best["loss_name"], best["loss"], best["gain_share"]) == ("lstm", "RMSE", 0.5, 0.25)
    assert (best["p_value"], best["coverage_share"], best["interval_score"], best["fit_s"]) == (0.0125, 0.9, 3.25, 1.5)
    assert best["champion_version"] is None and baseline["p_value"] is None
    assert best["scores"]["graph_bytes"] == 1000
    earlier = json.loads(call("leaderboard", "aapl", "--version", "1", "--json").out)
    assert earlier["candidates"][0]["champion_version"] == "1"
    told = call("leaderboard", "aapl").out
    assert "aapl: the training of version 2" in told
    assert "The champion, version 1, is of another training (--version 1)." in told


def test_names_on_a_leaderboard_are_whole_at_80_characters(
    call: Call, lonely: None, train_version: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = train_version()
    versions.set_champion("aapl", version.version)
    names = ("gradient_boosting_with_200_trees", "gradient_boosting_with_100_trees")
    _record_board(version, names)
    monkeypatch.setattr(output.console, "width", 80)
    told = call("leaderboard", "aapl").out
    for name, numbers in zip(names, (["0.5", "25.0%", "0.0125"], ["0.66667", "0%", "-"]), strict=True):
        [line] = [line for line in told.splitlines() if name in line]
        assert line.split()[1:4] == numbers


def test_a_case_that_was_not_trained_says_what_to_do(call: Call, lonely: None) -> None:
    said = call("leaderboard", "aapl", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err == "okawari: Case aapl was not trained yet; train it with: okawari run aapl.\n"
    assert "has no registered version" in call("leaderboard", "aapl", "--version", "7").err.replace("'", "")
