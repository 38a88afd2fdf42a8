"""Joining answers to what turned out true: the right day, the right version, and no credit for what nobody promised."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from okawari.case import Case
from okawari.evaluation.ground_truth import COLUMNS, match_truth

CLOSES = {"2008-01-02": 27.8, "2008-01-03": 27.9, "2008-01-04": 25.7, "2008-01-07": 25.4}
READINGS = pd.DataFrame({"date": pd.to_datetime(list(CLOSES)), "close": list(CLOSES.values())})
NOTHING_TOLD = pd.DataFrame({"id": [], "index": [], "step": [], "target": [], "value": [], "label": []})


def _answer(as_of: str | None, **change: Any) -> dict[str, Any]:
    """An answer at one of the days, as it is on record."""
    day = (as_of or "")[:10]
    usual = {
        "id": f"for {day}",
        "index": 0,
        "as_of": as_of,
        "level": CLOSES.get(day, 1.0),
        "version": "3",
        "source": "predict",
    }
    return {**usual, "mean": [26.0, 26.1], "lower": [25.0, 24.0], "upper": [27.0, 28.0], **change}


def _match(case: Case, *answers: dict[str, Any], told: pd.DataFrame = NOTHING_TOLD) -> pd.DataFrame:
    return match_truth(case, pd.DataFrame(answers), told, READINGS)


def _told(**row: Any) -> pd.DataFrame:
    return pd.DataFrame([{"index": 0, "step": 1, "target": "", "label": None, **row}])


def test_the_truth_of_an_answer_is_the_next_reading(small_case: Case) -> None:
    (row,) = _match(small_case, _answer("2008-01-03")).to_dict("records")
    assert row == {
        "as_of": pd.Timestamp("2008-01-03"),
        "version": "3",
        "prediction": 26.0,
        "lower": 25.0,
        "upper": 27.0,
        "width_factor": 1.0,
        "level": 27.9,
        "truth": 25.7,
    }


def test_the_truth_of_a_later_step_is_the_reading_of_that_step(small_case: Case) -> None:
    answer = _answer("2008-01-03", width_factor=[1.0, 2.5])
    (row,) = match_truth(small_case, pd.DataFrame([answer]), NOTHING_TOLD, READINGS, step=2).to_dict("records")
    assert (row["prediction"], row["lower"], row["upper"], row["width_factor"]) == (26.1, 24.0, 28.0, 2.5)
    assert row["truth"] == CLOSES["2008-01-07"]
    assert match_truth(small_case, pd.DataFrame([answer]), NOTHING_TOLD, READINGS, step=3).empty


def test_the_next_reading_is_the_next_trading_day_not_the_next_date(small_case: Case) -> None:
    assert _match(small_case, _answer("2008-01-04"))["truth"].tolist() == [25.4]


def test_an_answer_whose_truth_is_still_to_come_is_left_out(small_case: Case) -> None:
    assert _match(small_case, _answer("2008-01-07")).empty


def test_a_told_outcome_counts_before_the_reading_comes(small_case: Case) -> None:
    told = _told(id="for 2008-01-07", value=26.3)
    assert _match(small_case, _answer("2008-01-07"), told=told)["truth"].tolist() == [26.3]


def test_a_told_outcome_goes_before_the_reading(small_case: Case) -> None:
    told = _told(id="for 2008-01-03", value=26.3)
    assert _match(small_case, _answer("2008-01-03"), told=told)["truth"].tolist() == [26.3]


@pytest.mark.parametrize("other", [{"id": "another"}, {"index": 1}, {"step": 2}])
def test_an_outcome_for_something_else_is_not_taken(other: dict[str, Any], small_case: Case) -> None:
    told = _told(**{"id": "for 2008-01-03", "value": 26.3, **other})
    assert _match(small_case, _answer("2008-01-03"), told=told)["truth"].tolist() == [25.7]


@pytest.mark.parametrize(
    ("level", "counts"), [(27.9, True), (27.9 * 1.00009, True), (27.9 * 1.0002, False), (1.0, False)]
)
def test_a_what_if_with_a_wrong_level_proves_nothing(level: float, counts: bool, small_case: Case) -> None:
    assert len(_match(small_case, _answer("2008-01-03", level=level))) == counts


def test_a_what_if_proves_nothing_even_if_an_outcome_is_told_for_it(small_case: Case) -> None:
    told = _told(id="for 2008-01-03", value=26.3)
    assert _match(small_case, _answer("2008-01-03", level=99.0), told=told).empty


def test_the_newest_answer_counts_once_per_day_and_version(small_case: Case) -> None:
    answers = [
        _answer("2008-01-03", mean=[1.0]),
        _answer("2008-01-02", mean=[2.0]),
        _answer("2008-01-03", mean=[3.0]),
        _answer("2008-01-03", mean=[4.0], version="4"),
        _answer("2008-01-03", mean=[5.0], level=99.0),
    ]
    matched = _match(small_case, *answers)
    assert matched["prediction"].tolist() == [2.0, 3.0, 4.0]
    assert matched["version"].tolist() == ["3", "3", "4"]
    assert matched["as_of"].is_monotonic_increasing


def test_an_answer_without_interval_has_no_bounds_but_counts(small_case: Case) -> None:
    matched = _match(small_case, _answer("2008-01-03", lower=None, upper=None))
    assert matched["truth"].tolist() == [25.7]
    assert matched[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("as_of", [None, "2008-01-05", "2030-01-01", "someday", "0001-01-01"])
def test_an_answer_for_no_known_day_is_left_out(as_of: str | None, small_case: Case) -> None:
    matched = _match(small_case, _answer(as_of, level=27.8), _answer("2008-01-02"))
    assert matched["as_of"].tolist() == [pd.Timestamp("2008-01-02")]


@pytest.mark.parametrize("written", ["2008-01-03T00:00:00", "2008-01-03 00:00", "2008-01-03T00:00:00Z", "20080103"])
def test_each_client_may_write_a_day_in_its_own_way(written: str, small_case: Case) -> None:
    matched = _match(small_case, _answer("2008-01-02"), _answer(written, level=27.9))
    assert matched["truth"].tolist() == [27.9, 25.7]


@pytest.mark.parametrize("answers", [[], [_answer(None)], [_answer("2008-01-05")]])
def test_where_nothing_can_be_checked_the_columns_are_there_still(
    answers: list[dict[str, Any]], small_case: Case
) -> None:
    predictions = pd.DataFrame(answers, columns=list(_answer(None)))
    matched = match_truth(small_case, predictions, NOTHING_TOLD, READINGS)
    assert (len(matched), tuple(matched.columns)) == (0, COLUMNS)
