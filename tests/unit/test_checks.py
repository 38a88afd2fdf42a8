"""The quality verdict: every kind of damage is named, row by row, and nothing that is data gets lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import AtLeast, Case, Column, LogRatio
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput

NOW = datetime(2003, 6, 1, tzinfo=UTC)
DAY = pd.Timestamp("2001-06-04")
"""A bad row's own day; no good row has it."""


def _row(**change: Any) -> dict[str, Any]:
    return {"date": DAY, "open": 20.5, "high": 21.0, "low": 20.0, "close": 20.8, "volume": 5e7, **change}


def _mix(readings: pd.DataFrame, *rows: dict[str, Any]) -> pd.DataFrame:
    """The readings of other days with the rows in between."""
    others = readings[readings["date"] != DAY].astype(object)
    return pd.concat([others[:9], pd.DataFrame(rows, dtype=object), others[9:]], ignore_index=True)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (_row(close=np.nan), "close is missing"),
        (_row(close=None), "close is missing"),
        (_row(close=-20.8), "close is below low; close must be above 0, came -20.8"),
        (_row(volume=0), "volume must be above 0, came 0.0"),
        (_row(high=19.0), "high is below low; high is below open; high is below close"),
        (_row(open=22.0), "high is below open"),
        (_row(close=19.9), "close is below low"),
        (_row(close="twenty"), "close is 'twenty', not a number"),
        (_row(close=True), "close is True, not a number"),
        (_row(close=DAY), "close is Timestamp('2001-06-04 00:00:00'), not a number"),
        (_row(close=[20.8]), "close is [20.8], not a number"),
        (_row(high=np.inf), "high is infinite, came inf"),
        (_row(low="-inf"), "low is infinite, came -inf; low must be above 0, came -inf"),
        (_row(date="2003-06-02"), "date lies in the future, came 2003-06-02 00:00:00"),
        (_row(date="2001-13-01"), "date is '2001-13-01', not a time"),
        (_row(date="9999-01-01"), "date is '9999-01-01', not a time"),
        (_row(date=None), "date is missing"),
        (_row(date=20010604), "date is 20010604, not a time"),
        (_row(date=36_000.5), "date is 36000.5, not a time"),
        (_row(date="", open=None), "date is missing; open is missing"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_no_other(
    row: dict[str, Any], told: str, small_case: Case, readings: pd.DataFrame
) -> None:
    checked = check_readings(_mix(readings, row), small_case, NOW)
    assert checked.refused["reason"].tolist() == [told]
    pd.testing.assert_frame_equal(checked.good, _without(readings, DAY))
    assert checked.reason == f"1 of {len(readings)} rows refused; first: {told}"


def test_a_refused_row_is_kept_as_it_came(small_case: Case, readings: pd.DataFrame) -> None:
    checked = check_readings(_mix(readings, _row(close="twenty", volume="5e7")), small_case, NOW)
    assert checked.refused.iloc[0].drop("reason").to_dict() == _row(close="twenty", volume="5e7")


def test_a_day_that_comes_twice_is_taken_once(small_case: Case, readings: pd.DataFrame) -> None:
    checked = check_readings(_mix(readings, _row(), _row(close=20.9)), small_case, NOW)
    assert checked.refused["reason"].tolist() == ["date appears more than once, came 2001-06-04 00:00:00"]
    assert _day(checked.good)["close"].tolist() == [20.8]


@pytest.mark.parametrize("damage", [{"close": -1.0}, {"close": None}, {"high": 1.0}, {"volume": "many"}])
def test_a_damaged_first_row_does_not_push_out_its_repaired_twin(
    damage: dict[str, Any], small_case: Case, readings: pd.DataFrame
) -> None:
    checked = check_readings(_mix(readings, _row(**damage), _row()), small_case, NOW)
    assert len(checked.refused) == 1
    assert "more than once" not in checked.refused["reason"].iloc[0]
    assert _day(checked.good)["close"].tolist() == [20.8]


def test_a_table_without_a_needed_column_is_refused_whole(small_case: Case, readings: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match=r"lacks \['low', 'volume'\]; case aapl needs .* found \['date', 'open'"):
        check_readings(readings.drop(columns=["volume", "low"]), small_case, NOW)


def test_clean_readings_pass_unchanged_and_in_order(small_case: Case, readings: pd.DataFrame) -> None:
    shuffled = readings.sample(frac=1, random_state=1)[["volume", "low", "date", "close", "open", "high"]]
    before = shuffled.copy(deep=True)
    checked = check_readings(shuffled.assign(note="x"), small_case, NOW)
    pd.testing.assert_frame_equal(checked.good, _without(readings))
    assert checked.refused.empty
    assert checked.reason == f"all {len(readings)} rows are valid"
    pd.testing.assert_frame_equal(shuffled, before)


def test_text_from_a_csv_reads_like_the_numbers_it_holds(small_case: Case, readings: pd.DataFrame) -> None:
    checked = check_readings(readings.map(str).astype(object), small_case, NOW)
    pd.testing.assert_frame_equal(checked.good, _without(readings))


def test_times_with_a_zone_are_taken_as_utc(small_case: Case) -> None:
    row = _row(date="2001-06-04T22:30:00-05:00")
    checked = check_readings(pd.DataFrame([row]), small_case, NOW)
    assert checked.good["date"].tolist() == [pd.Timestamp("2001-06-05 03:30")]


def test_the_whole_bundled_history_is_data() -> None:
    case = load_case("aapl")
    checked = check_readings(case.source.read(), case, NOW.replace(year=2026))
    assert checked.refused.empty
    assert len(checked.good) == 3270


@pytest.mark.parametrize(
    ("column", "good", "bad", "told"),
    [
        (Column(name="close", minimum=0), 0, -0.1, "close must be at least 0, came -0.1"),
        (Column(name="close", maximum=9), 9, 9.1, "close must be at most 9, came 9.1"),
        (Column(name="close", above=0), 0.1, 0, "close must be above 0, came 0.0"),
        (Column(name="close", integer=True), 7, 7.5, "close must be a whole number, came 7.5"),
    ],
)
def test_a_columns_bounds_hold_to_the_very_edge(
    column: Column, good: float, bad: float, told: str, small_case: Case
) -> None:
    step = LogRatio(name="step", numerator="close", denominator="close", lag=1)
    case = replace(small_case, columns=(column,), rules=(), features=(step,))
    raw = pd.DataFrame({"date": ["2001-06-04", "2001-06-05"], "close": [good, bad]})
    checked = check_readings(raw, case, NOW)
    assert checked.good["close"].tolist() == [good]
    assert checked.refused["reason"].tolist() == [told]


def test_a_day_on_which_nothing_moved_is_data(small_case: Case) -> None:
    raw = pd.DataFrame([_row(open=20.0, high=20.0, low=20.0, close=20.0)])
    assert check_readings(raw, small_case, NOW).refused.empty


def test_a_rule_forgives_rounding_up_to_its_slack(small_case: Case) -> None:
    case = replace(small_case, rules=(AtLeast(greater="high", smaller="low", slack_share=0.01),))
    raw = pd.DataFrame([_row(high=99.5, low=100.0), _row(date="2001-06-05", high=98.5, low=100.0)])
    checked = check_readings(raw, case, NOW)
    assert checked.good["high"].tolist() == [99.5]
    assert checked.refused["reason"].tolist() == ["high is below low"]


def test_an_empty_table_gives_an_empty_verdict(small_case: Case, readings: pd.DataFrame) -> None:
    checked = check_readings(readings[:0], small_case, NOW)
    assert len(checked.good) == len(checked.refused) == 0


_cells = st.one_of(
    st.none(),
    st.floats(-10, 30),
    st.sampled_from([np.inf, -np.inf, np.nan, True, "12.5", "text", "", "1e400", b"3", 10**30, pd.NaT]),
)
_times = st.one_of(
    st.none(),
    st.dates(date(2001, 1, 1), date(2001, 1, 6)),
    st.sampled_from(["2001-01-02", "2001-01-02T12:00:00+05:00", "02/01/2001", "text", "", 5, 2.5, True, "2099-01-01"]),
)
_rows = st.fixed_dictionaries({"date": _times, **dict.fromkeys(("open", "high", "low", "close", "volume"), _cells)})


@settings(max_examples=60, deadline=None)
@given(damaged=st.lists(_rows, max_size=6))
def test_good_and_refused_rows_are_all_rows_and_the_good_ones_are_fit(damaged: list[dict[str, Any]]) -> None:
    case = load_case("aapl")
    clean = [_row(), _row(date=DAY + pd.Timedelta(days=1))]
    raw = pd.DataFrame([*damaged, *clean], dtype=object)
    checked = check_readings(raw, case, NOW)
    good, refused = checked.good, checked.refused
    assert len(good) + len(refused) == len(raw)
    assert all(refused["reason"])
    assert {row["date"] for row in clean} <= set(good["date"])
    assert good["date"].is_monotonic_increasing
    assert good["date"].is_unique
    assert (good["date"] >= "2001-01-01").all()
    assert np.isfinite(good[list(case.column_names)].to_numpy()).all()
    assert (good["high"] >= good["low"]).all()
    again = check_readings(good, case, NOW)
    pd.testing.assert_frame_equal(again.good, good)


def _without(readings: pd.DataFrame, *days: pd.Timestamp) -> pd.DataFrame:
    """The readings without some days, as the checks give them: numbers as float64."""
    kept = readings[~readings["date"].isin(days)].reset_index(drop=True)
    return kept.astype({"date": "datetime64[ns]", "volume": "float64"})


def _day(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["date"] == DAY]


def test_a_time_beyond_what_nanoseconds_reach_is_damage_and_not_an_error(
    small_case: Case, readings: pd.DataFrame
) -> None:
    coarse = readings.assign(date=readings["date"].astype("datetime64[us]"))
    coarse.loc[3, "date"] = pd.Timestamp("9999-01-01").as_unit("us")
    checked = check_readings(coarse, small_case, NOW)
    assert checked.refused["reason"].tolist() == ["date is Timestamp('9999-01-01 00:00:00'), not a time"]
    assert len(checked.good) == len(readings) - 1


def test_a_row_without_most_of_its_values_gets_a_short_reason() -> None:
    digits = load_case("digits")
    raw = digits.source.read().head(2).astype(object)
    raw.iloc[1, 3:60] = None
    checked = check_readings(raw, digits, datetime(2024, 1, 1, tzinfo=UTC))
    assert checked.refused["reason"].tolist() == ["pixel_03 and 56 other columns are missing"]
