"""Guesses: which task, columns, sizes and candidates a table leads to, and what is no case is told so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Change, Classify, Column, Forecast, LogRatio, Regress
from okawari.data.files import TableFile
from okawari.dataset.folds import plan_folds
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.scaffold.infer import Guess, Wish, guess_case
from okawari.scaffold.reach import Frequency, Reach, count_fewest_readings, measure_frequency, plan_reach
from okawari.scaffold.sizing import (
    FEWEST_RECORDS,
    plan_drift,
    plan_folds_gate,
    plan_series_gate,
    plan_timed_gate,
)
from tests.drawn_tables import draw_revenues
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
    assert found.task == Forecast(target="units", history=30, horizon=28)
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
        "mean_level",
        "drift_walk",
        "ets_7",
        "theta_7",
        "auto_arima_7",
        "sarima_011_0117",
        "linear_cv",
        "random_forest_100",
        "combination",
    ]


def test_a_count_that_is_zero_on_some_days_is_a_forecast_of_differences() -> None:
    table = draw_counts(400)
    found = _guess(table, "units")
    n_none = int((table["units"] == 0).sum())
    assert found.case.task == Forecast(target="units", history=30, horizon=28, learns="difference")
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
        "mean_level",
        "drift_walk",
        "ets_7",
        "theta_7",
        "auto_arima_7",
        "sarima_011_0117",
        "linear_cv",
        "random_forest_100",
        "combination",
    ]


@pytest.mark.parametrize("n", [60, 200])
def test_demand_that_is_often_zero_gets_a_method_of_its_own(n: int) -> None:
    table = draw_sales(n)
    rare = table.assign(units=np.where(np.arange(n) % 3 == 1, 0, table["units"]))
    assert "croston" in [recipe.name for recipe in _guess(rare, "units").case.candidates]
    assert "'units' is often 0" in _guess(rare, "units").assumed["candidates"]
    seldom = table.assign(units=np.where(np.arange(n) % 9 == 1, 0, table["units"]))
    for other in (seldom, table, rare.assign(units=rare["units"] - 1)):
        assert "croston" not in [recipe.name for recipe in _guess(other, "units").case.candidates]


def test_boosting_and_networks_are_candidates_of_long_series_only() -> None:
    short, long = (_guess(draw_sales(n), "units").case.candidates for n in (120, 1000))
    more = {recipe.name for recipe in long} - {recipe.name for recipe in short}
    assert more == {"light_gbm_15", "lstm_2x32"}


def test_a_target_of_both_signs_has_no_least_value() -> None:
    found = _guess(draw_counts(400), "balance").case
    assert found.task == Forecast(target="balance", history=30, horizon=28, learns="difference")
    assert found.column("balance") == Column(name="balance") and found.column("units") == Column(name="units")


def test_a_flag_is_forecast_where_its_time_is_named() -> None:
    assert isinstance(_guess(draw_sales(200), "promo", "date").case.task, Forecast)


@pytest.mark.parametrize("draw", [draw_sales, draw_counts])
@pytest.mark.parametrize("freq", ["D", "W", "MS", "QS", "h", "B"])
@pytest.mark.parametrize("n", [100, 120, 179, 300, 1000])
def test_models_see_a_whole_season_of_moves(n: int, freq: str, draw: Callable[[int], pd.DataFrame]) -> None:
    times = pd.Series(pd.date_range("1980-01-01", periods=n, freq=freq))
    table = draw(n)
    table[table.columns[0]] = times.dt.strftime("%Y-%m-%dT%H:%M")
    case, season = _guess(table, "units").case, measure_frequency(times).season
    assert isinstance(case.task, Forecast)
    lags = [recipe.lags for recipe in case.candidates if hasattr(recipe, "lags")]
    is_seasonal = any(recipe.name.startswith("seasonal") for recipe in case.candidates)
    assert is_seasonal == (n >= 3 * season)
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


def _count(n: int, freq: str) -> Reach:
    return plan_reach(
        np.ones(n, bool), measure_frequency(pd.Series(pd.date_range("1970-01-01", periods=99, freq=freq)))
    )


@pytest.mark.parametrize(
    ("freq", "horizon", "n"),
    [("MS", 12, 120), ("QS", 8, 97), ("D", 28, 300), ("h", 24, 300), ("30min", 24, 400), ("W", 13, 144), ("B", 5, 60)],
)
def test_the_horizon_is_that_of_the_frequency_where_the_table_has_room(freq: str, horizon: int, n: int) -> None:
    assert _count(n, freq).horizon == _count(9 * n, freq).horizon == horizon
    assert 1 <= _count(n // 2, freq).horizon < horizon


def test_the_history_holds_more_seasons_as_the_table_does() -> None:
    months = [_count(n, "MS").history for n in (36, 37, 119, 120, 179, 180, 1000)]
    assert months == [12, 13, 13, 25, 25, 37, 37]
    assert [_count(n, "W").history for n in (155, 156, 519, 520, 9000)] == [15, 53, 53, 105, 105]
    assert [_count(n, "13D").history for n in (27, 60, 100, 220, 900)] == [3, 7, 10, 22, 30]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_steps_without_a_level_shorten_the_horizon(share: float) -> None:
    known_N = np.random.default_rng(1).random(1000) >= share
    reach = plan_reach(known_N, Frequency(text="", season=7, horizon=28))
    assert reach.n_windows - reach.n_judged - 2 * reach.horizon >= known_N.sum() // 4 or reach.horizon == 1
    assert reach.horizon < plan_reach(np.ones(1000, bool), Frequency(text="", season=7, horizon=28)).horizon == 28


@pytest.mark.parametrize("freq", ["D", "W", "MS", "QS", "h", "B", "13D"])
@pytest.mark.parametrize("n", [27, 36, 60, 100, 120, 179, 1000])
def test_a_forecast_of_any_length_and_rhythm_has_parts_as_described(n: int, freq: str) -> None:
    times = pd.Series(pd.date_range("1770-01-01", periods=n, freq=freq))
    table = draw_sales(n).assign(date=times.dt.strftime("%Y-%m-%dT%H:%M"))
    found = _guess(table, "units")
    reach = _count(n, freq)
    assert (found.case.history, found.case.horizon) == (reach.history, reach.horizon)
    frame = table.rename(columns={"Unit Price": "unit_price"}).assign(date=times)
    folds = plan_folds(cut_windows(frame, found.case), found.case)
    assert f"The newest {len(folds.judged)} of {reach.n_windows} windows judge the candidates" in found.assumed["gate"]
    first = folds.parts[0]
    assert f"on {len(first.train)} windows, with {len(first.validation)} for early" in found.assumed["gate"]
    assert folds.n_fits == found.case.gate.origins


def test_the_rhythm_names_its_season() -> None:
    for freq, season in {"D": 7, "W": 52, "MS": 12, "QS": 4, "h": 24, "B": 5, "13D": 0, "15min": 96}.items():
        assert measure_frequency(pd.Series(pd.date_range("1970-01-01", periods=99, freq=freq))).season == season


def test_the_fewest_rows_are_enough_and_one_less_is_not() -> None:
    fewest = count_fewest_readings()
    assert isinstance(_guess(draw_sales(fewest), "units").case.task, Forecast)
    assert f"a forecast needs at least {fewest}" in _refuse(draw_sales(fewest - 1), "units", "date")
    n = FEWEST_RECORDS
    for target in ("size", "price"):
        assert not _guess(draw_things(n), target).case.layout.in_order
        assert f"There are {n - 1} usable rows" in _refuse(draw_things(n - 1), target)


def _plan(n: int) -> tuple[int, int, int]:
    gate = plan_series_gate(_count(n, "MS"))
    return gate.holdout, gate.calibration, gate.origins


def test_what_judges_grows_with_the_rows_and_long_tables_take_fewer_fits() -> None:
    assert [_plan(n) for n in (36, 120, 1000, 9000, 10**5)] == [
        (6, 9, 4),
        (9, 21, 4),
        (100, 150, 3),
        (298, 448, 1),
        (1200, 1800, 1),
    ]
    folds = [plan_folds_gate(n, labelled=False) for n in (30, 442, 4999, 5000, 10**6)]
    assert [(gate.holdout, gate.calibration, gate.origins) for gate in folds] == [
        (6, 9, 5),
        (44, 44, 5),
        (499, 499, 5),
        (500, 500, 1),
        (5000, 2000, 1),
    ]
    timed = [plan_timed_gate(n, labelled=True) for n in (30, 800, 10**6)]
    assert [(gate.holdout, gate.origins) for gate in timed] == [(6, 5), (100, 5), (5000, 1)]
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
        "linear_cv",
        "random_forest_100",
        "light_gbm_15",
        "mlp_64_64",
        "combination",
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
        "linear_cv",
        "random_forest_100",
        "light_gbm_15",
        "mlp_64_64",
        "combination",
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


def _draw_costs(n: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    parts = pd.DataFrame(np.exp(random.normal(0, 1, (n, 3))), columns=["wages", "energy", "parts"]).round(3)
    return parts.assign(total=(parts.sum(axis=1) + random.uniform(0, 0.1, n)).round(3))


def test_a_skewed_number_is_learned_by_its_logarithm_unless_a_trial_finds_levels_better() -> None:
    revenue, total = _guess(draw_revenues(300), "revenue"), _guess(_draw_costs(300), "total")
    assert isinstance(revenue.case.task, Regress) and revenue.case.task.learns == "logarithm"
    assert "So models learn the logarithm, and intervals widen with the level" in revenue.assumed["task"]
    assert isinstance(total.case.task, Regress) and total.case.task.learns == "level"
    assert "Models learn the level all the same" in total.assumed["task"]


def test_years_that_repeat_describe_records() -> None:
    table = draw_things(300).assign(year=[f"{1970 + place % 12}-01-01" for place in range(300)])
    found = _guess(table, "price")
    assert found.case.time == ARRIVED and found.case.column("year").date
    assert "Those of 'year' repeat, so they describe the records" in found.assumed["columns"]
    ordered = _guess(table.rename(columns={"year": "ordered"}), "price").case
    assert ordered.time == "ordered" and "ordered" not in ordered.column_names


@pytest.mark.parametrize("n", [30, 60, 300])
def test_each_record_judges_once_in_a_small_table(n: int) -> None:
    table = draw_things(n)
    for target in ("price", "size"):
        found = _guess(table, target)
        folds = plan_folds(
            cut_windows(table.assign(arrived=pd.date_range("2025-01-01", periods=n)), found.case), found.case
        )
        assert (len(folds.judged), folds.n_fits, folds.is_dealt) == (n, 5, True)
        assert f"The {n} records are dealt into 5 folds" in found.assumed["gate"]


def test_newest_records_judge_where_they_have_a_time() -> None:
    table = draw_things(300).assign(
        created=pd.date_range("2024-01-01", periods=300, freq="h").strftime("%Y-%m-%d %H:%M")
    )
    assert "The newest 37 of 300 records judge the candidates, in 5 blocks" in _guess(table, "size").assumed["gate"]


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
