"""A target of truth values: in scored files, in tables of true values, in the terminal, and in a guessed case."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.cli.answers import show_answer
from okawari.clients.wire import Label, ModelInfo, Outcome, PredictAnswer
from okawari.data.datasets import Blobs
from okawari.data.files import TableFile
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.constant import Constant
from okawari.models.cores import AffineCore
from okawari.scaffold.infer import Wish, guess_case
from okawari.scoring.job import score_file
from okawari.scoring.model import Model
from okawari.scoring.outcomes_file import record_file
from okawari.storage import prediction_log

CASE = Case(
    name="members", title="Members", source=Blobs(), time=ARRIVED,
    columns=(Column(name="months", minimum=0), Column(name="active", boolean=True)),
    task=Classify(target=Column(name="stayed", boolean=True)), candidates=(Constant(),),
)  # fmt: skip


@pytest.fixture
def model() -> Model:
    """A model by which exactly the active members stay."""
    weights = np.zeros((2, 3))
    weights[0, 1] = weights[1, 2] = 9.0
    return Model("1", Graph.load(build_graph(AffineCore(weights, np.zeros(2), reads="z"), CASE, None)))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_scored_file_holds_truth_values(model: Model, tmp_path: Path, kind: str) -> None:
    (tmp_path / "in.csv").write_text("months,active\n40,True\n4,0\n")
    target = tmp_path / f"out.{kind}"
    assert score_file(CASE, model, tmp_path / "in.csv", target).answered == 2
    scored = pd.read_parquet(target) if kind == "parquet" else pd.read_csv(target)
    assert scored["label"].dtype == bool and scored["label"].tolist() == [True, False]
    assert scored["p_true"].tolist() == pytest.approx([1.0, 0.0], abs=0.01)
    if kind == "csv":
        assert target.read_text().splitlines()[1].split(",")[1] == "true"


def test_true_values_are_read_from_a_table_as_the_scored_file_has_them(
    home: Path, model: Model, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("months,active\n40,True\n4,0\n")
    score_file(CASE, model, tmp_path / "in.csv", tmp_path / "out.parquet", journal=True)
    truth = pd.read_parquet(tmp_path / "out.parquet")[["id", "index", "label"]].rename(columns={"label": "stayed"})
    truth.assign(stayed=~truth["stayed"]).to_parquet(tmp_path / "truth.parquet")
    assert record_file(CASE, tmp_path / "truth.parquet").accepted == 2
    assert prediction_log.load_outcomes("members").sort_values("index")["label"].tolist() == ["false", "true"]


def test_the_terminal_shows_the_truth_value_and_its_probability(capsys: pytest.CaptureFixture[str]) -> None:
    info = {"version": "1", "candidate": "linear", "variant": "fp32", "graph_sha256": "", "run_id": ""}
    model = ModelInfo(case="members", snapshot_version=1, trained_until="2024", **info)
    label = Label(label=True, probabilities={"false": 0.25, "true": 0.75})
    show_answer(PredictAnswer[Label](id="a", model=model, predictions=[label]))
    assert any({"0", "true", "0.75"} <= set(line.split()) for line in capsys.readouterr().out.splitlines())


def test_an_outcome_of_a_truth_value_is_no_number() -> None:
    kept = [Outcome(value=value).model_dump(mode="json")["value"] for value in (True, "true", 1, 0.5)]
    assert kept == [True, "true", 1, 0.5] and [type(each) for each in kept[:2]] == [bool, str]


def test_a_guessed_case_has_a_target_of_truth_values(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    table = pd.DataFrame({"months": random.uniform(0, 60, 200).round(1)})
    table["stayed"] = np.where(table["months"] + random.normal(0, 9, 200) > 30, "True", "False")
    table.to_csv(tmp_path / "members.csv", index=False)
    source = TableFile(tmp_path / "members.csv", time=None)
    case = guess_case(
        source.read(), source, Wish(name="members", target="stayed"), datetime(2026, 1, 1, tzinfo=UTC)
    ).case
    assert case.target.boolean and case.target.labels == ("false", "true")
