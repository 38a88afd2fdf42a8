"""`okawari readings`: any snapshot as a file that a person reads and a case can ingest; never half a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.errors import OkawariError
from okawari.schema.tasks.classification import Classify
from okawari.storage import snapshots
from okawari.storage.export import export_readings
from okawari.storage.snapshots import Ingested

if TYPE_CHECKING:
    from tests.conftest import Said

NOW = datetime(2003, 6, 1, tzinfo=UTC)
Call = Callable[..., "Said"]


def _ingest(case: Case, raw: pd.DataFrame) -> Ingested:
    checked = check_readings(raw, case, NOW)
    return snapshots.record_readings(case, checked.good, checked.refused, NOW)


@pytest.fixture
def revised(home: Path, small_case: Case, readings: pd.DataFrame) -> float:
    """Fifty days, of which the 21st is revised as two more arrive; what its volume was before."""
    _ingest(small_case, readings[:50])
    _ingest(small_case, readings[:52].assign(volume=readings["volume"].where(readings.index != 20, 1.0)))
    return float(readings["volume"][20])


@pytest.mark.parametrize("name", ["known.csv", "known.PARQUET"])
def test_each_snapshot_is_written_with_the_figures_that_were_known_then(
    name: str, revised: float, call: Call, tmp_path: Path
) -> None:
    said = call("readings", "aapl", name, "--snapshot", "0")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{name}: snapshot 0: 50 rows, 2000-03-01 to 2000-05-10\n"
    assert TableFile(tmp_path / name).read()["volume"].astype(float)[20] == revised
    said = call("readings", "aapl", name, "--overwrite")
    assert said.out.startswith(f"{name}: snapshot 1: 52 rows, ")
    assert TableFile(tmp_path / name).read()["volume"].astype(float)[20] == 1.0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_written_snapshot_can_be_ingested_and_is_the_same_to_the_last_bit(
    ending: str, home: Path, small_case: Case, readings: pd.DataFrame, tmp_path: Path
) -> None:
    snapshot = _ingest(small_case, readings).snapshot
    assert export_readings(small_case, tmp_path / f"out.{ending}") == snapshot
    again = replace(small_case, name="again")
    assert _ingest(again, TableFile(tmp_path / f"out.{ending}").read()).snapshot == snapshot


def test_a_day_without_hours_is_written_without_hours(revised: float, call: Call, tmp_path: Path) -> None:
    call("readings", "aapl", "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "date,open,high,low,close,volume"
    assert lines[1].startswith("2000-03-01,")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_labels_are_written_as_words_and_records_with_their_arrival(
    ending: str, home: Path, call: Call, tmp_path: Path
) -> None:
    blobs = load_case("blobs")
    drawn = pd.DataFrame(
        {"x": [1.0, -2.0, -0.5], "y": [2.0, 1.0, -0.5], "blob": ["north_east", "north_west", "south_west"]}
    )
    _ingest(blobs, drawn)
    said = call("readings", "blobs", f"out.{ending}")
    assert said.out.startswith(f"out.{ending}: snapshot 0: 3 rows, arrived 2003-06-01")
    frame = TableFile(tmp_path / f"out.{ending}", time=None).read()
    assert list(frame.columns) == ["arrived", "x", "y", "blob"]
    assert frame["blob"].tolist() == drawn["blob"].tolist()
    assert frame["x"].astype(float).tolist() == drawn["x"].tolist()
    again = _ingest(blobs, frame)
    assert (again.new_rows, again.quarantined_rows) == (0, 0)


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["2", "-1"])
def test_an_unknown_snapshot_is_told_with_those_that_there_are(number: str, revised: float, call: Call) -> None:
    said = call("readings", "aapl", "out.csv", "--snapshot", number)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"okawari: There is no snapshot {number} of case aapl; it has the snapshots 0 to 1. Choose one of these.\n"
    )
    assert not Path("out.csv").exists()


def test_a_file_that_is_there_is_kept_unless_told_otherwise(revised: float, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("mine")
    said = call("readings", "aapl", "mine.csv")
    assert said.err == (
        "okawari: mine.csv exists already; nothing was written. Choose another name, or use --overwrite.\n"
    )
    assert file.read_text() == "mine"
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv is a folder" in call("readings", "aapl", "folder.csv", "--overwrite").err


def test_a_file_that_cannot_be_finished_leaves_the_one_before_and_nothing_beside_it(
    revised: float, small_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.csv"
    file.write_text("before")

    def fill_disk(frame: pd.DataFrame, path: Path, **options: object) -> None:
        path.write_text("half of ")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fill_disk)
    with pytest.raises(OkawariError, match=r"out\.csv cannot be written: .*No space left on device.*free disk space"):
        export_readings(small_case, file, overwrite=True)
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.csv"]


def test_a_label_that_the_case_names_no_longer_stays_a_word(home: Path, tmp_path: Path) -> None:
    blobs = load_case("blobs")
    assert isinstance(blobs.task, Classify)
    _ingest(blobs, pd.DataFrame({"x": [1.0], "y": [-2.0], "blob": blobs.task.target.labels[-1:]}))
    fewer = replace(
        blobs, task=replace(blobs.task, target=replace(blobs.task.target, labels=blobs.task.target.labels[:2]))
    )
    export_readings(fewer, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["blob"].tolist() == ["south_east"]
