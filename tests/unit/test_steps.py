"""A series is laid out on its calendar: one row for each step, and stored rows are only those that arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.clients.prediction_service import to_instances
from okawari.data.files import TableFile
from okawari.data.local_days import read_until
from okawari.data.validation import check_readings
from okawari.dataset.steps import drop_missing_steps, lay_out_steps, take_window
from okawari.errors import InvalidInput
from okawari.storage import snapshots

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def gapped(small_case: Case) -> tuple[Case, pd.DataFrame]:
    """Daily prices in Berlin over two clock changes; a seventh of the days is missing, but neither end."""
    case = replace(small_case, frequency="D", holidays="", zone="Europe/Berlin")
    days = pd.date_range("2023-03-01", periods=300, tz="Europe/Berlin").tz_convert("UTC").tz_localize(None)
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
    prices = {
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": 1e6 + np.arange(300.0),
    }
    kept = rng.random(len(days)) > 0.14
    kept[[0, -1]] = True
    return case, pd.DataFrame({"date": days.astype("datetime64[ns]"), **prices})[kept].reset_index(drop=True)


def test_missing_steps_become_rows_without_values(gapped: tuple[Case, pd.DataFrame]) -> None:
    case, frame = gapped
    laid_out = lay_out_steps(frame, case)
    assert len(laid_out) == 300 and 240 <= len(frame) <= 275
    local = laid_out["date"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.tz_localize(None)
    assert local.tolist() == list(pd.date_range("2023-03-01", periods=300))
    missing = ~laid_out["date"].isin(frame["date"])
    assert laid_out.loc[missing, list(case.column_names)].isna().all().all()
    pd.testing.assert_frame_equal(drop_missing_steps(laid_out, case).reset_index(drop=True), frame)


def test_snapshots_store_the_rows_that_came_and_load_the_steps(home: Path, gapped: tuple[Case, pd.DataFrame]) -> None:
    case, frame = gapped
    local = frame["date"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    checked = check_readings(frame.assign(date=local.dt.strftime("%Y-%m-%d")), case, NOW)
    ingested = snapshots.record_readings(case, checked.good, checked.refused, NOW)
    assert (len(checked.refused), ingested.snapshot.rows) == (0, len(frame))
    pd.testing.assert_frame_equal(snapshots.load_stored(case), frame)
    pd.testing.assert_frame_equal(snapshots.load_readings(case), lay_out_steps(frame, case))
    recent = snapshots.load_recent(case, 20)
    assert recent is not None
    pd.testing.assert_frame_equal(recent, lay_out_steps(frame, case).tail(20).reset_index(drop=True))
    plain = replace(case, frequency=None)
    assert snapshots.load_snapshot(plain) == ingested.snapshot  # the calendar is no part of a snapshot


def test_a_row_off_the_calendar_is_refused_with_its_reason(small_case: Case) -> None:
    days = pd.DatetimeIndex([*pd.bdate_range("2024-03-04", periods=10), pd.Timestamp("2024-03-09")])
    prices = {"open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 5.0}
    checked = check_readings(pd.DataFrame({"date": days}).assign(**prices), small_case, NOW)
    assert len(checked.good) == 10
    [reason] = checked.refused["reason"]
    assert "2024-03-09 is no step of frequency 'B' with the holidays of NYSE" in reason


def test_rows_of_another_time_of_day_are_held_to_the_stored_ones(small_case: Case, home: Path) -> None:
    case = replace(small_case, holidays="", frequency="D")
    prices = {"open": 2.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 5.0}
    stored, later = (
        pd.DataFrame({"date": pd.date_range(first, periods=n)}).assign(**prices)
        for first, n in (("2024-03-01 06:00", 20), ("2024-03-21 07:00", 5))
    )
    first = check_readings(stored, case, NOW)
    snapshots.record_readings(case, first.good, first.refused, NOW)
    held = snapshots.load_calendar(case)
    assert check_readings(later, case, NOW, calendar=held).good.empty
    assert check_readings(later, case, NOW).refused.empty


def test_a_frequency_that_is_not_that_of_the_readings_is_refused(gapped: tuple[Case, pd.DataFrame]) -> None:
    case, frame = gapped
    with pytest.raises(InvalidInput, match=r"readings of case aapl are off its calendar: .* no step of frequency 'ME'"):
        lay_out_steps(frame, replace(case, frequency="ME"))
    with pytest.raises(InvalidInput, match="at most 100 steps for each reading"):
        lay_out_steps(frame, replace(case, frequency="s"))


def test_a_window_that_is_sent_covers_its_steps_and_leaves_out_missing_ones(
    gapped: tuple[Case, pd.DataFrame],
) -> None:
    case, frame = gapped
    laid_out = lay_out_steps(frame, case)
    first_is_missing = next(end for end in range(100, 300) if laid_out["close"].isna()[end - case.history])
    if laid_out["close"].isna()[first_is_missing - 1]:
        first_is_missing += next(n for n in range(9) if not laid_out["close"].isna()[first_is_missing + n - 1])
    for end in (100, 200, first_is_missing):
        window = take_window(laid_out.iloc[:end], case)
        assert window["close"].notna().all()
        pd.testing.assert_frame_equal(
            lay_out_steps(window, case).tail(case.history).reset_index(drop=True),
            laid_out.iloc[: laid_out["close"].iloc[:end].last_valid_index() + 1]
            .tail(case.history)
            .reset_index(drop=True),
        )
    [readings] = to_instances(case, [frame])
    assert readings[-1]["date"] == "2023-12-25"  # a date of the zone


@pytest.mark.parametrize("written", ["2023-07-01 {:02d}:00", "2023-07-01T{:02d}:00-04:00"])
def test_a_day_ends_at_midnight_of_the_zone(written: str, tmp_path: Path, small_case: Case) -> None:
    times = [written.format(hour) for hour in range(24)] + ["2023-07-02 00:00", "soon"]
    pd.DataFrame({"date": times, "close": range(26)}).to_csv(tmp_path / "in.csv", index=False)
    case = replace(small_case, frequency="h", holidays="", zone="America/New_York")
    found = read_until(case, TableFile(tmp_path / "in.csv", time="date"), date(2023, 7, 1))
    assert found.frame["date"].tolist() == [*times[:24], "soon"]
