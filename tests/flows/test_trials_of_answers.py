"""Trials on drawn tables, from `okawari new` through a training to the service's answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.settings import load_settings
from tests.drawn_tables import (
    WEEK,
    draw_customers,
    draw_meter,
    draw_months,
    draw_rents,
    draw_revenues,
    draw_sensors,
    draw_visits,
    list_missing_days,
)
from tests.flows.trials import ask, declare

pytestmark = [pytest.mark.usefixtures("fresh", "heard", "shelf"), pytest.mark.slow]


def _train(case: Case, monkeypatch: pytest.MonkeyPatch, *candidates: str) -> Version:
    """Ingest and train, with these candidates beside the baseline; all of them, if none is named."""
    if candidates:
        monkeypatch.setenv("OKAWARI_CANDIDATES", ",".join(candidates))
        load_settings.cache_clear()
    assert "state" not in ingest(case.name)
    assert train(case.name, cause="missing", reason="the tests begin")["action"] == "promote"
    champion = versions.load_champion(case.name)
    assert champion is not None
    return champion


def test_a_large_counter_is_forecast_to_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    table = draw_meter()
    case, _ = declare(table, "meter_kwh")
    champion = _train(case, monkeypatch, "sarima_011_0117", "linear_cv")
    [said] = ask(case)
    ahead = table["meter_kwh"].iloc[-1] + 10 * np.arange(1, case.horizon + 1)
    np.testing.assert_allclose(said["mean"], ahead, atol=4)
    widths = np.subtract(said["interval"]["upper"], said["interval"]["lower"])
    assert (widths > 1).all() and champion.measured_share is not None and champion.measured_share > 0.6


@pytest.mark.parametrize("blank", [False, True])
def test_a_season_is_a_week_of_days_although_days_are_missing(blank: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    table, missing = draw_visits(), list_missing_days()
    if blank:
        table.loc[missing, "visits"] = np.nan
    else:
        table = table.drop(index=missing)
    case, _ = declare(table, "visits")
    champion = _train(case, monkeypatch, "seasonal_naive_7")
    assert champion.candidate == "seasonal_naive_7"
    [said] = ask(case)
    assert said["as_of"] == "2023-05-17" and said["times"][0] == "2023-05-18"
    weekdays = pd.DatetimeIndex(said["times"]).dayofweek
    np.testing.assert_allclose(said["mean"], WEEK[weekdays], atol=6)


@pytest.mark.parametrize(
    ("freq", "form", "times"),
    [
        ("ME", "%Y-%m-%d", ["2024-01-31", "2024-02-29"]),
        ("MS", "%Y-%m-%d", ["2024-01-01", "2024-02-01"]),
        ("MS", "%Y-%m", ["2024-01-01", "2024-02-01"]),
    ],
)
def test_month_ends_follow_month_ends(freq: str, form: str, times: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_months(144, freq, form), "sales")
    _train(case, monkeypatch, "seasonal_naive_12")
    [said] = ask(case)
    assert said["times"][:2] == times


def test_an_answer_about_a_skewed_amount_keeps_above_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_revenues(), "revenue")
    _train(case, monkeypatch, "linear_cv")
    low, high = ask(case, [{"visits_log": -1.5, "budget_log": -0.5}, {"visits_log": 2, "budget_log": 1}])
    for said, level in ((low, 4 - 1.5 - 0.25), (high, 4 + 2 + 0.5)):
        lower, upper = said["interval"]["lower"], said["interval"]["upper"]
        right = np.exp(level + 1.645 * 0.5 * np.array([-1, 1]))
        assert 0 < lower < said["value"] < upper
        np.testing.assert_allclose(np.log([lower, upper]), np.log(right), atol=0.35)


@pytest.mark.parametrize("candidate", ["linear_cv", "random_forest_100"])
def test_a_question_may_have_holes_where_the_table_had_some(candidate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_sensors(), "y")
    champion = _train(case, monkeypatch, candidate)
    assert champion.candidate == candidate
    question = dict.fromkeys((f"s{n}" for n in range(12)), 0.0)
    full, holed = ask(case, [question, {**question, "s7": None, "s0": None}])
    assert abs(full["value"]) < 1 and abs(holed["value"] - full["value"]) < 1


def test_codes_are_answered_as_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_rents(), "rent")
    _train(case, monkeypatch, "linear_cv")
    first, second = ask(case, [{"zip": "00501", "size": 10}, {"zip": "07310", "size": 10}])
    np.testing.assert_allclose([first["value"], second["value"]], [500, 900], rtol=0.03)


def test_booleans_are_booleans_and_a_new_word_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_customers(600), "outcome")
    assert case.column("is_active").boolean
    _train(case, monkeypatch, "linear_cv")
    plain = {"age": 40, "monthly_fee": 20.0, "is_active": True}
    known, new = ask(case, [{**plain, "plan": "pro"}, {**plain, "plan": "family"}])
    assert known["label"] == "left" and known["note"] is None
    assert "does not know plan 'family'" in new["note"]


def test_three_years_of_months_train_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_months(36, "MS"), "sales")
    champion = _train(case, monkeypatch)
    [said] = ask(case)
    assert said["times"] == ["2015-01-01"]
    assert champion.skill_share >= 0
    lower, upper = said["interval"]["lower"][0], said["interval"]["upper"][0]
    assert lower < said["mean"][0] < upper


@pytest.mark.parametrize("target", ["outcome", "monthly_fee"])
def test_sixty_records_train_and_answer(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = declare(draw_customers(60), target)
    _train(case, monkeypatch)
    question = {"plan": "pro", "age": 40, "is_active": True}
    other = {"monthly_fee": 20.0} if target == "outcome" else {"outcome": "left"}
    [said] = ask(case, [{**question, **other}])
    assert ("label" in said) is (target == "outcome")
