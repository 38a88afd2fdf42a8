"""Columns of words with empty fields, new words and truth values: in files, in training, and in rows to score."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.data.column_remarks import describe_truths
from okawari.data.datasets import Blobs
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.dataset.changes import count_filled
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import fit_contender
from okawari.graph.inference import Graph
from okawari.models.constant import Constant
from okawari.models.fit_context import Workbench, no_progress
from okawari.models.linear import Linear
from okawari.scoring import job
from okawari.scoring.job import score_file
from okawari.scoring.model import Model

NOW = datetime(2024, 5, 1, tzinfo=UTC)
AGE, PLAN = Column(name="age"), Column(name="plan", labels=("basic", "pro"), missing="allow")
ACTIVE = Column(name="active", boolean=True, missing="allow")
CASE = Case(
    name="members", title="Members", source=Blobs(), time=ARRIVED, columns=(AGE, PLAN, ACTIVE),
    task=Classify(target=Column(name="outcome", labels=("left", "stayed"))), candidates=(Constant(),),
)  # fmt: skip


def _draw(n: int) -> pd.DataFrame:
    """Members, of whom those without a plan leave; a third has none, and a tenth does not say whether it is active."""
    random = np.random.default_rng(8)
    plan = random.choice(np.array(["basic", "pro", ""]), n)
    active = random.choice(np.array(["True", "False", ""]), n, p=[0.5, 0.4, 0.1])
    outcome = np.where(plan == "", "left", "stayed")
    return pd.DataFrame({"age": random.uniform(18, 80, n).round(1), "plan": plan, "active": active, "outcome": outcome})


@pytest.fixture
def members(tmp_path: Path) -> pd.DataFrame:
    """The members as a file has them."""
    _draw(500).to_csv(tmp_path / "members.csv", index=False)
    return TableFile(tmp_path / "members.csv", time=None).read()


@pytest.fixture
def model(members: pd.DataFrame) -> Model:
    good = CASE.layout.stamp_records(check_readings(members, CASE, NOW).good, CASE.time)
    split = split_windows(cut_windows(good, CASE), CASE)
    graph = fit_contender(Linear(penalty=1.0), CASE, split, no_progress, Workbench()).graph
    return Model("1", Graph.load(graph))


def test_an_empty_field_is_a_missing_word_where_the_case_says_so(members: pd.DataFrame) -> None:
    checked = check_readings(members, CASE, NOW)
    assert checked.refused.empty and checked.new_words == {}
    assert [each or "" for each in checked.good["plan"]] == _draw(500)["plan"].tolist()
    closed = replace(CASE, columns=tuple(replace(column, missing="refuse") for column in CASE.columns))
    refused = check_readings(members, closed, NOW).refused
    assert len(refused) == ((_draw(500)["plan"] == "") | (_draw(500)["active"] == "")).sum()
    assert any("plan is missing" in reason for reason in refused["reason"])


def test_rows_without_a_word_are_answered_by_what_the_model_learned_about_them(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("age,plan,active\n40,,True\n40,basic,\n40,pro,0\n40,,\n")
    scored = score_file(CASE, model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (scored.answered, scored.refused, scored.new_words) == (4, 0, {})
    assert pd.read_csv(tmp_path / "out.csv")["label"].tolist() == ["left", "stayed", "stayed", "left"]


def test_a_scored_file_with_new_words_says_how_many_rows_have_them(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CHUNK_ROWS", 3)
    plans = ["basic", "family", "zero", "pro", "family", "", "pro"]
    pd.DataFrame({"age": 40.0, "plan": plans, "active": "true"}).to_csv(tmp_path / "in.csv", index=False)
    scored = score_file(CASE, model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (scored.answered, scored.new_words, scored.first_new_words) == (7, {"plan": 3}, {"plan": "family"})
    assert scored.reason.endswith(
        "; 3 rows have a word of plan that the model does not know, such as 'family'; they are answered as any word "
        "that it has not learned"
    )


def test_truth_values_as_digits_are_said() -> None:
    as_words = pd.DataFrame({"age": [1.0], "plan": ["pro"], "active": ["True"], "outcome": ["left"]})
    assert [*describe_truths(as_words, CASE)] == []
    for digits in (["1", "0", ""], [1, 0, 1], [1.0, 0.0, np.nan]):
        said = [*describe_truths(pd.DataFrame({"active": digits, "age": 1}), CASE)]
        assert said == ["active is written as 0 and 1, which are read as false and true"]


def test_only_readings_that_change_no_stored_value_count_as_filled_in() -> None:
    at = pd.date_range("2024-01-01", periods=3)
    held = pd.DataFrame({"arrived": at, "age": [1.0, 2, 3], "plan": None, "active": "true", "outcome": "left"})
    filled = held.assign(plan="pro")
    assert count_filled(CASE, filled, held) == 3
    assert count_filled(CASE, filled.assign(age=[1.0, 2, 4]), held) == 2
    assert count_filled(CASE, filled, held.assign(plan=["basic", None, None])) == 0
    assert count_filled(CASE, filled, None) == 0
