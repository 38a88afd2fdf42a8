"""Scored rows on record: each with an id and its own key, once, however often the job was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Serving
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput
from okawari.evaluation.ground_truth import match_records, match_truth
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, ConstantCore, Interval
from okawari.scoring import job
from okawari.scoring.job import score_file
from okawari.scoring.model import Model
from okawari.security.answer_ids import AnswerIds
from okawari.storage import prediction_log

_LATER = "2999-01-01T00:00:00+00:00"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "CHUNK_ROWS", 50)


@pytest.fixture
def shop(home: Path) -> Case:
    """Points with a key; an answer of the service holds at most 32 of them."""
    return replace(load_case("blobs"), name="shop", key="order_id", serving=Serving(max_instances=32))


@pytest.fixture
def model(shop: Case) -> Model:
    sides = AffineCore(np.array([[2.0, 0], [-2.0, 0], [-2.0, 0], [2.0, 0]]), np.zeros(4), reads="z")
    return Model("3", Graph.load(build_graph(sides, shop, None)), "uint8")


def _draw(n_rows: int) -> pd.DataFrame:
    draw = np.random.default_rng(4)
    points = {"x": draw.normal(size=n_rows), "y": draw.normal(size=n_rows)}
    return pd.DataFrame({"order_id": [f"{place:04}" for place in range(n_rows)], **points})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    _draw(170).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


def test_every_answered_row_is_on_record_under_the_id_that_the_output_names(
    shop: Case, model: Model, source: Path, tmp_path: Path
) -> None:
    scored = score_file(shop, model, source, tmp_path / "out.parquet", journal=True)
    assert scored.answered == 170
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert list(written)[:2] == ["row", "order_id"] and list(written)[-2:] == ["id", "index"]
    stored = prediction_log.load_predictions("shop")
    both = written.merge(stored, on=["id", "index"], validate="one_to_one")
    assert len(stored) == len(both) == 170
    assert both["key"].tolist() == both["order_id"].tolist() == _draw(170)["order_id"].tolist()
    assert np.array_equal(np.stack(both["mean"])[:, 0], both["p_north_east"])
    assert (
        set(stored["source"]) == {"score"} and set(stored["variant"]) == {"uint8"} and set(stored["version"]) == {"3"}
    )
    assert set(stored["graph_sha256"]) == {model.graph.sha256}
    counts = written.groupby("id")["index"].agg(["count", "max"])
    assert counts["count"].max() == 32 and (counts["max"] == counts["count"] - 1).all()
    assert all(AnswerIds("shop").count_instances(each) == counts["count"][each] for each in counts.index)


def test_without_the_option_nothing_is_recorded_and_the_key_is_carried(
    shop: Case, model: Model, source: Path, tmp_path: Path
) -> None:
    score_file(shop, model, source, tmp_path / "out.csv")
    written = pd.read_csv(tmp_path / "out.csv", dtype={"order_id": str})
    assert written["order_id"].tolist() == _draw(170)["order_id"].tolist()
    assert "id" not in written and prediction_log.load_predictions("shop").empty


class _Killed(BaseException):
    """Ends a job at once, as a kill would."""


def _break_off(monkeypatch: pytest.MonkeyPatch, at: int, run: Callable[[], object]) -> int:
    synced = 0

    def sync(_: int) -> None:
        nonlocal synced
        synced += 1
        if synced == at:
            raise _Killed

    with monkeypatch.context() as patched, suppress(_Killed):
        patched.setattr(os, "fsync", sync)
        run()
    return synced


@pytest.mark.slow
def test_a_job_that_is_killed_at_any_write_records_each_row_once(
    shop: Case, model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_writes = _break_off(monkeypatch, 0, lambda: score_file(shop, model, source, tmp_path / "whole.csv"))
    for at in range(1, n_writes + 1):
        case = replace(shop, name=f"shop{at}")
        run = partial(score_file, case, model, source, tmp_path / f"out{at}.csv", journal=True)
        assert _break_off(monkeypatch, at, run) == at
        run()
        stored = prediction_log.load_predictions(case.name)
        written = pd.read_csv(tmp_path / f"out{at}.csv")
        assert sorted(stored["key"]) == _draw(170)["order_id"].tolist()
        assert len(written.merge(stored, on=["id", "index"])) == 170


def test_a_job_goes_on_only_as_it_began(
    shop: Case, model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = partial(score_file, shop, model, source, tmp_path / "out.csv")
    _break_off(monkeypatch, 8, lambda: run(journal=True))
    with pytest.raises(InvalidInput, match="unfinished output of another job: journal True instead of False"):
        run()


def test_a_row_without_a_key_is_answered_and_one_with_a_wrong_key_is_refused(
    shop: Case, model: Model, tmp_path: Path
) -> None:
    frame = _draw(4)
    frame["order_id"] = ["A", "", "x" * 201, "  "]
    frame.to_csv(tmp_path / "in.csv", index=False)
    scored = score_file(shop, model, tmp_path / "in.csv", tmp_path / "out.csv", journal=True)
    assert (scored.answered, scored.refused) == (2, 2)
    refused = pd.read_csv(tmp_path / "out.refused.csv")
    assert refused["reason"].tolist() == [
        "order_id has 201 characters; a key has at most 200",
        "order_id is blank; a key is a text or an integer",
    ]
    assert refused["order_id"].map(len).tolist() == [201, 2]
    assert prediction_log.load_predictions("shop")["key"].tolist() == ["A", None]


def test_a_file_without_the_column_of_the_key_is_answered(shop: Case, model: Model, tmp_path: Path) -> None:
    _draw(60)[["x", "y"]].assign(x=lambda frame: frame["x"].where(frame.index != 3, 1e300)).to_csv(
        tmp_path / "in.csv", index=False
    )
    scored = score_file(shop, model, tmp_path / "in.csv", tmp_path / "out.csv", journal=True)
    assert scored.answered + scored.refused == 60
    assert prediction_log.load_predictions("shop")["key"].isna().all()


def test_integers_of_a_parquet_file_are_keys_as_digits(shop: Case, model: Model, tmp_path: Path) -> None:
    _draw(3).assign(order_id=pd.array([17, None, 2**60], dtype="Int64")).to_parquet(tmp_path / "in.parquet")
    scored = score_file(shop, model, tmp_path / "in.parquet", tmp_path / "out.csv", journal=True)
    # A column of integers with a hole arrives as floats, which have lost digits of the last one.
    assert (scored.answered, scored.refused) == (2, 1)
    assert prediction_log.load_predictions("shop")["key"].tolist() == ["17", None]
    _draw(2).assign(order_id=[17, 2**60]).to_parquet(tmp_path / "whole.parquet")
    score_file(shop, model, tmp_path / "whole.parquet", tmp_path / "whole.csv", journal=True)
    assert prediction_log.load_predictions("shop")["key"].tolist()[-1] == str(2**60)


def test_a_key_with_the_name_of_a_column_of_the_output_is_refused(shop: Case, model: Model, source: Path) -> None:
    with pytest.raises(InvalidInput, match=r"Case\.key is 'label', and the output has a column of that name"):
        score_file(replace(shop, key="label"), model, source, source.with_name("out.csv"))


def test_the_last_of_several_rows_with_one_key_takes_the_outcome(shop: Case, model: Model, tmp_path: Path) -> None:
    _draw(70).assign(order_id="A").to_csv(tmp_path / "in.csv", index=False)
    score_file(shop, model, tmp_path / "in.csv", tmp_path / "out.csv", journal=True)
    last = pd.read_csv(tmp_path / "out.csv").iloc[-1]
    newest = prediction_log.find_keyed("shop", ["A"])["A"][-1]
    assert (newest.id, newest.index) == (last["id"], last["index"])


# --- outcomes of scored rows --------------------------------------------------------------------------------------


def test_an_outcome_by_key_judges_a_scored_record(shop: Case, model: Model, source: Path, tmp_path: Path) -> None:
    score_file(shop, model, source, tmp_path / "out.csv", journal=True)
    outcome = {"key": "0007", "step": 1, "target": "", **shop.target.split_truth("south_west"), "at": _LATER}
    outcome["case"] = "shop"
    prediction_log.record_outcomes("shop", [outcome])
    pairs = match_records(
        prediction_log.load_predictions("shop"), prediction_log.load_outcomes("shop"), shop.task.heads[0]
    )
    assert pairs["truth"].tolist() == [2.0]


def test_stored_readings_are_no_truth_for_scored_rows_of_a_series_and_outcomes_are(
    home: Path, small_case: Case, readings: pd.DataFrame, tmp_path: Path
) -> None:
    graph = build_graph(ConstantCore(np.full(3, 0.01)), small_case, Interval(0.9, np.full(3, 0.05)))
    readings[:30].to_csv(tmp_path / "in.csv", index=False)
    scored = score_file(
        small_case, Model("1", Graph.load(graph)), tmp_path / "in.csv", tmp_path / "out.csv", journal=True
    )
    predictions = prediction_log.load_predictions("aapl")
    assert len(predictions) == scored.answered == 19
    assert predictions["as_of"].tolist()[-1] == f"{readings['date'][29]:%Y-%m-%d}"
    assert predictions["lower"].map(len).tolist() == [3] * 19
    assert match_truth(small_case, predictions, prediction_log.load_outcomes("aapl"), readings).empty
    named = {"id": predictions["id"].iloc[-1], "index": int(predictions["index"].iloc[-1])}
    outcome = {**named, "step": 1, "target": "", "value": 2.0, "at": _LATER, "case": "aapl"}
    prediction_log.record_outcomes("aapl", [outcome])
    for known in (readings, readings[:20]):  # also where its own reading was never ingested
        pairs = match_truth(small_case, predictions, prediction_log.load_outcomes("aapl"), known)
        assert pairs[["as_of", "truth"]].values.tolist() == [[readings["date"][29], 2.0]]
