"""Calendars: steps of a series in zones with daylight saving, month ends, working days and holidays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Case
from okawari.cases.aapl import CASE as AAPL
from okawari.cases.blobs import CASE as BLOBS
from okawari.cases.cpi import CASE as CPI
from okawari.data.time_format import parse_times
from okawari.errors import InvalidInput
from okawari.schema.calendar import Calendar, begins_day, format_local, format_times, to_local, to_utc

PANDAS_NAMES = (
    "D", "B", "W", "W-FRI", "MS", "ME", "QS", "QE", "QE-JAN", "QS-NOV", "YS", "YE", "YE-MAR", "BMS", "BME", "BQE",
    "BYS", "h", "15min",
)  # fmt: skip
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe",
         "Africa/Cairo", "America/Havana", "Pacific/Apia")  # fmt: skip
MULTIPLES = ("D", "B", "W-WED", "2W", "3D", "MS", "ME", "2ME", "QE-JAN", "YS", "BME", "h", "6h", "15min")
moments = st.integers(-(10**9), 2 * 10**9).map(lambda second: np.datetime64(second, "s").astype("datetime64[ns]"))


def _days(texts: str) -> list[str]:
    return texts.split()


def _after(calendar: Calendar, last: str, n: int) -> list[str]:
    return [format_local(time, calendar.zone) for time in calendar.steps_after(np.datetime64(last), n)]


@pytest.mark.parametrize("name", PANDAS_NAMES)
def test_the_steps_are_those_of_pandas(name: str) -> None:
    years = ("1969-12-20", "1970-01-10") if name in ("h", "15min") else ("1966-01-01", "1974-12-31")
    wanted = pd.date_range(*years, freq=name).to_numpy()
    found = Calendar(frequency=name).steps_between(*map(np.datetime64, years))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("frequency", "last", "steps"),
    [
        ("ME", "2023-12-31", "2024-01-31 2024-02-29 2024-03-31 2024-04-30"),
        ("MS", "2023-11-01", "2023-12-01 2024-01-01 2024-02-01 2024-03-01"),
        ("QE", "2023-09-30", "2023-12-31 2024-03-31 2024-06-30"),
        ("B", "2024-02-29", "2024-03-01 2024-03-04 2024-03-05"),
        ("W-SUN", "2024-02-25", "2024-03-03 2024-03-10"),
        ("D", "2024-02-28", "2024-02-29 2024-03-01"),
        ("YE", "2023-12-31", "2024-12-31 2025-12-31"),
        ("BME", "2024-02-29", "2024-03-29 2024-04-30"),
    ],
)
def test_month_ends_follow_month_ends_and_fridays_are_followed_by_mondays(
    frequency: str, last: str, steps: str
) -> None:
    assert _after(Calendar(frequency=frequency), last, len(_days(steps))) == _days(steps)


@given(moments, st.sampled_from(MULTIPLES), st.sampled_from(ZONES), st.integers(1, 40))
def test_steps_after_a_step_are_consecutive_and_found_again(
    at: np.datetime64, frequency: str, zone: str, n: int
) -> None:
    loose = Calendar(frequency=frequency, zone=zone)
    [first] = loose.steps_after(at, 1)
    calendar = loose.anchored(np.array([first]))
    steps = calendar.steps_after(first, n)
    assert (np.diff(np.concatenate([[first], steps])) > np.timedelta64(0)).all()
    assert calendar.is_step(steps).all()
    assert [calendar.find_step(step) for step in steps] == list(
        range(calendar.find_step(first) + 1, calendar.find_step(first) + n + 1)
    )
    np.testing.assert_array_equal(calendar.steps_between(first, steps[-1])[1:], steps)


@given(moments, st.sampled_from(ZONES), st.integers(0, 23))
def test_daily_steps_have_one_time_of_day_and_hourly_steps_one_length(at: np.datetime64, zone: str, hour: int) -> None:
    midnight = to_local(np.array([at]), zone).astype("datetime64[D]").astype("datetime64[ns]")
    first = to_utc(midnight + np.timedelta64(hour, "h"), zone)
    days = Calendar(frequency="D", zone=zone).anchored(first).steps_after(first[0], 400)
    local = to_local(days, zone)
    assert (np.diff(local.astype("datetime64[D]")).astype(int) >= 1).all()
    # The clocks skip at most a few of 400 times of day; Apia skipped a whole day once.
    passed = to_local(first, zone) - to_local(first, zone).astype("datetime64[D]")
    wanted = np.where(begins_day(first, zone), np.timedelta64(0), passed)
    assert np.mean((local - local.astype("datetime64[D]")) == wanted) > 0.98
    hours = Calendar(frequency="h", zone=zone).anchored(first).steps_after(first[0], 400)
    assert set(np.diff(hours)) == {np.timedelta64(1, "h")}


def test_days_last_23_24_or_25_hours_where_clocks_change() -> None:
    berlin = Calendar(frequency="D", zone="Europe/Berlin")
    spring = berlin.steps_between(np.datetime64("2024-03-29T23:00"), np.datetime64("2024-04-01T22:00"))
    autumn = berlin.steps_between(np.datetime64("2024-10-25T22:00"), np.datetime64("2024-10-28T23:00"))
    assert np.diff(spring).astype("timedelta64[h]").astype(int).tolist() == [24, 23, 24]
    assert np.diff(autumn).astype("timedelta64[h]").astype(int).tolist() == [24, 25, 24]
    assert [format_local(time, "Europe/Berlin") for time in spring] == _days(
        "2024-03-30 2024-03-31 2024-04-01 2024-04-02"
    )


def test_trading_days_are_exactly_those_of_the_bundled_prices() -> None:
    days = pd.to_datetime(AAPL.source.read()["date"]).to_numpy(dtype="datetime64[ns]")
    assert AAPL.calendar is not None
    np.testing.assert_array_equal(AAPL.calendar.steps_between(days[0], days[-1]), days)


def test_bundled_quarters_are_quarter_ends() -> None:
    days = pd.to_datetime(CPI.source.read()["date"]).to_numpy(dtype="datetime64[ns]")
    assert CPI.calendar is not None
    np.testing.assert_array_equal(CPI.calendar.steps_between(days[0], days[-1]), days)


def test_weekends_and_holidays_are_those_of_the_place() -> None:
    assert _after(Calendar(frequency="B", holidays="DE"), "2023-12-22", 3) == _days("2023-12-27 2023-12-28 2023-12-29")
    assert _after(Calendar(frequency="B", holidays="US"), "2023-12-22", 2) == _days("2023-12-26 2023-12-27")
    assert _after(Calendar(frequency="B", holidays="DE-BY"), "2024-01-05", 1) == ["2024-01-08"]
    assert _after(Calendar(frequency="B", holidays="SA"), "2024-01-04", 2) == _days("2024-01-07 2024-01-08")


@pytest.mark.parametrize(
    ("frequency", "time"), [("B", "2024-03-02"), ("MS", "2023-01-31"), ("ME", "2023-01-01"), ("W-SUN", "2024-03-04"),
                            ("D", "2024-03-02T06:00"), ("15min", "2024-03-02T06:05")]
)  # fmt: skip
def test_a_time_off_the_calendar_is_refused_with_the_setting_to_correct(frequency: str, time: str) -> None:
    with pytest.raises(InvalidInput, match=f"{time[:10]}.* is no step of frequency '{frequency}'.*Correct"):
        Calendar(frequency=frequency).find_step(np.datetime64(time))


def test_most_times_set_the_time_of_day_and_the_phase() -> None:
    days = pd.date_range("2024-01-01 06:00", periods=10, freq="2D").to_numpy()
    calendar = Calendar(frequency="2D").anchored(np.append(np.datetime64("2023-12-30T05:00", "ns"), days))
    assert calendar.is_step(days).all()
    assert not calendar.is_step(days + np.timedelta64(1, "D")).any()
    assert not calendar.is_step(days + np.timedelta64(1, "h")).any()


@pytest.mark.parametrize(
    ("frequency", "advice"),
    [
        ("M", "Write ME"), ("2T", "Write 2min"), ("Q-DEC", "Write QE-DEC"), ("W-FOO", "Choose"), ("0D", "Choose"),
        ("-1D", "Choose"), ("ME-JAN", "Choose"), ("", "Choose"), ("weekly", "Choose"),
    ],
)  # fmt: skip
def test_an_unknown_frequency_is_refused_with_the_name_to_write(frequency: str, advice: str) -> None:
    with pytest.raises(InvalidInput, match=f"frequency is {frequency!r}; it is one of .*{advice}"):
        Calendar(frequency=frequency)


@pytest.mark.parametrize(
    ("case", "settings", "message"),
    [
        (CPI, {"zone": "Berlin"}, "Case.zone is 'Berlin', which is no time zone"),
        (AAPL, {"holidays": "Mars"}, "Case.holidays is 'Mars', whose holidays are not known"),
        (CPI, {"holidays": "US"}, "only steps of working days"),
        (AAPL, {"frequency": None}, "no frequency, so they have no effect"),
        (BLOBS, {"frequency": "D"}, "only a series has steps"),
    ],
)
def test_a_case_refuses_a_calendar_that_it_cannot_have(case: Case, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(case, **settings)


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [("America/Sao_Paulo", "2018-11-04"), ("Asia/Beirut", "2024-03-31"), ("Africa/Cairo", "2024-04-26")],
)
def test_a_day_whose_midnight_the_clocks_skip_is_kept_and_is_a_step(zone: str, skipped: str) -> None:
    days = pd.date_range(pd.Timestamp(skipped) - pd.Timedelta(days=5), periods=10)
    at = parse_times(pd.Series(days.strftime("%Y-%m-%d"), dtype=object), zone=zone).to_numpy()
    assert not np.isnat(at).any()
    np.testing.assert_array_equal(at, to_utc(days.to_numpy(), zone))
    assert to_local(at, zone)[5] == np.datetime64(skipped) + np.timedelta64(1, "h")
    # Whichever day comes first, the calendar is that of days, which begin at midnight.
    for place in range(10):
        calendar = Calendar(frequency="D", zone=zone).anchored(at[place : place + 1])
        assert calendar.is_daily
        np.testing.assert_array_equal(calendar.steps_between(at[0], at[-1]), at)
    assert format_times(at, zone) == [format_local(time, zone) for time in at] == list(days.strftime("%Y-%m-%d"))


def test_a_day_that_is_skipped_whole_and_a_time_of_a_skipped_hour_do_not_exist() -> None:
    apia = pd.Series(["2011-12-29", "2011-12-30", "2011-12-31"], dtype=object)
    assert parse_times(apia, zone="Pacific/Apia").isna().tolist() == [False, True, False]
    beirut = pd.Series(["2024-03-31 00:30", "2024-03-31 00:00", "2024-03-31 01:00"], dtype=object)
    assert parse_times(beirut, zone="Asia/Beirut").isna().tolist() == [True, False, False]
