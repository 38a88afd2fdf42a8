from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from flows.ingest import ingest
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data import fred
from okawari.errors import InvalidInput, SourceUnavailable
from okawari.storage import decision_log, quarantine, snapshots
from tests.flows.conftest import Heard

END_2001 = date(2001, 12, 31)


@pytest.fixture
def history(fresh: Case) -> pd.DataFrame:
    """The case's readings until the end of 2001."""
    return fresh.source.read(END_2001)


def _write(frame: pd.DataFrame) -> Path:
    path = Path("readings.csv").resolve()
    frame.to_csv(path, index=False)
    return path


def test_new_readings_become_a_snapshot_a_verdict_and_an_event(
    fresh: Case, history: pd.DataFrame, heard: Heard
) -> None:
    done = ingest("small", until=END_2001)

    snapshot = snapshots.load_snapshot(fresh)
    assert snapshot is not None
    assert (snapshot.rows, snapshot.last_at) == (len(history), "2001-12-31")
    [verdict] = decision_log.load_decisions("small")
    assert (verdict["kind"], verdict["action"]) == ("quality", "accepted")
    assert verdict["snapshot_version"] == snapshot.version == done["snapshot"]
    [event] = heard()
    assert event.event == events.DATA_INGESTED
    assert event.resource.id == "okawari.case.small"
    assert event.resource["okawari.trace"] == verdict["id"]
    assert event.payload == {
        "snapshot": snapshot.version,
        "rows": len(history),
        "new": len(history),
        "revised": 0,
        "filled": 0,
        "quarantined": 0,
    }


def test_the_same_readings_again_change_and_tell_nothing(fresh: Case, heard: Heard) -> None:
    ingest("small", until=END_2001)
    before, told = snapshots.load_snapshot(fresh), len(heard())
    done = ingest("small", until=END_2001)
    assert (done["new"], done["revised"], done["quarantined"]) == (0, 0, 0)
    assert snapshots.load_snapshot(fresh) == before
    assert len(decision_log.load_decisions("small")) == 1
    assert len(heard()) == told


def test_later_readings_leave_the_earlier_snapshot_as_it_was(fresh: Case) -> None:
    # The server passes parameters as JSON: dates come as text.
    ingest("small", until="2001-12-28")  # type: ignore[arg-type]
    before = snapshots.load_snapshot(fresh)
    assert before is not None
    done = ingest("small", until="2001-12-31")  # type: ignore[arg-type]
    assert done == {
        "snapshot": before.version + 1,
        "rows": before.rows + 1,
        "new": 1,
        "revised": 0,
        "filled": 0,
        "quarantined": 0,
    }
    assert snapshots.load_snapshot(fresh, before.version) == before


def test_a_revised_reading_makes_a_new_snapshot(fresh: Case, history: pd.DataFrame, heard: Heard) -> None:
    ingest("small", until=END_2001)
    history.loc[history.index[-1], "volume"] += 1
    done = ingest("small", file=_write(history))
    assert (done["new"], done["revised"], done["snapshot"]) == (0, 1, 1)
    assert [event.payload["revised"] for event in heard()] == [0, 1]


def test_bad_rows_go_to_quarantine_with_their_reasons_and_good_rows_stay(
    fresh: Case, history: pd.DataFrame, heard: Heard
) -> None:
    damaged = history.astype({"close": object})
    damaged.loc[5, "close"] = "n/a?"
    damaged.loc[6, "high"] = 0.01
    damaged.loc[7, "date"] = pd.Timestamp("2199-01-01")
    done = ingest("small", file=_write(damaged))

    assert (done["rows"], done["quarantined"]) == (len(history) - 3, 3)
    kept = snapshots.load_stored(fresh)
    assert not kept["date"].isin(history["date"].iloc[5:8]).any()
    reasons = quarantine.load_quarantine(fresh)["reason"].str.cat(sep="\n")
    assert "close is 'n/a?', not a number" in reasons
    assert "high is below low" in reasons
    assert "date lies in the future" in reasons
    [verdict] = decision_log.load_decisions("small")
    assert verdict["action"] == "accepted in part"
    assert [event.payload["quarantined"] for event in heard()] == [3]


def test_only_bad_rows_are_recorded_but_make_no_snapshot_and_no_event(
    fresh: Case, history: pd.DataFrame, heard: Heard
) -> None:
    ingest("small", until=END_2001)
    later = history.tail(2).assign(date=lambda rows: rows["date"] + pd.Timedelta(days=7), volume=-1)
    done = ingest("small", file=_write(later))
    assert (done["snapshot"], done["new"], done["quarantined"]) == (0, 0, 2)
    assert decision_log.load_decisions("small")[0]["facts"]["quarantined"] == 2
    assert len(heard()) == 1  # the first ingest's


