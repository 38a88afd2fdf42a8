"""Several targets and what turned out: the right quarter, the right target, and no credit for what nobody promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.cases.loader import load_case
from okawari.dataset.windows import cut_windows
from okawari.evaluation.ground_truth import match_targets

CASE = load_case("cpi")
READINGS = CASE.source.read()
WINDOWS = cut_windows(READINGS, CASE)
LAST = len(READINGS) - 1
NOTHING_TOLD = pd.DataFrame({"id": [], "index": [], "step": [], "target": [], "value": [], "label": []})
MEAN = [0.2, 0.1, 0.7, 0.5, 0.1, 0.8, 0.1]  # rising, 0.5, moderate


def _answer(row: int, **change: Any) -> dict[str, Any]:
    """An answer from the window that ends with a reading, as it is on record."""
    usual = {
        "id": f"for {row}", "index": 0, "as_of": f"{READINGS['date'][row]:%Y-%m-%d}",
        "level": READINGS["cpi"][row], "version": "3", "source": "predict", "mean": MEAN,
        "lower": [0.0] * 3 + [-1.0] + [0.0] * 3, "upper": [0.0] * 3 + [2.0] + [0.0] * 3,
    }  # fmt: skip
    return {**usual, **change}


def _match(*answers: dict[str, Any], told: pd.DataFrame = NOTHING_TOLD) -> dict[str, pd.DataFrame]:
    return match_targets(CASE, pd.DataFrame(answers, columns=list(_answer(9))), told, READINGS)


def _told(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{"index": 0, "step": 1, "label": None, "value": None, **row} for row in rows])


def _find_truth(row: int) -> np.ndarray:
    return np.asarray(WINDOWS.r_BH[row - CASE.history + 1])


def test_the_truth_of_each_target_is_where_it_stands_after_the_next_reading() -> None:
    found, true_H = _match(_answer(100)), _find_truth(100)
    assert list(found) == ["trend", "acceleration", "regime"]
    (trend,), (acceleration,), (regime,) = (rows.to_dict("records") for rows in found.values())
    assert (trend["truth"], regime["truth"]) == (true_H[:3].argmax(), true_H[4:].argmax())
    assert (trend["hit"], regime["hit"]) == (trend["truth"] == 2, regime["truth"] == 1)
    assert acceleration["truth"] == pytest.approx(true_H[3])
    assert (acceleration["prediction"], acceleration["lower"], acceleration["upper"]) == (0.5, -1.0, 2.0)
    assert (acceleration["as_of"], acceleration["version"]) == (READINGS["date"][100], "3")


def test_an_answer_whose_quarter_is_still_to_come_is_left_out() -> None:
    assert all(rows.empty for rows in _match(_answer(LAST)).values())


def test_a_told_outcome_counts_before_the_reading_comes_for_its_own_target_alone() -> None:
    found = _match(_answer(LAST), told=_told({"id": f"for {LAST}", "target": "regime", "label": "moderate"}))
    assert found["regime"][["truth", "hit"]].to_numpy().tolist() == [[1.0, 1.0]]
    assert found["trend"].empty and found["acceleration"].empty


def test_a_told_outcome_goes_before_the_reading_and_the_last_one_told_before_all() -> None:
    first, last = ({"id": "for 100", "target": "acceleration", "value": value} for value in (7.0, 8.0))
    found = _match(_answer(100), told=_told(first, last))
    assert found["acceleration"]["truth"].tolist() == [8.0]
    assert found["trend"]["truth"].tolist() == [_find_truth(100)[:3].argmax()]


def test_a_told_outcome_counts_also_if_a_newer_answer_for_the_quarter_was_given_none() -> None:
    answers = _answer(LAST, id="asked first"), _answer(LAST, id="asked again")
    found = _match(*answers, told=_told({"id": "asked first", "target": "trend", "label": "falling"}))
    assert found["trend"]["truth"].tolist() == [0.0]


@pytest.mark.parametrize("other", [{"id": "another"}, {"index": 1}])
def test_an_outcome_for_something_else_is_not_taken(other: dict[str, Any]) -> None:
    found = _match(_answer(LAST), told=_told({"id": f"for {LAST}", "target": "trend", "label": "falling", **other}))
    assert found["trend"].empty


@pytest.mark.parametrize(("factor", "counts"), [(1.0, True), (1.00009, True), (1.0002, False)])
def test_a_what_if_with_a_wrong_level_proves_nothing(factor: float, counts: bool) -> None:
    found = _match(_answer(100, level=READINGS["cpi"][100] * factor))
    assert all(len(rows) == counts for rows in found.values())


def test_an_answer_from_our_own_readings_counts_although_they_were_revised_since() -> None:
    found = _match(_answer(100, level=READINGS["cpi"][100] * 1.01, source="forecast"))
    assert all(len(rows) == 1 for rows in found.values())


def test_the_newest_answer_counts_once_per_quarter_and_version() -> None:
    answers = [
        _answer(101, mean=[*MEAN[:3], 1.0, *MEAN[4:]]),
        _answer(100, mean=[*MEAN[:3], 2.0, *MEAN[4:]]),
        _answer(101, mean=[*MEAN[:3], 3.0, *MEAN[4:]]),
        _answer(101, mean=[*MEAN[:3], 4.0, *MEAN[4:]], version="4"),
        _answer(101, mean=[*MEAN[:3], 5.0, *MEAN[4:]], level=1.0),
    ]
    found = _match(*answers)["acceleration"]
    assert found["prediction"].tolist() == [2.0, 3.0, 4.0]
    assert found["version"].tolist() == ["3", "3", "4"]
    assert found["as_of"].is_monotonic_increasing


def test_answers_of_an_older_width_are_left_out() -> None:
    found = _match(_answer(100, mean=[0.5, 0.5]), _answer(101))
    assert found["trend"]["as_of"].tolist() == [READINGS["date"][101]]


def test_an_answer_without_interval_has_no_bounds_but_counts() -> None:
    (row,) = _match(_answer(100, lower=None, upper=None))["acceleration"].to_dict("records")
    assert np.isnan(row["lower"]) and np.isnan(row["upper"]) and row["prediction"] == 0.5


@pytest.mark.parametrize("as_of", [None, "2000-01-01", "someday"])
def test_an_answer_for_no_known_quarter_is_left_out(as_of: str | None) -> None:
    assert all(rows.empty for rows in _match(_answer(100, as_of=as_of)).values())


@pytest.mark.parametrize("row", [0, 7])
def test_a_quarter_with_too_few_before_it_has_no_truth(row: int) -> None:
    assert all(rows.empty for rows in _match(_answer(row)).values())


def test_where_nothing_was_answered_the_columns_are_there_still() -> None:
    for rows in _match().values():
        assert len(rows) == 0
        assert set(rows.columns) == {"as_of", "version", "prediction", "lower", "upper", "width_factor", "truth", "hit"}
