"""The user's own key: what it may be, and which prediction an outcome by key is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bentos.requests import Reader
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput
from okawari.schema.keys import MAX_KEY_CHARS, TAKEN_NAMES, read_key
from okawari.storage import keyed_outcomes, prediction_log
from okawari.storage.journal import Journal

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
Answer = Callable[..., None]


# --- what a key is ------------------------------------------------------------------------------------------------


@given(st.integers(-(10**30), 10**30))
def test_an_integer_is_the_same_key_as_its_digits(number: int) -> None:
    assert read_key(number) == read_key(str(number)) == str(number)


@given(st.text(min_size=1, max_size=MAX_KEY_CHARS).filter(str.strip))
def test_a_text_is_taken_unchanged(text: str) -> None:
    assert read_key(text) == text


@pytest.mark.parametrize("missing", [None, "", float("nan")])
def test_an_empty_field_is_no_key(missing: object) -> None:
    assert read_key(missing) is None


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (True, "is True"),
        (1.5, "is '1.5'"),
        (float(2**53), "a key is a text or an integer"),
        ("x" * 201, "has 201 characters; a key has at most 200"),
        ("  ", "is blank"),
        (["A"], "a key is a text or an integer"),
    ],
)
def test_anything_else_is_refused(came: object, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_key(came)


@pytest.mark.parametrize("name", ["bmi", "progression", *TAKEN_NAMES])
def test_a_case_refuses_a_key_that_means_something_else(name: str) -> None:
    with pytest.raises(InvalidInput, match=rf"Case\.key is '{name}'; a key is neither a column of the case nor"):
        replace(load_case("diabetes"), key=name)


def test_a_case_refuses_the_time_and_a_name_that_no_column_may_have() -> None:
    with pytest.raises(InvalidInput, match=r"Case\.key is 'date'"):
        replace(load_case("aapl"), key="date")
    with pytest.raises(InvalidInput, match=r"Case\.key is 'Order ID'; use lower-case letters"):
        replace(load_case("aapl"), key="Order ID")


def test_a_key_is_no_input() -> None:
    keyed: Case = replace(load_case("diabetes"), key="patient")
    assert "patient" not in (*keyed.reading_names, *keyed.question_names, *keyed.feature_names)
    assert keyed.describe()["key"] == "patient"


# --- outcomes in a request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case_name", "which", "value"),
    [("aapl", {"step": 2}, 430.5), ("cpi", {"target": "trend"}, "falling"), ("diabetes", {}, 100.0)],
)
@pytest.mark.parametrize("field", ["key", "own_key"])
def test_outcomes_of_every_kind_of_task_may_name_a_key(
    case_name: str, which: dict[str, Any], value: float | str, field: str
) -> None:
    reader = Reader(replace(load_case(case_name), key="own_key"))
    by_key, by_id = {field: 17, **which, "value": value}, {"id": "a" * 40, "index": 1, **which, "value": value}
    first, second = reader.read_outcomes(json.dumps({"outcomes": [by_key, by_id]}).encode())
    assert first["key"] == "17" and "id" not in first
    assert (second["id"], second["index"]) == ("a" * 40, 1) and "key" not in second
    assert first.items() >= which.items()


# --- outcomes by key ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(home: Path) -> Path:
    return prediction_log.journal_dir("shop")


@pytest.fixture
def answer(folder: Path) -> Answer:
    """Journal predictions as the service does."""

    def write(answer_id: str, *keys: str | None, minute: int = 0) -> None:
        writer = Journal(folder, "predictions")
        writer.append([_predict(answer_id, index, key, minute) for index, key in enumerate(keys)])
        writer.close()

    return write


def _predict(answer_id: str, index: int, key: str | None, minute: int) -> dict[str, Any]:
    at = (NOON + timedelta(minutes=minute)).isoformat()
    row = {"id": answer_id, "index": index, "case": "shop", "at": at, "mean": [1.0], "version": "1", "key": key}
    return {**row, "source": "predict"}


def _send(folder: Path, value: float, minute: int, **named: Any) -> None:
    at = (NOON + timedelta(minutes=minute)).isoformat()
    writer = Journal(folder, "outcomes")
    writer.append([{**named, "step": 1, "target": "", "value": value, "at": at, "case": "shop"}])
    writer.close()


def _load() -> list[tuple[str, int, float]]:
    rows = prediction_log.load_outcomes("shop")
    return list(zip(rows["id"], rows["index"], rows["value"], strict=True))


def test_an_outcome_by_key_is_about_the_prediction_of_that_key(folder: Path, answer: Answer) -> None:
    answer("a" * 40, "A-17", None, "A-18")
    _send(folder, 5.0, 1, key="A-18")
    prediction_log.absorb_journal("shop")
    assert _load() == [("a" * 40, 2, 5.0)]
    assert prediction_log.load_predictions("shop")["key"].tolist() == ["A-17", None, "A-18"]


def test_it_is_the_newest_prediction_before_the_outcome(folder: Path, answer: Answer) -> None:
    for minute, answer_id in ((0, "a" * 40), (10, "b" * 40), (20, "c" * 40)):
        answer(answer_id, "A-17", minute=minute)
    _send(folder, 5.0, 15, key="A-17")
    prediction_log.absorb_journal("shop")
    assert _load() == [("b" * 40, 0, 5.0)]


def test_an_outcome_by_key_can_be_corrected_by_key_and_by_id(folder: Path, answer: Answer) -> None:
    answer("a" * 40, "A-17")
    for minute, named in ((1, {"key": "A-17"}), (2, {"key": "A-17"}), (3, {"id": "a" * 40, "index": 0})):
        _send(folder, float(minute), minute, **named)
    prediction_log.absorb_journal("shop")
    assert _load() == [("a" * 40, 0, 3.0)]
    assert prediction_log.load_outcome_history("shop")["value"].tolist() == [1.0, 2.0, 3.0]


def test_a_prediction_that_is_still_in_an_open_segment_is_found(folder: Path) -> None:
    writer = Journal(folder, "predictions", segment_s=3600)
    writer.append([_predict("a" * 40, 0, "A-17", 0)])
    _send(folder, 5.0, 1, key="A-17")
    prediction_log.absorb_journal("shop")
    assert prediction_log.load_predictions("shop").empty
    writer.close()
    prediction_log.absorb_journal("shop")
    assert _load() == [("a" * 40, 0, 5.0)]


def test_an_unknown_key_is_recorded_as_refused_and_stops_no_other_outcome(folder: Path, answer: Answer) -> None:
    answer("a" * 40, "A-17", minute=5)
    _send(folder, 1.0, 1, key="A-17")  # before its prediction
    _send(folder, 2.0, 6, key="B-1")
    _send(folder, 3.0, 6, key="A-17")
    prediction_log.absorb_journal("shop")
    assert _load() == [("a" * 40, 0, 3.0)]
    assert keyed_outcomes.count_refused("shop") == 2
    newest = keyed_outcomes.find_newest_refused("shop")
    assert newest is not None
    assert (newest["key"], newest["value"]) == ("B-1", 2.0)
    assert newest["reason"].startswith("no answer of shop before this outcome has the key 'B-1'; send the key with")


def test_a_segment_that_is_absorbed_twice_adds_nothing(folder: Path, answer: Answer) -> None:
    answer("a" * 40, "A-17")
    _send(folder, 1.0, 1, key="A-17")
    _send(folder, 2.0, 1, key="B-1")
    [kept, lost] = sorted((folder / "outcomes").glob("*.jsonl"))
    copies = [(path, path.read_bytes()) for path in (kept, lost)]
    prediction_log.absorb_journal("shop")
    for path, content in copies:  # as if the process had died before it deleted them
        path.write_bytes(content)
    prediction_log.absorb_journal("shop")
    assert len(prediction_log.load_outcome_history("shop")) == 1
    assert keyed_outcomes.count_refused("shop") == 1


def test_without_outcomes_by_key_nothing_is_refused(folder: Path, answer: Answer) -> None:
    answer("a" * 40, "A-17")
    _send(folder, 1.0, 1, id="a" * 40, index=0)
    prediction_log.absorb_journal("shop")
    assert keyed_outcomes.count_refused("shop") == 0 and keyed_outcomes.find_newest_refused("shop") is None
    assert _load() == [("a" * 40, 0, 1.0)]
