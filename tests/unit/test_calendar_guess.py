"""The frequency of a series is guessed from its times, also where many are missing; irregular times have none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from okawari.scaffold.calendar_guess import GuessedCalendar, describe_zone, guess_calendar, state_calendar


def _draw(freq: str, zone: str = "UTC", missing_share: float = 0.14, n: int = 150) -> pd.Series:
    local = pd.date_range("1990-01-01", periods=n, freq=freq)
    times = local.tz_localize(zone, nonexistent="shift_forward", ambiguous="NaT").dropna().tz_convert("UTC")
    kept = np.random.default_rng(0).random(len(times)) >= missing_share
    return pd.Series(times.tz_localize(None)[kept])


def _name(found: GuessedCalendar) -> str | None:
    return found.calendar and found.calendar.frequency


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    ("freq", "name"),
    [
        ("D", "D"), ("B", "B"), ("W-WED", "W-WED"), ("W-SUN", "W-SUN"), ("MS", "MS"), ("ME", "ME"), ("BME", "BME"),
        ("QS", "QS"), ("QE", "QE"), ("QE-JAN", "QE-JAN"), ("YS", "YS-JAN"), ("YE", "YE-DEC"), ("13D", "13D"),
    ],
)  # fmt: skip
def test_a_calendar_is_found_although_a_seventh_is_missing(freq: str, name: str, zone: str) -> None:
    assert _name(guess_calendar(_draw(freq, zone), zone)) == name


@pytest.mark.parametrize("freq", ["h", "6h", "15min", "min", "10s"])
def test_steps_of_a_clock_are_found(freq: str) -> None:
    assert _name(guess_calendar(_draw(freq), "UTC")) == freq


def test_missing_steps_are_counted() -> None:
    days = pd.Series(pd.date_range("2024-01-01", periods=500)).drop(index=range(100, 168))
    found = guess_calendar(days, "UTC")
    assert (found.n_steps, found.n_missing) == (500, 68)
    assert found.text == "Frequency D, one step for each day; 68 of 500 days are missing."


def test_irregular_times_have_no_calendar() -> None:
    random = np.random.default_rng(1)
    times = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(random.exponential(3600, 200).cumsum(), unit="s"))
    assert guess_calendar(times, "UTC").calendar is None
    assert guess_calendar(_draw("D", missing_share=0.5), "UTC").calendar is None


def test_a_weekday_that_never_occurs_is_no_missing_step() -> None:
    days = pd.date_range("2024-01-01", periods=200)
    found = guess_calendar(pd.Series(days[days.dayofweek != 6]), "UTC")
    assert found.calendar is None and found.text.startswith("There is no reading on Sundays")


def test_holidays_are_no_missing_steps_where_they_are_stated() -> None:
    days = pd.bdate_range("2023-01-02", "2023-12-29")
    open_days = pd.Series(days[~days.isin(pd.to_datetime(["2023-01-02", "2023-01-16", "2023-02-20", "2023-04-07"]))])
    assert guess_calendar(open_days, "UTC").n_missing == 3
    found = guess_calendar(open_days[open_days < "2023-05-01"], "UTC", "NYSE")
    assert _name(found) == "B" and found.n_missing == 0


def test_the_zone_is_said_and_may_be_stated() -> None:
    texts = pd.Series(["2024-07-01T00:00:00+02:00", "2024-12-01T00:00:00+01:00"])
    assert "offsets such as +02:00" in describe_zone(texts, "") and "--zone" in describe_zone(texts, "")
    assert describe_zone(texts, "Europe/Berlin") == "Days and months are those of Europe/Berlin."
    for plain in (["2024-07-01"], ["2024-07-01T00:00Z"], [1719792000]):
        assert describe_zone(pd.Series(plain, dtype=object), "").startswith("Times are taken as UTC")


def test_a_stated_frequency_is_taken() -> None:
    found = state_calendar(_draw("D", missing_share=0.5), "D", "UTC", "")
    assert _name(found) == "D" and found.n_missing > 0.4 * found.n_steps
