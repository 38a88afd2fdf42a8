"""Records with a time of their own: the newest are the holdout, and a record that is sent again adds nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Column, Gate, Regress
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.constant import Constant
from okawari.storage import snapshots

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CASE = Case(
    name="rents", title="Rent of a flat", source=TableFile(Path("rents.csv"), time="created_at"), time="created_at",
    columns=(Column(name="area", unit="m2", above=0),), task=Regress(target=Column(name="rent", unit="EUR")),
    candidates=(Constant(),), gate=Gate(holdout=40, calibration=30),
)  # fmt: skip


def _draw(n: int, seed: int = 3) -> pd.DataFrame:
    """Rents that grow with time, in no order; several flats are offered at one time, and some rows are equal."""
    rng = np.random.default_rng(seed)
    hours = rng.integers(0, 24 * 300, n)
    area = rng.integers(20, 25, n).astype(float)
    created = pd.Timestamp("2024-01-01") + pd.to_timedelta(hours // 24 * 24, unit="h")
    return pd.DataFrame({"created_at": created, "area": area, "rent": area * 10 + hours // 240})


def _ingest(raw: pd.DataFrame) -> snapshots.Ingested:
    checked = check_readings(raw, CASE, NOW, calendar=None)
    return snapshots.record_readings(CASE, checked.good, checked.refused, NOW)


def test_the_newest_records_are_the_holdout(home: Path) -> None:
    raw = _draw(400)
    _ingest(raw)
    stored = snapshots.load_readings(CASE)
    assert stored["created_at"].is_monotonic_increasing and stored["created_at"].is_unique
    split = split_windows(cut_windows(stored, CASE), CASE)
    parts = [split.train, split.validation, split.calibration, split.holdout]
    newest = [part.at_B.max() for part in parts[:-1]]
    assert all(last < part.at_B.min() for last, part in zip(newest, parts[1:], strict=True))
    assert sorted(split.holdout.level_B) == sorted(raw.sort_values("created_at", kind="stable")["rent"].tail(40))


def test_a_record_that_is_sent_again_adds_nothing_and_an_equal_one_more_is_new(home: Path) -> None:
    raw = _draw(300)
    assert raw.duplicated().any() and raw["created_at"].duplicated().any()
    assert _ingest(raw).new_rows == 300
    assert _ingest(raw.sample(frac=1, random_state=1)).new_rows == 0
    assert _ingest(pd.concat([raw, raw.tail(1)])).new_rows == 1
    later = _draw(50, seed=4).assign(rent=-1.0)
    assert (_ingest(later).new_rows, snapshots.load_snapshot(CASE).rows) == (50, 351)  # type: ignore[union-attr]
    stored = snapshots.load_readings(CASE)
    assert stored["created_at"].is_unique
    days = pd.concat([raw, raw.tail(1), later])["created_at"]
    assert sorted(stored["created_at"].dt.floor("D")) == sorted(days)


def test_times_that_differ_are_stored_as_they_came(home: Path) -> None:
    raw = _draw(100).assign(created_at=pd.date_range("2024-01-01 10:00:00.25", periods=100, freq="90ms"))
    _ingest(raw)
    assert snapshots.load_readings(CASE)["created_at"].tolist() == raw["created_at"].tolist()


def test_a_record_without_a_readable_time_is_refused() -> None:
    raw = _draw(5).astype(object)
    raw.loc[2, "created_at"] = "soon"
    checked = check_readings(raw, CASE, NOW)
    assert (len(checked.good), checked.refused["reason"].tolist()) == (4, ["created_at is 'soon', not a time"])


def test_the_time_is_no_input() -> None:
    with pytest.raises(InvalidInput, match=r"the time of a record is no input\. Leave the column out"):
        replace(CASE, columns=(*CASE.columns, Column(name="created_at")))
    assert CASE.column_names == ("area",) and CASE.n_features == 1
