"""Guesses: which task, columns, sizes and candidates a table leads to, and what is no case is told so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Change, Classify, Column, Forecast, LogRatio, Regress
from okawari.data.files import TableFile
from okawari.dataset.splits import MIN_TRAIN, size_parts
from okawari.errors import InvalidInput
from okawari.scaffold.infer import Guess, Wish, guess_case
from okawari.scaffold.sizing import (
    FEWEST_RECORDS,
    count_fewest_readings,
    measure_frequency,
    plan_drift,
    plan_reach,
    plan_records_gate,
    plan_series_gate,
)
from tests.tables import draw_counts, draw_sales, draw_things

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _guess(table: pd.DataFrame, target: str, time: str | None = None) -> Guess:
    as_csv = table.astype(object).where(table.notna(), None).map(lambda value: None if value is None else str(value))
    return guess_case(as_csv, TableFile(Path("t.csv"), time=None), Wish(name="mine", target=target, time=time), NOW)


def _refuse(table: pd.DataFrame, target: str, time: str | None = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        _guess(table, target, time)
    return str(refused.value)


# --- a forecast ---------------------------------------------------------------------------------------------------


def test_numbers_above_zero_in_the_order_of_time_are_a_forecast() -> None:
    found = _guess(draw_sales(400), "units").case
    assert found.task == Forecast(target="units", history=30, horizon=5)
    assert found.time == "date"
    assert found.source == TableFile(Path("t.csv"), time="date", rename=(("Unit Price", "unit_price"),))
    assert found.columns == (
        Column(name="units", above=0),
        Column(name="unit_price", above=0, description="'Unit Price' in the table"),
        Column(name="promo"),
    )
    assert found.features[1] == LogRatio(
        name="unit_price_growth", numerator="unit_price", denominator="unit_price", lag=1
    )
    assert found.features[2] == Change(name="promo_change", column="promo")
    assert [recipe.name for recipe in found.candidates] == [
        "random_walk",
        "seasonal_naive_7",
        "sarima_211_1007",
        "random_forest_100",
        "boosting_3",
        "lstm_2x32",
    ]


def test_a_count_that_is_zero_on_some_days_is_a_forecast_of_differences() -> None:
    table = draw_counts(400)
    found = _guess(table, "units")
    n_none = int((table["units"] == 0).sum())
    assert found.case.task == Forecast(target="units", history=30, horizon=5, learns="difference")
    assert f"'units' is a number that is 0 or below in {n_none} of 400 rows" in found.assumed["task"]
    assert "so models learn differences, not growth" in found.assumed["task"]
    assert found.case.columns == (
        Column(name="units", minimum=0),
        Column(name="price", above=0, description="'Price' in the table"),
        Column(name="balance"),
    )
    assert "'units' is never below 0, so `minimum=0`" in found.assumed["columns"]
    assert found.case.features == (
        Change(name="units_change", column="units"),
        LogRatio(name="price_growth", numerator="price", denominator="price", lag=1),
        Change(name="balance_change", column="balance"),
    )
    assert [recipe.name for recipe in found.case.candidates] == [
        "random_walk",
        "seasonal_naive_7",
        "sarima_011_0117",
        "linear_1",
        "random_forest_100",
        "boosting_3",
        "lstm_2x32",
    ]


def test_a_target_of_both_signs_has_no_least_value() -> None:
    found = _guess(draw_counts(400), "balance").case
    assert found.task == Forecast(target="balance", history=30, horizon=5, learns="difference")
    assert found.column("balance") == Column(name="balance") and found.column("units") == Column(name="units")


def test_a_flag_is_forecast_where_its_time_is_named() -> None:
    assert isinstance(_guess(draw_sales(200), "promo", "date").case.task, Forecast)


@pytest.mark.parametrize("freq", ["D", "W", "MS", "QS", "h", "B"])
@pytest.mark.parametrize("n", [97, 120, 179, 300, 1000])
def test_models_of_differences_see_a_whole_season_of_them(n: int, freq: str) -> None:
    times = pd.Series(pd.date_range("1980-01-01", periods=n, freq=freq))
    table = draw_counts(n).assign(day=times.dt.strftime("%Y-%m-%dT%H:%M"))
    case, season = _guess(table, "units").case, measure_frequency(times).season
    assert isinstance(case.task, Forecast)
    lags = [recipe.lags for recipe in case.candidates if hasattr(recipe, "lags")]
    is_seasonal = any(recipe.name.startswith("seasonal") for recipe in case.candidates)
    assert not is_seasonal or (case.task.history > season and min(lags) >= season)
    assert max(lags) < case.task.history


def test_what_a_forecast_cannot_use_is_left_out_with_its_reason() -> None:
    table = draw_sales(200).assign(store="north", row=range(200), late=[None] * 192 + [1.5, 2.5] * 4)
    left_out = _guess(table, "units").left_out
    assert set(left_out) == {"note", "store", "row", "late"}
    assert left_out["store"] == "always 'north'"
    assert left_out["row"] == "counts the rows"
    assert left_out["late"] == "empty in 192 of 200 rows"


def test_a_named_time_wins_over_another_column_of_times() -> None:
    table = draw_sales(200)
    table["delivered"] = table["date"]
    assert _guess(table, "units", "delivered").case.time == "delivered"
    unnamed = _guess(table, "units")
    assert isinstance(unnamed.case.task, Regress)
    assert "one of several columns of times; name one with --time to forecast" in unnamed.assumed["time"]
    assert unnamed.case.time == "date" and unnamed.case.column("delivered").date


def test_years_can_be_named_as_times() -> None:
    table = pd.DataFrame({"year": range(1900, 2020), "units": np.linspace(1, 3, 120)})
    found = _guess(table, "units", "year").case
    assert (found.task.history, found.time) == (12, "year")  # type: ignore[union-attr]


def test_damaged_rows_are_counted_and_do_not_spoil_the_guess() -> None:
    table = draw_sales(200).astype(object)
    table.loc[3, "units"], table.loc[9, "date"] = "n.a.", "soon"
    found = _guess(table, "units")
    assert isinstance(found.case.task, Forecast)
    assert found.rows == "2 of 200 rows refused; first: units is 'n.a.', not a number"


def test_a_rhythm_is_told_as_a_person_reads_it() -> None:
    times = pd.Series(pd.date_range("2024-01-01", periods=9, freq="min"))
    assert measure_frequency(times).text == "one every 00:01:00, which has no known season"
    days = pd.Series(pd.date_range("2024-01-01", periods=9, freq="13D"))
    assert measure_frequency(days).text.startswith("one every 13 days")
    assert measure_frequency(days.iloc[::-1]) == measure_frequency(days)


@pytest.mark.parametrize("freq", ["D", "W", "MS", "QS", "h", "B", "13D"])
@pytest.mark.parametrize("n", [97, 101, 120, 179, 300, 1000])
def test_a_forecast_of_any_length_and_rhythm_can_be_split(n: int, freq: str) -> None:
    times = pd.Series(pd.date_range("1770-01-01", periods=n, freq=freq))
    season = measure_frequency(times).season
    assert season == {"D": 7, "W": 52, "MS": 12, "QS": 4, "h": 24, "B": 5, "13D": 0}[freq]
    reach = plan_reach(n, season)
    assert 1 <= reach.horizon <= 5
    assert 8 <= reach.history <= max(30, season)
    assert reach.season in (0, season)
    assert reach.season <= reach.history
    case = _guess(draw_sales(n).assign(date=times.dt.strftime("%Y-%m-%dT%H:%M")), "units").case
    n_train, *_ = size_parts(n - reach.history - reach.horizon + 1, case)
    assert n_train >= MIN_TRAIN


def test_the_fewest_rows_are_enough_and_one_less_is_not() -> None:
    fewest = count_fewest_readings()
    assert isinstance(_guess(draw_sales(fewest), "units").case.task, Forecast)
    assert f"a forecast needs at least {fewest}" in _refuse(draw_sales(fewest - 1), "units", "date")
    n = FEWEST_RECORDS
    for target in ("size", "price"):
        assert not _guess(draw_things(n), target).case.layout.in_order
        assert f"There are {n - 1} usable rows" in _refuse(draw_things(n - 1), target)


def test_parts_grow_with_the_rows_up_to_what_a_gate_takes_by_itself() -> None:
    assert (plan_series_gate(100).holdout, plan_series_gate(100).calibration) == (20, 30)
    assert (plan_series_gate(9000).holdout, plan_series_gate(9000).calibration) == (120, 250)
    assert plan_records_gate(442, labelled=False).calibration == 88
    assert plan_records_gate(10**6, labelled=True).holdout == 1000
    assert (plan_drift(60).current, plan_drift(200).current, plan_drift(5000).current) == (20, 40, 60)


# --- records ------------------------------------------------------------------------------------------------------


def test_words_are_labels_of_rows_that_stand_for_themselves() -> None:
    found = _guess(draw_things(300), "size")
    assert found.case.task == Classify(target=Column(name="size", labels=("big", "small")))
    assert found.case.time == ARRIVED
    assert found.case.column("colour").labels == ("blue", "green", "red")
    assert found.left_out == {"id": "300 different texts, an identifier; --key id makes it the key of the rows"}
    assert [recipe.name for recipe in found.case.candidates] == [
        "constant",
        "linear_1",
        "random_forest_100",
        "boosting_3",
        "mlp_64_64",
    ]


def test_a_few_whole_numbers_are_labels_and_many_are_an_amount() -> None:
    table = draw_things(300).assign(grade=np.arange(300) % 3, count=np.arange(300) % 40)
    assert _guess(table, "grade").case.target.labels == ("0", "1", "2")
    assert isinstance(_guess(table, "count").case.task, Regress)


def test_one_number_spelled_in_two_ways_is_no_label() -> None:
    table = draw_things(300).assign(grade=["1", "1.0", "2"] * 100)
    assert isinstance(_guess(table, "grade").case.task, Regress)


def test_numbers_without_times_are_regressed_on_the_other_columns() -> None:
    found = _guess(draw_things(300), "price")
    assert found.case.task == Regress(target=Column(name="price"))
    assert found.case.column_names == ("width", "colour", "size")
    assert [recipe.name for recipe in found.case.candidates] == [
        "constant",
        "linear",
        "linear_10",
        "random_forest_100",
        "boosting_3",
        "mlp_64_64",
    ]


def test_times_that_order_no_forecast_order_the_records() -> None:
    table = draw_sales(200)
    flag = _guess(table, "promo")
    assert isinstance(flag.case.task, Classify)
    assert flag.case.time == "date" and "date" not in flag.case.column_names
    assert "the target is 0 or 1; name this column with --time to forecast" in flag.assumed["time"]
    labels = _guess(table.assign(kind=["a", "b"] * 100), "kind")
    assert labels.case.time == "date" and "labels" in labels.assumed["time"]
    repeated = table.assign(date=[*table["date"][:100], *table["date"][:100]])
    assert "repeats a time in 100 of 200 rows" in _guess(repeated, "units").assumed["time"]


# --- what is no case ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "target", "time", "told"),
    [
        ({}, "unit", None, r"There is no column 'unit'; there are ['date', 'units', "),
        ({}, "units", "day", r"There is no column 'day'; there are"),
        ({"units": ["7", "many"] * 100}, "units", None, "'units' mixes numbers and other values, such as 'many'"),
        ({"units": [7] * 200}, "units", None, "Column 'units' is '7' in every row, so there is nothing to learn"),
        ({"units": [None] * 200}, "units", None, "Column 'units' holds no values"),
        (
            {},
            "note",
            None,
            "200 different words in 200 rows, all different, such as 'note 0'; a label is one of at most 30",
        ),
        ({"note": [f"n{i % 50}" for i in range(200)]}, "note", None, "50 different words in 200 rows, names or free"),
        (
            {"units": [f"{i},5" for i in range(200)]},
            "units",
            None,
            "such as '0,5'; a label is one of at most 30, and a",
        ),
        ({}, "date", None, "Column 'date' holds times; a target is numbers or labels"),
        ({"units": ["a", "b"] * 100}, "units", "date", "Column 'units' holds words; a forecast needs numbers. Leave"),
        ({}, "units", "units", "is --time and --target; name two columns"),
        ({"date": [f"day {i}" for i in range(200)]}, "units", "date", "cannot be read as times in 200 of 200 rows"),
        ({"date": range(200)}, "units", "date", "cannot be read as times in 200 of 200 rows, such as '0'; give"),
        ({"date": ["2024-01-01"] * 200}, "units", "date", "repeats a time in 199 of 200 rows"),
        (
            {"date": ["01/02/2024", "01/03/2024"] * 100},
            "units",
            "date",
            "read in 2 ways: %d/%m/%Y or %m/%d/%Y; nothing in the column decides it",
        ),
    ],
)
def test_what_is_no_case_is_told_what_to_do(changed: dict[str, Any], target: str, time: str | None, told: str) -> None:
    assert told in _refuse(draw_sales(200).assign(**changed), target, time)


def test_three_rows_are_too_few_whatever_they_hold() -> None:
    told = _refuse(draw_sales(3), "units")
    assert told == (
        "There are 3 usable rows; a forecast needs at least 27, a number or a label 30, for training and holdout. "
        "Collect more."
    )


def test_a_table_without_anything_to_predict_from_is_refused() -> None:
    told = _refuse(draw_things(200)[["id", "price"]], "price")
    assert "No column is left to predict 'price' from: 'id': 200 different texts, an identifier; --key id makes" in told
