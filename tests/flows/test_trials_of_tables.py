"""Trials on drawn tables, from `okawari new` to what is stored: each keeps its meaning, or is held or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.ingest import ingest
from flows.publish import emit
from okawari.case import Classify, Forecast, Regress
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput
from okawari.loop.deliveries import accept_delivery
from tests.drawn_tables import (
    draw_customers,
    draw_dated,
    draw_grades,
    draw_houses,
    draw_meter,
    draw_months,
    draw_rents,
    draw_revenues,
    draw_sensors,
    draw_severities,
    draw_spending,
    draw_visits,
    list_missing_days,
    write_text,
)
from tests.flows.trials import declare, declare_file, read_stored, refuse_file

pytestmark = pytest.mark.usefixtures("fresh", "heard")


def _deliver(table: pd.DataFrame, name: str = "delivery", **settings: Any) -> dict[str, Any]:
    path = write_text(table, Path(f"{name}.csv").resolve())
    done: dict[str, Any] = ingest("trial", file=path, **settings)
    return done


# --- words --------------------------------------------------------------------------------------------------------


def test_a_rewritten_case_file_changes_no_stored_word() -> None:
    first = draw_customers(600)
    declare(first, "outcome")
    assert ingest("trial")["new"] == 600
    more = pd.concat([first, draw_customers(200, ("basic", "family", "plus", "pro"), seed=6)], ignore_index=True)
    more.loc[799, "outcome"] = "died"  # sorts before all labels of the target
    case, _ = declare(more, "outcome", "--overwrite")
    assert case.column("plan").labels == ("basic", "family", "plus", "pro")
    assert ingest("trial")["new"] == 200
    stored = read_stored(case)
    assert stored["plan"].tolist() == more["plan"].tolist()
    assert stored["outcome"].tolist() == more["outcome"].tolist()


@pytest.mark.parametrize(
    ("table", "target", "column", "words"),
    [
        (draw_severities(), "severity", "severity", ("Mild", "None", "Severe")),
        (draw_grades(), "grade", "grade", ("01", "02", "03")),
        (draw_rents(), "rent", "zip", ("00501", "02134", "07310", "90210")),
        (draw_spending(), "spend", "country", ("BW", "LS", "NA", "ZA")),
    ],
)
def test_codes_and_words_that_look_missing_are_words(
    table: pd.DataFrame, target: str, column: str, words: tuple[str, ...]
) -> None:
    case, _ = declare(table, target)
    assert isinstance(case.task, Classify) is (column == target)
    assert sorted(case.column(column).labels) == sorted(words)
    assert ingest("trial")["new"] == len(table)
    assert read_stored(case)[column].tolist() == table[column].tolist()


def test_a_word_is_missing_only_where_somebody_says_so() -> None:
    case, said = declare(draw_spending(), "spend", "--missing", "NA,-")
    assert sorted(case.column("country").labels) == ["BW", "LS", "ZA"]
    assert "'NA', '-' mean an empty field" in said
    assert ingest("trial")["new"] == 500
    assert read_stored(case)["country"].isna().sum() == (draw_spending()["country"] == "NA").sum()


# --- columns that come and go ---------------------------------------------------------------------------------------


def test_a_column_comes_and_old_rows_lack_its_value() -> None:
    first = draw_customers(600)
    declare(first, "outcome")
    ingest("trial")
    region = np.random.default_rng(1).choice(["north", "south"], 200)
    more = pd.concat([first, draw_customers(200, seed=8).assign(region=region)], ignore_index=True)
    case, _ = declare(more, "outcome", "--overwrite")
    assert case.column("region").missing == "allow"
    ingest("trial")
    stored = read_stored(case)
    assert stored["region"].isna().sum() == 600 and stored["region"].notna().sum() == 200
    assert stored["plan"].tolist() == more["plan"].tolist()


def test_a_column_that_is_gone_is_refused_and_an_unknown_one_is_ignored() -> None:
    case, _ = declare(draw_customers(600), "outcome")
    ingest("trial")
    more = draw_customers(150, seed=9)
    with pytest.raises(InvalidInput, match=r"lacks \['monthly_fee'\]"):
        _deliver(more.drop(columns="monthly_fee"))
    assert _deliver(more.assign(region="north"))["new"] == 150
    assert len(read_stored(case)) == 750


@pytest.mark.parametrize("fault", ["fee 60% empty", "ages unreadable", "40% with a new plan"])
def test_a_feed_that_breaks_is_no_new_data(fault: str) -> None:
    declare(draw_customers(600), "outcome")
    ingest("trial")
    more = draw_customers(200, seed=10)
    if fault == "fee 60% empty":
        more["monthly_fee"] = more["monthly_fee"].mask(np.random.default_rng(2).random(200) < 0.6)
    elif fault == "ages unreadable":
        more = more.assign(age="unknown")
    else:
        more.loc[:79, "plan"] = "trial"
    done = _deliver(more)
    assert done["state"] == "held", done
    assert len(read_stored(load_case("trial"))) == 600


# --- dates and times ------------------------------------------------------------------------------------------------


def test_a_delivery_with_days_first_adds_its_days_and_revises_none() -> None:
    case, _ = declare(draw_dated(330).iloc[:300], "units")
    ingest("trial")
    november = draw_dated(330, form="%d/%m/%Y").iloc[300:]
    held = _deliver(november)
    assert held["state"] == "held" and len(read_stored(case)) == 300
    accept_delivery("trial", held["delivery"], "ada@laptop", datetime.now(UTC), emit)
    stored = read_stored(case)
    assert len(stored) == 330 and stored["day"].iloc[-30:].tolist() == pd.date_range("2023-10-28", periods=30).tolist()


def test_the_format_of_a_delivery_may_be_stated() -> None:
    case, _ = declare(draw_dated(330).iloc[:300], "units")
    ingest("trial")
    done = _deliver(draw_dated(330, form="%d/%m/%Y").iloc[300:], time_format="%d/%m/%Y")
    assert (done["new"], done["revised"]) == (30, 0)
    assert read_stored(case)["day"].iloc[-1] == pd.Timestamp("2023-11-26")


def test_days_that_read_two_ways_are_refused_with_the_setting() -> None:
    table = draw_dated(360).iloc[::31].reset_index(drop=True)
    table = pd.concat([table] * 3, ignore_index=True).assign(
        day=[f"{1 + place % 12:02d}/{1 + place // 12:02d}/2023" for place in range(3 * len(table))]
    )
    path = write_text(table, Path("both.csv").resolve())
    assert '--time-format "%d/%m/%Y"' in refuse_file(path, "units")
    case, said = declare_file(path, "units", "--time-format", "%d/%m/%Y")
    assert case.source.time_format == "%d/%m/%Y" and "%d/%m/%Y, such as 31/12/2024" in said  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("written", "format"),
    [
        (lambda day: int(day.timestamp()), "epoch_s"),
        (lambda day: int(day.timestamp()) * 1000, "epoch_ms"),
        (lambda day: day.strftime("%Y%m%d0000"), "%Y%m%d%H%M"),
        (lambda day: day.strftime("%Y%m%d"), "%Y%m%d"),
        (lambda day: (day - pd.Timestamp("1899-12-30")).days, "excel"),
    ],
)
def test_times_as_numbers_are_recognised(written: Any, format: str) -> None:
    table = draw_dated(300)
    days = pd.to_datetime(table.pop("day"))
    case, said = declare(table.assign(ts=[written(day) for day in days]), "units")
    assert isinstance(case.task, Forecast) and case.frequency == "D"
    assert case.source.time_format == format and "Times are" in said  # type: ignore[attr-defined]
    assert ingest("trial")["new"] == 300
    assert read_stored(case)["ts"].tolist() == days.tolist()


@pytest.mark.parametrize(
    ("freq", "form", "alias"),
    [("ME", "%Y-%m-%d", "ME"), ("MS", "%Y-%m-%d", "MS"), ("MS", "%Y-%m", "MS"), ("QS", "quarter", "QS")],
)
def test_months_and_quarters_are_steps_of_a_calendar(freq: str, form: str, alias: str) -> None:
    table = draw_months(100, freq, form, start="1999-01-01")
    case, said = declare(table, "sales")
    assert case.frequency == alias and f"Frequency {alias}" in said
    assert ingest("trial")["new"] == 100
    assert read_stored(case)["month"].tolist() == pd.date_range("1999-01-01", periods=100, freq=freq).tolist()


def test_missing_days_are_steps_without_a_value() -> None:
    table, missing = draw_visits(), list_missing_days()
    case, said = declare(table.drop(index=missing), "visits")
    assert case.frequency == "D" and "68 of 500 days are missing" in said
    assert ingest("trial")["rows"] == 432
    stored = read_stored(case)
    assert len(stored) == 500 and stored.index[stored["visits"].isna()].tolist() == missing.tolist()


def test_days_without_a_value_are_kept() -> None:
    table, missing = draw_visits(), list_missing_days()
    table.loc[missing, "visits"] = np.nan
    case, said = declare(table, "visits")
    assert case.frequency == "D" and case.target.missing == "allow" and "'visits' in 14%" in said
    ingest("trial")
    stored = read_stored(case)
    assert len(stored) == 500 and stored.index[stored["visits"].isna()].tolist() == missing.tolist()


def test_records_keep_their_own_time() -> None:
    days = pd.date_range("2024-01-01", periods=300, freq="7h").strftime("%Y-%m-%d %H:%M")
    case, said = declare(draw_customers(300).assign(created_at=days), "outcome")
    assert case.time == "created_at" and "the newest are the holdout" in said
    assert ingest("trial")["new"] == 300


def test_dates_among_the_inputs_are_dates_and_one_that_tells_the_outcome_is_named() -> None:
    days = pd.Series(pd.date_range("2024-01-01", periods=300, freq="7h").strftime("%Y-%m-%d"))
    table = draw_customers(300).assign(created_at=days, birth_date=days[::-1].to_numpy())
    case, said = declare(table.assign(cancelled_at=days.where(table["outcome"] == "left")), "outcome")
    assert case.time == "created_at" and case.column("birth_date").date and case.column("cancelled_at").date
    assert "'cancelled_at' may give 'outcome' away: " in said and said.count("may give") == 1
    assert ingest("trial")["new"] == 300


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        {"separator": ";", "decimal": ","},
        {"separator": ";", "decimal": ",", "encoding": "utf-8-sig"},
        {"separator": ";"},
        {"separator": "\t"},
        {"encoding": "utf-8-sig"},
    ],
)
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y"])
def test_dialects_of_text_are_read_and_said(written: dict[str, str], form: str) -> None:
    table = draw_dated(220, form=form).iloc[:200]
    case, said = declare(table, "units", **written)
    assert case.source.format.separator == written.get("separator", ",")  # type: ignore[attr-defined]
    assert case.source.format.decimal == written.get("decimal", ".")  # type: ignore[attr-defined]
    assert ("decimal comma" in said) is (written.get("decimal") == ",")
    assert ingest("trial")["new"] == 200
    assert read_stored(case)["units"].tolist() == table["units"].tolist()
    more = write_text(draw_dated(220, form=form).iloc[200:], Path("more.csv").resolve(), **written)
    assert ingest("trial", file=more)["new"] == 20


def test_thousands_are_read_in_every_row() -> None:
    houses = draw_houses()
    written = houses.assign(price=houses["price"].map("{:,.2f}".format), lot=houses["lot"].map("{:,.1f}".format))
    case, said = declare(written, "price")
    assert "thousands separated by commas" in said and isinstance(case.task, Regress)
    assert ingest("trial")["new"] == 300
    stored = read_stored(case)
    np.testing.assert_allclose(stored["price"], houses["price"])
    np.testing.assert_allclose(stored["lot"], houses["lot"])


def test_numbers_that_read_two_ways_are_refused_with_the_setting() -> None:
    random = np.random.default_rng(8)
    table = pd.DataFrame(
        {"x": random.integers(1, 99, 120), "y": [f"{n},{m:03d}" for n, m in random.integers(1, 999, (120, 2))]}
    )
    path = write_text(table, Path("both.csv").resolve(), separator=";")
    assert "--decimal" in refuse_file(path, "y")
    case, _ = declare_file(path, "y", "--decimal", ",")
    assert case.source.format.decimal == ","  # type: ignore[attr-defined]


def test_large_levels_are_stored_as_they_are() -> None:
    table = draw_meter()
    case, _ = declare(table, "meter_kwh")
    ingest("trial")
    assert read_stored(case)["meter_kwh"].tolist() == table["meter_kwh"].tolist()


def test_a_skewed_amount_is_learnt_in_logarithms() -> None:
    case, said = declare(draw_revenues(), "revenue")
    assert isinstance(case.task, Regress) and case.task.learns == "logarithm" and "learn the logarithm" in said


def test_rows_with_holes_are_all_kept() -> None:
    table = draw_sensors()
    case, said = declare(table, "y")
    assert all(each.missing == "allow" for each in case.columns) and "Empty fields are values" in said
    assert ingest("trial")["new"] == 900
    stored = read_stored(case)
    np.testing.assert_array_equal(stored[[f"s{n}" for n in range(12)]].isna(), table.drop(columns="y").isna())


# --- few rows -------------------------------------------------------------------------------------------------------


def test_three_years_of_months_are_a_modest_case() -> None:
    case, said = declare(draw_months(36, "MS").iloc[:36], "sales")
    assert isinstance(case.task, Forecast) and case.frequency == "MS"
    assert "A modest case, because there are 36 readings" in said and "From 100 readings on" in said
    assert {type(recipe).__module__.split(".")[-1] for recipe in case.candidates} == {
        "random_walk", "seasonal_naive", "mean_level", "drift_walk", "ets", "theta", "linear", "combination",
    }  # fmt: skip
    assert ingest("trial")["new"] == 36
    assert "27" in refuse_file(write_text(draw_months(26, "MS"), Path("short.csv").resolve()), "sales")


def test_sixty_records_are_a_modest_case() -> None:
    case, said = declare(draw_customers(60), "outcome")
    assert "A modest case, because there are 60 rows" in said and len(case.candidates) == 3
    assert ingest("trial")["new"] == 60
    assert "30" in refuse_file(write_text(draw_customers(29), Path("few.csv").resolve()), "outcome")
