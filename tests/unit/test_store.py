"""Snapshots and quarantine: what was ingested once stays readable as it was, and ingesting it again changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from okawari.case import Case, Column
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput, NotYet
from okawari.settings import Settings, adopt_settings
from okawari.storage import quarantine, snapshots, tables
from okawari.storage.snapshots import Ingested
from okawari.storage.tables import Unreadable, compact_table, open_table

NOW = datetime(2003, 6, 1, tzinfo=UTC)
Ingest = Callable[[pd.DataFrame], Ingested]


@pytest.fixture
def ingest(home: Path, small_case: Case) -> Ingest:
    """Check a table and record it, as the ingest flow does."""

    def record(raw: pd.DataFrame) -> Ingested:
        checked = check_readings(raw, small_case, NOW)
        return snapshots.record_readings(small_case, checked.good, checked.refused, NOW)

    return record


def test_before_the_first_ingest_there_is_nothing_and_reading_says_what_to_run(home: Path, small_case: Case) -> None:
    assert snapshots.load_snapshot(small_case) is None
    assert snapshots.snapshot_number(small_case) is None
    assert snapshots.load_recent(small_case, 5) is None
    assert quarantine.count_quarantined(small_case) == 0
    with pytest.raises(NotYet, match="Case aapl has no readings yet; run: okawari run aapl"):
        snapshots.load_readings(small_case)


def test_what_is_ingested_is_read_back_to_the_last_bit(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    ingested = ingest(readings)
    assert (ingested.new_rows, ingested.revised_rows, ingested.quarantined_rows) == (len(readings), 0, 0)
    expected = readings.astype({"volume": "float64"})[["date", *small_case.column_names]]
    pd.testing.assert_frame_equal(snapshots.load_readings(small_case), expected, check_exact=True)
    pd.testing.assert_frame_equal(
        snapshots.load_recent(small_case, 7), expected.tail(7).reset_index(drop=True), check_exact=True
    )


def test_a_snapshot_names_its_rows_and_days(ingest: Ingest, readings: pd.DataFrame) -> None:
    snapshot = ingest(readings[10:60]).snapshot
    assert (snapshot.version, snapshot.rows) == (0, 50)
    assert (snapshot.first_at, snapshot.last_at) == (
        f"{readings['date'][10]:%Y-%m-%d}",
        f"{readings['date'][59]:%Y-%m-%d}",
    )


def test_new_readings_make_the_next_version_and_old_versions_stay(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    ingested = [ingest(readings[:rows]).snapshot for rows in (50, 60, 75)]
    assert [snapshot.version for snapshot in ingested] == [0, 1, 2]
    assert snapshots.snapshot_number(small_case) == 2
    for snapshot in ingested:
        assert snapshots.load_snapshot(small_case, snapshot.version) == snapshot
        assert len(snapshots.load_readings(small_case, snapshot.version)) == snapshot.rows


def test_ingesting_the_same_again_makes_no_version(ingest: Ingest, readings: pd.DataFrame) -> None:
    first = ingest(readings)
    for again in (readings, readings[:10], readings.sample(frac=1, random_state=2)):
        repeated = ingest(again)
        assert repeated.snapshot == first.snapshot
        assert (repeated.new_rows, repeated.revised_rows) == (0, 0)


def test_a_revised_value_makes_a_version_and_the_old_one_keeps_its_digest(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    first = ingest(readings[:50]).snapshot
    revised = readings[:52].assign(volume=readings["volume"].where(readings.index != 20, 1.0))
    ingested = ingest(revised)
    assert (ingested.new_rows, ingested.revised_rows) == (2, 1)
    assert ingested.snapshot.version == 1
    assert ingested.snapshot.digest != first.digest
    assert snapshots.load_readings(small_case)["volume"][20] == 1.0
    assert snapshots.load_readings(small_case, 0)["volume"][20] == readings["volume"][20]
    assert snapshots.load_snapshot(small_case, 0) == first


def test_a_column_may_be_called_as_another_ones_known_value(
    home: Path, small_case: Case, readings: pd.DataFrame
) -> None:
    case = replace(small_case, columns=(*small_case.columns, Column(name="volume_known")))
    rows = readings.head(20).assign(volume_known=1.0)
    nothing = rows[:0].assign(reason="")
    snapshots.record_readings(case, rows, nothing, NOW)
    revised = snapshots.record_readings(case, rows.assign(volume_known=2.0), nothing, NOW)
    assert (revised.new_rows, revised.revised_rows) == (0, 20)


def test_an_older_edition_of_the_source_adds_what_is_missing_and_revises_nothing(
    home: Path, small_case: Case, readings: pd.DataFrame
) -> None:
    nothing = readings[:0].assign(reason="")
    live = readings[10:60].assign(volume=1.0)
    snapshots.record_readings(small_case, live, nothing, NOW)
    older = snapshots.record_readings(small_case, readings[:40], nothing, NOW, from_source=True)
    assert (older.new_rows, older.revised_rows, older.kept_rows) == (10, 0, 30)
    assert snapshots.load_readings(small_case)["volume"][10:].eq(1.0).all()
    by_hand = snapshots.record_readings(small_case, readings[:40], nothing, NOW)
    assert (by_hand.revised_rows, by_hand.kept_rows) == (30, 0), "a file that somebody gives has the last word"
    grown = snapshots.record_readings(small_case, readings[:70], nothing, NOW, from_source=True)
    assert (grown.new_rows, grown.revised_rows, grown.kept_rows) == (10, 20, 0), "and so has a source that goes on"


def test_equal_readings_have_one_digest_whatever_way_they_came(
    ingest: Ingest, readings: pd.DataFrame, tmp_path: Path
) -> None:
    ingest(readings[25:50])
    in_parts = ingest(readings[:30].sample(frac=1, random_state=3)).snapshot
    adopt_settings(Settings(data_url=str(tmp_path / "elsewhere")))
    at_once = ingest(readings[:50]).snapshot
    assert (in_parts.version, at_once.version) == (1, 0)
    assert in_parts.digest == at_once.digest


def test_history_that_comes_late_is_sorted_in(ingest: Ingest, small_case: Case, readings: pd.DataFrame) -> None:
    ingest(readings[30:50])
    ingest(readings[:30])
    assert snapshots.load_readings(small_case)["date"].tolist() == readings["date"][:50].tolist()


def test_old_versions_outlive_the_tables_own_spring_cleaning(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame, home: Path
) -> None:
    for rows in (50, 51, 52):
        ingest(readings[:rows])
    table = open_table("aapl", "readings")
    assert table is not None
    table.create_checkpoint()
    long_ago = (datetime.now(UTC) - timedelta(days=400)).timestamp()
    for path in (home / "data/aapl/readings/_delta_log").iterdir():
        os.utime(path, (long_ago, long_ago))
    table.cleanup_metadata()
    assert [len(snapshots.load_readings(small_case, version)) for version in range(3)] == [50, 51, 52]


@pytest.mark.parametrize("known", [0, 150])
def test_writers_at_once_lose_no_day_and_take_none_twice(
    known: int, home: Path, small_case: Case, readings: pd.DataFrame
) -> None:
    nothing = readings[:0].assign(reason="")
    if known:
        snapshots.record_readings(small_case, readings[:known], nothing, NOW)
    parts = [readings[start : start + 260] for start in (0, 100, 100, 200)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: snapshots.record_readings(small_case, part, nothing, NOW), parts))
    assert snapshots.load_readings(small_case)["date"].tolist() == readings["date"].tolist()


# --- quarantine ---------------------------------------------------------------------------------------------------


def _damage(readings: pd.DataFrame) -> pd.DataFrame:
    """Fifty readings of which two are damaged and a third is from the future."""
    frame = readings[:50].astype(object)
    frame.loc[3, "close"] = "twenty"
    frame.loc[4, "low"] = -1.0
    frame.loc[5, "date"] = pd.Timestamp("2003-06-02")
    return frame


def test_refused_rows_are_kept_with_their_reasons_and_enter_no_snapshot(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    ingested = ingest(_damage(readings))
    assert (ingested.snapshot.rows, ingested.quarantined_rows) == (47, 3)
    refused = quarantine.load_quarantine(small_case).set_index("reason")
    assert set(refused.index) == {
        "close is 'twenty', not a number",
        "low must be above 0, came -1.0",
        "date lies in the future, came 2003-06-02 00:00:00",
    }
    kept = json.loads(refused.loc["close is 'twenty', not a number", "values"])
    assert kept["close"] == "twenty"
    assert kept["date"] == f"{readings['date'][3]}"


def test_a_row_refused_again_later_is_quarantined_once(home: Path, small_case: Case, readings: pd.DataFrame) -> None:
    for later in range(3):
        now = NOW + timedelta(hours=later)
        checked = check_readings(_damage(readings), small_case, now)
        snapshots.record_readings(small_case, checked.good, checked.refused, now)
    assert quarantine.count_quarantined(small_case) == 3
    assert set(quarantine.load_quarantine(small_case)["at"]) == {pd.Timestamp(NOW)}


def test_a_table_of_nothing_but_damage_is_an_error_first_and_no_harm_later(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    broken = readings[:3].assign(close=-1.0)
    with pytest.raises(InvalidInput, match="None of the 3 rows for case aapl is valid; see its quarantine"):
        ingest(broken)
    assert quarantine.count_quarantined(small_case) == 3
    first = ingest(readings[:50])
    assert ingest(broken).snapshot == first.snapshot


# --- notes in commits ---------------------------------------------------------------------------------------------


def test_a_snapshots_commit_names_what_its_readings_are(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    revised = readings[:52].assign(volume=readings["volume"].where(readings.index != 20, 1.0))
    for part in (readings[30:50], readings[:30], revised, readings[:75].sample(frac=1, random_state=4)):
        ingest(part)
    known = [snapshots.load_snapshot(small_case, version) for version in range(4)]
    assert known == [snapshots.measure_snapshot(small_case, version) for version in range(4)]
    assert len({snapshot.digest for snapshot in known if snapshot is not None}) == 4


def test_records_snapshot_is_named_by_their_values_alone(home: Path) -> None:
    case = load_case("diabetes")
    checked = check_readings(case.source.read(), case, NOW)
    for later, part in enumerate((checked.good[:40], checked.good[20:60])):
        snapshots.record_readings(case, part, checked.refused, NOW + timedelta(hours=later))
    found = snapshots.load_snapshot(case)
    assert found is not None
    assert found == snapshots.measure_snapshot(case, 1)
    assert found.rows == 60


def test_writers_at_once_leave_notes_that_are_true(home: Path, small_case: Case, readings: pd.DataFrame) -> None:
    nothing = readings[:0].assign(reason="")
    parts = [readings[start : start + 200] for start in (0, 100, 200)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda part: snapshots.record_readings(small_case, part, nothing, NOW), parts))
    newest = snapshots.snapshot_number(small_case)
    assert newest is not None
    for version in range(newest + 1):
        assert snapshots.load_snapshot(small_case, version) == snapshots.measure_snapshot(small_case, version)


def test_status_and_page_read_no_row_of_a_snapshot(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame, home: Path
) -> None:
    first = ingest(readings[:50]).snapshot
    second = ingest(_damage(readings)).snapshot
    for stored in (home / "data").rglob("*.parquet"):
        stored.unlink()
    assert snapshots.load_snapshot(small_case, 0) == first
    assert snapshots.load_snapshot(small_case) == second
    assert quarantine.count_quarantined(small_case) == 3
    with pytest.raises(Unreadable):
        snapshots.measure_snapshot(small_case, 0)


def test_readings_are_counted_from_the_newest_that_an_earlier_snapshot_has(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    first = ingest(readings[10:50]).snapshot
    ingest(readings[:75])
    assert snapshots.count_newer(small_case, first) == 25, "what came late into the past is not newer"


def test_records_of_one_moment_are_told_apart_by_the_microsecond(home: Path) -> None:
    case = load_case("diabetes")
    checked = check_readings(case.source.read(), case, NOW)
    for part in (checked.good[:40], checked.good[40:43]):
        snapshots.record_readings(case, part, checked.refused, NOW)
    first = snapshots.load_snapshot(case, 0)
    assert first is not None
    assert snapshots.count_newer(case, first) == 3


def test_compaction_keeps_what_the_commit_says(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_MANY_FILES", 4)
    for rows in range(1, 6):
        ingest(readings[:rows])
    before = snapshots.load_snapshot(small_case)
    assert compact_table("aapl", "readings")
    after = snapshots.load_snapshot(small_case)
    assert before is not None
    assert after == replace(before, version=before.version + 1)
    assert after == snapshots.measure_snapshot(small_case, after.version)


def test_a_snapshot_without_notes_is_refused_with_what_to_do(
    ingest: Ingest, small_case: Case, readings: pd.DataFrame
) -> None:
    ingest(readings[:20])
    table = open_table("aapl", "readings")
    assert table is not None
    table.delete(f"date > arrow_cast('{readings['date'][9]}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
    with pytest.raises(Unreadable, match=r"Snapshot 1 of case aapl has no digest, .*okawari migrate, or set OKAWARI_H"):
        snapshots.load_snapshot(small_case)
