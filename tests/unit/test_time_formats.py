"""Times: one format for a column, recognised from its values; what reads two ways is not guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import Case
from okawari.data.files import TableFile, read_instead
from okawari.data.tabular import read_table
from okawari.data.time_format import describe_time_format, parse_times, require_time_format
from okawari.data.time_recognition import choose_time_format, recognise_times
from okawari.data.validation import check_readings
from okawari.data.writing import read_writing
from okawari.errors import InvalidInput

DAYS = pd.date_range("2023-01-20", periods=60)
HOURS = pd.date_range("2023-01-20", periods=400, freq="37min")
MONTHS = pd.date_range("2012-01-01", periods=60, freq="MS")


def _texts(times: pd.DatetimeIndex, pattern: str) -> pd.Series:
    return pd.Series(list(times.strftime(pattern)), dtype=object)


@pytest.mark.parametrize(
    ("times", "format"),
    [
        *((DAYS, each) for each in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%y", "%Y%m%d")),
        *((DAYS, each) for each in ("%d %b %Y", "%B %d, %Y", "%d-%b-%Y", "%Y.%m.%d")),
        *((HOURS, each) for each in ("%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M", "%Y%m%d%H%M")),
        *((MONTHS, each) for each in ("%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%y", "%Y%m")),
    ],
)
def test_a_pattern_is_recognised_and_reads_every_value(times: pd.DatetimeIndex, format: str) -> None:
    found = recognise_times(_texts(times, format))
    assert (found.format, found.two_ways, found.share) == (format, (), 1.0)
    assert parse_times(_texts(times, format), format).tolist() == times.tolist()


@pytest.mark.parametrize("text", ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%SZ"])
def test_iso_8601_is_recognised(text: str) -> None:
    assert recognise_times(_texts(DAYS, text)).format == "iso"
    assert parse_times(_texts(DAYS, text)).tolist() == DAYS.tolist()


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize(
    ("format", "origin", "unit"),
    [("epoch_s", "1970-01-01", "1s"), ("epoch_ms", "1970-01-01", "1ms"), ("excel", "1899-12-30", "1D")],
)
def test_numbers_that_are_times_are_recognised_as_such(format: str, origin: str, unit: str, as_text: bool) -> None:
    numbers = pd.Series((HOURS - pd.Timestamp(origin)) / pd.Timedelta(unit))
    values = pd.Series([f"{value:.15g}" for value in numbers], dtype=object) if as_text else numbers
    found = recognise_times(values)
    assert (found.format, found.from_numbers) == (format, True)
    error = parse_times(values, format) - pd.Series(HOURS)
    assert error.abs().max() < pd.Timedelta("10ms")


def test_quarters_are_their_first_days() -> None:
    quarters = pd.period_range("1990Q1", periods=40, freq="Q")
    for texts in (quarters.strftime("%YQ%q"), quarters.strftime("Q%q %Y")):
        values = pd.Series(list(texts), dtype=object)
        assert recognise_times(values).format == "quarter"
        assert parse_times(values, "quarter").tolist() == quarters.start_time.tolist()


@pytest.mark.parametrize(
    "values", [["a", "b"], [1.5, 2.5], [None, None], [True, False], ["12.5", "13.25"], [], ["2023-01-01", "02/13/2023"]]
)
def test_what_is_no_column_of_times_has_no_format(values: list[object]) -> None:
    found = recognise_times(pd.Series(values, dtype=object))
    assert (found.format, found.two_ways) == (None, ())


@given(st.lists(st.dates(pd.Timestamp("1970-01-01").date(), pd.Timestamp("2060-01-01").date()), min_size=1))
@settings(max_examples=100, deadline=None)
def test_day_and_month_are_never_guessed(days: list[object]) -> None:
    times = pd.DatetimeIndex(days)
    found = recognise_times(_texts(times, "%d/%m/%Y"))
    if (times.day > 12).any():
        assert found.format == "%d/%m/%Y"
    else:
        assert (found.format, found.two_ways) == (None, ("%d/%m/%Y", "%m/%d/%Y"))
        with pytest.raises(InvalidInput, match=r'--time-format "%d/%m/%Y" or --time-format "%m/%d/%Y"'):
            found.refuse_two_ways("day")


def test_a_column_is_read_by_one_format_and_never_by_a_mixture() -> None:
    values = pd.Series(["2023-01-01", "02/03/2023", "28/03/2023", "20230104", "5 Jan 2023", 44931], dtype=object)
    assert parse_times(values).notna().tolist() == [True, False, False, False, False, False]
    assert parse_times(values, "%d/%m/%Y").notna().tolist() == [False, True, True, False, False, False]


def test_unknown_formats_are_refused_and_known_ones_described() -> None:
    assert describe_time_format("epoch_s") == "seconds since 1970"
    for wrong in ("day first", "", "%d/%m"):
        with pytest.raises(InvalidInput, match="is not a time format; use iso"):
            require_time_format(wrong)


# --- deliveries ---------------------------------------------------------------------------------------------------

NOVEMBER = pd.date_range("2023-10-28", "2023-11-26")


@pytest.mark.parametrize(
    ("recorded", "written", "format"),
    [
        ("iso", "%Y-%m-%d", "iso"),
        ("%d/%m/%Y", "%d/%m/%Y", "%d/%m/%Y"),
        ("iso", "%d/%m/%Y", "%d/%m/%Y"),
        ("%d/%m/%Y", "%m/%d/%Y", "%m/%d/%Y"),
        ("%m/%d/%Y", "%d/%m/%Y", "%d/%m/%Y"),
        ("%d/%m/%Y", "%Y-%m-%d", "iso"),
    ],
)
def test_a_delivery_is_read_by_the_format_that_reads_it_and_a_change_is_told(
    recorded: str, written: str, format: str
) -> None:
    chosen = choose_time_format(_texts(NOVEMBER, written), recorded, "day")
    assert chosen.format == format
    assert bool(chosen.note) is (recorded != format)
    assert parse_times(_texts(NOVEMBER, written), chosen.format).tolist() == NOVEMBER.tolist()


def test_a_delivery_that_reads_two_ways_is_refused_with_the_setting(tmp_path: Path) -> None:
    few = NOVEMBER[(NOVEMBER.day <= 12) & (NOVEMBER.month == 11)]
    rows = "\n".join(f"{day},1" for day in few.strftime("%d/%m/%Y"))
    (tmp_path / "in.csv").write_text(f"date,units\n{rows}\n")
    with pytest.raises(InvalidInput, match=r"Times of 'date', such as '01/11/2023', read in 2 ways.*--time-format"):
        TableFile(tmp_path / "in.csv").read_table()
    found = TableFile(tmp_path / "in.csv", time_format="%d/%m/%Y").read_table()
    assert (found.time_format, found.notes) == ("%d/%m/%Y", ())


def test_one_damaged_time_changes_no_format() -> None:
    values = pd.Series([*NOVEMBER.strftime("%Y-%m-%d"), "31/12/2023"], dtype=object)
    assert choose_time_format(values, "iso").format == "iso"


# --- zones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Atlantic/Azores", "UTC"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("frequency", ["h", "30min", "7min"])
def test_local_times_of_a_year_are_read_as_they_were_written(zone: str, descending: bool, frequency: str) -> None:
    utc = pd.date_range("2023-01-01", "2023-12-31", freq=frequency)
    utc = utc[::-1] if descending else utc
    local = utc.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    values = pd.Series(list(local.strftime("%Y-%m-%d %H:%M")), dtype=object)
    assert np.array_equal(parse_times(values, zone=zone).to_numpy(), utc.to_numpy())


def test_an_offset_stands_above_the_zone_and_a_skipped_time_does_not_exist() -> None:
    values = pd.Series(["2023-03-26 02:30", "2023-03-26T02:30+01:00", "2023-07-01 00:00"], dtype=object)
    found = parse_times(values, zone="Europe/Berlin")
    assert found.isna().tolist() == [True, False, False]
    assert found[1:].tolist() == [pd.Timestamp("2023-03-26 01:30"), pd.Timestamp("2023-06-30 22:00")]


def test_days_before_months_land_on_their_own_days_and_are_told(tmp_path: Path, small_case: Case) -> None:
    days = pd.date_range("2001-10-28", periods=30)
    table = pd.DataFrame({"date": days, "open": 20.5, "high": 21.0, "low": 20.0, "close": 20.8, "volume": 5e7})
    table.to_csv(tmp_path / "dmy.csv", index=False, date_format="%d/%m/%Y")
    case = replace(small_case, frequency=None, holidays="")
    raw = read_table(read_instead(tmp_path / "dmy.csv", case))
    checked = check_readings(raw.frame, case, datetime(2003, 6, 1, tzinfo=UTC), writing=read_writing(raw, case))
    assert checked.good["date"].tolist() == days.tolist()
    assert checked.refused.empty
    assert [note.partition(";")[0] for note in raw.notes] == [
        "times of date are written as %d/%m/%Y, such as 31/12/2024"
    ]
