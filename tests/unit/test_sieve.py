"""The sieve: the same rows are refused for the same reasons, however the file is cut into chunks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import Case
from okawari.data.chunked_reader import LOOK_AHEAD, Chunk
from okawari.scoring.row_filter import filter_rows, show_refused

NOW = datetime(2003, 6, 1, tzinfo=UTC)


def _rows(readings: pd.DataFrame, order: list[int]) -> pd.DataFrame:
    """Readings in some order, numbered from 1 as a file's rows are."""
    return readings.iloc[order].set_axis(pd.RangeIndex(1, len(order) + 1))


def _filter_file(rows: pd.DataFrame, case: Case, size: int, **options: Any) -> tuple[list[int], dict[int, str]]:
    """Row numbers that pass, and the reasons of the others, over chunks of `size`."""
    passed: list[int] = []
    reasons: dict[int, str] = {}
    last_at = None
    for start in range(0, len(rows), size):
        following = rows.iloc[start + size : start + size + LOOK_AHEAD]
        chunk = Chunk(rows.iloc[start : start + size], {}, following)
        filtered = filter_rows(chunk, case, NOW, last_at=last_at, **options)
        passed += [int(number) for number in filtered.good.index]
        reasons |= filtered.reasons
        last_at = filtered.good[case.time].iloc[-1] if len(filtered.good) else last_at
    return passed, reasons


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_however_the_file_is_cut_the_same_rows_pass_in_the_order_of_time(order: list[int], size: int) -> None:
    from okawari.cases.loader import load_case

    case = load_case("aapl")
    rows = _rows(_READINGS, order)
    passed, reasons = _filter_file(rows, case, size)
    assert (passed, reasons) == _filter_file(rows, case, len(order))
    assert rows.loc[passed, "date"].is_monotonic_increasing and rows.loc[passed, "date"].is_unique
    assert sorted([*passed, *reasons]) == list(range(1, len(order) + 1))


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        ([0, 1, 2, 3, 4], []),
        ([0, 1, 1, 2], [3]),  # a repeat
        ([0, 1, 2, 3, 1, 4], [5]),  # a late row
        ([0, 1, 3, 2, 4], [4]),  # two rows in each other's place: the second one is late
        ([0, 1, 20, 2, 3, 4], [3]),  # a time far ahead, which must not make all others late
        ([20, 0, 1, 2], [1]),
        ([0, 1, 20, 2], [4]),  # one row alone is no proof against another
        ([0, 1, 2, 3, 4, 1, 2, 5], [6, 7]),  # an old piece once more
        ([0, 1, 4, 2, 3, 4, 5], [3]),  # ahead of a row that comes in its place later
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 30])
def test_a_wrong_time_costs_its_own_row_and_no_other(
    size: int, order: list[int], refused: list[int], small_case: Case
) -> None:
    assert sorted(_filter_file(_rows(_READINGS, order), small_case, size)[1]) == refused


def _make_readings() -> pd.DataFrame:
    close = 20 + np.arange(21) / 8
    frame = pd.DataFrame({"date": pd.bdate_range("2001-06-01", periods=21), "open": close, "high": close + 1})
    return frame.assign(low=close - 1, close=close, volume=1e7)


_READINGS = _make_readings()


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_a_late_and_a_repeated_row_are_told_apart_across_borders(size: int, small_case: Case) -> None:
    _, reasons = _filter_file(_rows(_READINGS, [0, 1, 5, 5, 3, 6]), small_case, size)
    assert reasons == {
        4: "date appears more than once, came 2001-06-08 00:00:00",
        5: "date is not later than 2001-06-08 00:00:00, an earlier row, came 2001-06-06 00:00:00",
    }


def test_a_damaged_row_does_not_push_out_its_repaired_twin(small_case: Case) -> None:
    rows = _rows(_READINGS, [0, 1, 1, 2]).astype(object)
    rows.loc[2, "close"] = "?"
    passed, reasons = _filter_file(rows, small_case, 2)
    assert (passed, reasons) == ([1, 3, 4], {2: "close is '?', not a number"})


def test_rows_that_are_answered_by_themselves_may_come_in_any_order(small_case: Case) -> None:
    passed, reasons = _filter_file(_rows(_READINGS, [5, 3, 3, 6]), small_case, 2, ordered=False)
    assert (passed, reasons) == ([1, 2, 3, 4], {})


def test_a_number_that_no_graph_can_read_is_refused(small_case: Case) -> None:
    rows = _rows(_READINGS, [0, 1, 2])
    rows.loc[2, "volume"] = 1e39
    passed, reasons = _filter_file(rows, small_case, 3)
    assert (passed, reasons) == ([1, 3], {2: "volume is too large for float32, came 1e+39"})


def test_refused_rows_are_shown_as_they_came_in_the_order_of_the_file(small_case: Case) -> None:
    rows = _rows(_READINGS, [0, 1, 2, 3]).astype(object)
    rows.loc[2, ["close", "volume"]] = ["?", None]
    rows = rows.drop(index=3)
    chunk = Chunk(rows, {3: "the line has 1 fields"})
    shown = show_refused(chunk, filter_rows(chunk, small_case, NOW).reasons)
    assert shown["row"].tolist() == [2, 3]
    assert shown["close"].tolist() == ["?", None]
    assert shown["volume"].tolist() == [None, None]
    assert shown["open"].tolist() == ["20.125", None]
    assert shown["reason"].tolist() == ["close is '?', not a number; volume is missing", "the line has 1 fields"]