@pytest.mark.parametrize("content", ["", "date,open\n2001-01-02,1.0\n", "date,close\n\x00\x01"])
def test_what_is_no_table_of_readings_is_refused_recorded_and_raised(fresh: Case, content: str, heard: Heard) -> None:
    path = Path("readings.csv").resolve()
    path.write_text(content)
    with pytest.raises(InvalidInput):
        ingest("small", file=path)
    assert snapshots.load_snapshot(fresh) is None
    [verdict] = decision_log.load_decisions("small")
    assert (verdict["kind"], verdict["action"]) == ("quality", "refused")
    [event] = heard()
    assert event.event == events.DATA_REFUSED
    assert event.resource["okawari.trace"] == verdict["id"]
    assert event.payload == {"reason": verdict["reason"]}


def test_a_file_that_is_not_there_is_no_verdict_on_the_data(fresh: Case, heard: Heard) -> None:
    with pytest.raises(SourceUnavailable, match=r"There is no file .*readings\.csv"):
        ingest("small", file=Path("readings.csv").resolve())
    assert decision_log.load_decisions("small") == [] and heard() == []


def _lose_yfinance(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "yfinance", None)


def _lose_network(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fred, "FRED_URL", "http://127.0.0.1:9/fredgraph.csv")  # the discard port; nobody listens


@pytest.mark.parametrize(
    ("case", "lose", "told"),
    [
        ("aapl", _lose_yfinance, "yfinance, which is not installed; run: pip install"),
        ("cpi", _lose_network, "FRED did not answer for .*Check the network"),
    ],
)
def test_a_source_that_cannot_be_asked_is_no_verdict_on_the_data(
    fresh: Case,
    heard: Heard,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    lose: Callable[[pytest.MonkeyPatch], None],
    told: str,
) -> None:
    lose(monkeypatch)
    with pytest.raises(SourceUnavailable, match=told):
        ingest(case, live=True)
    assert decision_log.load_decisions(case) == [] and heard() == []


def test_a_line_with_too_many_fields_is_quarantined_and_the_rest_is_ingested(
    fresh: Case, history: pd.DataFrame
) -> None:
    path = _write(history.head(60))
    header, first, *others = path.read_text().splitlines()
    path.write_text("\n".join([header, f"{first},9", *others, ""]))
    done = ingest("small", file=path)
    assert (done["new"], done["quarantined"]) == (59, 1)
    [reason] = quarantine.load_quarantine(fresh)["reason"]
    assert reason.startswith("row 1: the line has")


def test_a_first_table_without_one_good_row_is_refused_but_kept_in_quarantine(
    fresh: Case, history: pd.DataFrame, heard: Heard
) -> None:
    with pytest.raises(InvalidInput):
        ingest("small", file=_write(history.head(3).assign(volume=0)))
    assert snapshots.load_snapshot(fresh) is None
    assert quarantine.count_quarantined(fresh) == 3
    assert [row["action"] for row in decision_log.load_decisions("small")] == ["refused"]
    assert [event.event for event in heard()] == [events.DATA_REFUSED]


def test_a_folder_of_pictures_is_ingested_and_what_is_none_goes_to_quarantine(fresh: Case, tmp_path: Path) -> None:
    for name in ("7/a.png", "7/b.png", "1/c.png"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 40), 200 if name == "7/a.png" else 10).save(tmp_path / "scans" / name)
    (tmp_path / "scans/1/list.txt").write_text("no picture")

    done = ingest("digits", file=tmp_path / "scans")

    assert (done["new"], done["quarantined"]) == (3, 1)
    assert sorted(snapshots.load_readings(load_case("digits"))["digit"]) == ["1", "7", "7"]
    assert quarantine.load_quarantine(load_case("digits"))["reason"][0].startswith(
        "pixel_00 is '1/list.txt: not a picture"
    )


def test_the_source_does_not_undo_what_a_later_edition_has_revised(
    fresh: Case, history: pd.DataFrame, heard: Heard
) -> None:
    ingest("small", until=END_2001)
    ingest("small", file=_write(history.assign(volume=history["volume"] + 1)))
    ingest("small", file=_write(fresh.source.read(date(2002, 1, 31)).tail(20)))
    done = ingest("small", until=END_2001)
    assert (done["new"], done["revised"]) == (0, 0)
    assert snapshots.load_readings(fresh)["volume"].iloc[0] == history["volume"].iloc[0] + 1
