"""8 bits against 32: what the table tells of numbers and labels, and that small graphs are shown but not served."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput
from okawari.evaluation.variants import Compared, compare_candidates, find_candidates, find_readings
from okawari.graph.inference import Graph
from okawari.models.constant import Constant
from okawari.models.dense import Mlp
from okawari.models.fit_context import no_progress
from okawari.models.linear import Linear
from okawari.registry import runs

if TYPE_CHECKING:
    from tests.conftest import Said

Call = Callable[..., "Said"]


def _compare(case: Case, *names: str) -> dict[str, Compared]:
    found = compare_candidates(case, find_candidates(case, names), lambda _: no_progress)
    return {each.candidate: each for each in found}


def test_a_linear_model_of_eleven_weights_is_compared_and_stays_in_fp32(home: Path) -> None:
    found = _compare(load_case("diabetes"), "linear")["linear"].comparison
    assert [row["variant"] for row in found.table] == ["fp32", "uint8", "int8"]
    assert [row["parameters"] for row in found.table] == ["float32", "uint8", "int8"]
    assert (list(found.contents), found.decision.action) == (["fp32"], "fp32")
    assert "largest weight has 11 numbers" in found.decision.reason
    full, uint8, _ = found.table
    assert uint8["size_share"] == uint8["n_bytes"] / full["n_bytes"] > 1
    assert f"uint8 takes {uint8['size_share']:.0%}" in found.decision.reason
    for row in found.table:
        assert row["r2_lost"] == pytest.approx(full["r2"] - row["r2"])
        assert (row["loss_name"], row["mse"]) == ("RMSE", pytest.approx(row["loss"] ** 2))
        assert not {"accuracy", "accuracy_lost", "flips_share"} & set(row)


def test_a_classifier_of_large_weights_tells_accuracy_flips_and_what_is_lost(home: Path) -> None:
    case = replace(load_case("blobs"), candidates=(Constant(), Mlp(hidden=(32, 32), epochs=3)))
    found = _compare(case)
    assert [list(each.comparison.contents) for each in found.values()] == [["fp32"], ["fp32", "uint8", "int8"]]
    comparison = found["mlp_32_32"].comparison
    full, uint8, _ = comparison.table
    assert uint8["size_share"] < 1 and uint8["loss_name"] == "log loss"
    assert full["accuracy_lost"] == full["flips_share"] == 0
    assert abs(uint8["accuracy_lost"]) <= uint8["flips_share"] + 1e-12
    assert not {"r2", "mse"} & set(uint8)
    assert Graph.load(comparison.contents["uint8"]).labels["variant"] == "uint8"


def test_before_the_first_ingest_the_source_is_compared_on(home: Path) -> None:
    case = load_case("diabetes")
    readings = find_readings(case)
    assert len(readings) == 442 and not readings.isna().any(axis=None)
    assert set(np.unique(readings["sex"])) == {"one", "two"}


def test_a_candidate_that_the_case_does_not_have_is_refused() -> None:
    case = replace(load_case("diabetes"), candidates=(Constant(), Linear()))
    with pytest.raises(InvalidInput, match="no candidate 'tree'; it has constant, linear"):
        find_candidates(case, ("linear", "tree"))
    assert find_candidates(case, ()) == case.candidates
    assert find_candidates(case, ("linear",)) == (Linear(),)


def test_the_command_shows_the_table_and_its_verdict(call: Call) -> None:
    said = call("quantize", "diabetes", "--candidate", "linear", "--candidate", "constant")
    assert said.code == 0
    for word in (
        "linear, fitted on 236 rows, scored on 90 held-out rows",
        "of fp32",
        "R2 lost",
        "uint8",
        "fp32 serves: Only fp32",
    ):
        assert word in said.out
    assert "constant, fitted on 236 rows, scored on 90 held-out rows: Only fp32, because it has no weights." in said.out


def test_where_mlflow_answers_the_table_is_kept_there(call: Call, mlflow_database: Path) -> None:
    said = call("quantize", "diabetes", "--candidate", "linear", "--candidate", "constant")
    run_id = said.out.strip().rpartition("/")[2]
    table = json.loads(runs.load_file(run_id, "variants.json"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    told = [(row["candidate"], row["variant"]) for row in rows]
    assert told == [("linear", "fp32"), ("linear", "uint8"), ("linear", "int8"), ("constant", "fp32")]
    assert rows[0]["r2"] > 0.4 and rows[0]["r2_lost"] == 0
    assert json.loads(runs.load_file(run_id, "decisions.json"))["linear"].startswith("fp32: Only fp32")


def test_where_no_server_answers_the_table_is_shown_and_not_kept(
    call: Call, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKAWARI_MLFLOW_URL", f"http://127.0.0.1:{free_port}")
    said = call("quantize", "diabetes", "--candidate", "constant")
    assert said.code == 0
    assert "constant, fitted on 236" in said.out and "Not recorded. No MLflow server answers" in said.out
