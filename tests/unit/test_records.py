"""Records: every decision with its facts, and every journalled line in the tables once, whatever dies between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from okawari.errors import NotYet
from okawari.policy.decision import Decision
from okawari.storage import decision_log, prediction_log, tables
from okawari.storage.journal import Journal
from okawari.storage.state_version import ensure_state


def _decision(reason: str = "because", **facts: Any) -> Decision:
    return Decision("drift", "drifted", reason, facts)


def _answer(id: str, index: int = 0, **change: Any) -> dict[str, Any]:
    """A prediction as the service journals it."""
    return {
        "id": id,
        "index": index,
        "case": "aapl",
        "at": f"2008-01-02T10:00:0{index}+00:00",
        "as_of": "2008-01-02",
        "level": 27.5,
        "mean": [27.6, 27.7, 27.8],
        "lower": [26.6, 26.5, 26.4],
        "upper": [28.6, 28.7, 28.8],
        "version": "3",
        "graph_sha256": "ab" * 32,
        "variant": "fp32",
        "input_sha256": "cd" * 32,
        "source": "predict",
        **change,
    }


def _outcome(id: str, step: int = 1, value: float = 27.9) -> dict[str, Any]:
    return {
        "id": id,
        "index": 0,
        "step": step,
        "target": "",
        "value": value,
        "at": "2008-01-03T22:00:00+00:00",
        "case": "aapl",
    }


def _open_journal(kind: Any = "predictions", **limits: Any) -> Journal:
    return Journal(prediction_log.journal_dir("aapl"), kind, **limits)


def _write_closed(kind: Any, *rows: dict[str, Any]) -> None:
    """Rows in a segment that is closed, as it is two seconds later."""
    journal = _open_journal(kind)
    journal.append(rows)
    journal.close()


def _absorbed_ids() -> list[str]:
    return prediction_log.load_predictions("aapl")["id"].tolist()


# --- decisions ----------------------------------------------------------------------------------------------------


def test_decisions_come_back_newest_first_with_facts_as_they_were(home: Path) -> None:
    for number in range(5):
        facts = {"p_value": 0.01 * number, "columns": ["log_return"], "champion": None, "held": True}
        decision_log.record_decision("aapl", _decision(f"reason {number}", **facts))
    found = decision_log.load_decisions("aapl", 3)
    assert [row["reason"] for row in found] == ["reason 4", "reason 3", "reason 2"]
    assert found[0]["facts"] == {"p_value": 0.04, "columns": ["log_return"], "champion": None, "held": True}
    assert (found[0]["kind"], found[0]["action"], found[0]["case"]) == ("drift", "drifted", "aapl")
    assert found[0]["at"] > found[1]["at"]


def test_a_decision_keeps_its_links_and_those_it_lacks_are_none(home: Path) -> None:
    plain = decision_log.record_decision("aapl", _decision())
    linked = decision_log.record_decision(
        "aapl", _decision(), cause=plain, snapshot_version=4, run_id="r", model_version="2"
    )
    for find in (
        decision_log.find_decision,
        lambda case, id: next(r for r in decision_log.load_decisions(case) if r["id"] == id),
    ):
        row = find("aapl", linked)
        assert row is not None
        assert (row["cause"], row["snapshot_version"], row["run_id"], row["model_version"]) == (plain, 4, "r", "2")
        bare = find("aapl", plain)
        assert bare is not None
        assert [bare[name] for name in ("cause", "snapshot_version", "run_id", "model_version")] == [None] * 4


def test_decisions_of_one_kind_can_be_asked_for(home: Path) -> None:
    decision_log.record_decision("aapl", _decision())
    decision_log.record_decision("aapl", Decision("retrain", "skip", "too soon"))
    assert [row["action"] for row in decision_log.load_decisions("aapl", kind="retrain")] == ["skip"]
    assert decision_log.load_decisions("aapl", kind="variant") == []


def test_recording_a_decision_twice_under_its_id_records_it_once(home: Path) -> None:
    decision_id = decision_log.new_id()
    for reason in ("first", "again"):
        assert decision_log.record_decision("aapl", _decision(reason), id=decision_id) == decision_id
    assert [row["reason"] for row in decision_log.load_decisions("aapl")] == ["first"]


def test_cases_do_not_see_each_others_decisions(home: Path) -> None:
    decision_id = decision_log.record_decision("aapl", _decision())
    assert decision_log.load_decisions("cpi") == []
    assert decision_log.find_decision("cpi", decision_id) is None
    assert decision_log.find_decision("aapl", "nobody's") is None


def test_an_id_is_data_and_never_part_of_the_question(home: Path) -> None:
    decision_log.record_decision("aapl", _decision())
    assert decision_log.find_decision("aapl", "' OR '1'='1") is None


def test_decisions_recorded_at_once_are_all_kept(home: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: decision_log.record_decision("aapl", _decision()), range(8)))
    assert {row["id"] for row in decision_log.load_decisions("aapl")} == set(ids)


@pytest.mark.fault
def test_processes_that_record_at_once_give_no_number_twice(home: Path) -> None:
    script = (
        "from okawari.policy.decision import Decision\n"
        "from okawari.storage.decision_log import record_decision\n"
        "for _ in range(5): record_decision('aapl', Decision('drift', 'stable', 'calm'))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script], env=os.environ) for _ in range(3)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    numbers = [row["seq"] for row in decision_log.load_decisions("aapl", 100)]
    assert (len(set(numbers)), numbers) == (15, sorted(numbers, reverse=True))


@pytest.mark.fault
def test_a_decision_recorded_while_the_clock_was_a_day_ahead_is_older_than_the_next(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=1)

    with monkeypatch.context() as clock:
        clock.setattr(decision_log, "datetime", Tomorrow)
        decision_log.record_decision("aapl", _decision("first"))
    decision_log.record_decision("aapl", _decision("second"))
    newest, oldest = decision_log.load_decisions("aapl")
    assert (newest["reason"], oldest["reason"]) == ("second", "first")
    assert newest["at"] < oldest["at"]


# --- journal into tables ------------------------------------------------------------------------------------------


def test_a_journalled_answer_comes_back_from_the_table_as_it_was_given(home: Path) -> None:
    _write_closed("predictions", _answer("one"), _answer("one", 1, lower=None, upper=None, as_of=None))
    assert prediction_log.absorb_journal("aapl") == {"predictions": 2, "outcomes": 0}
    first, second = (prediction_log.find_prediction("one", index) for index in (0, 1))
    for name, value in _answer("one").items():
        assert name == "at" or first[name] == value
    assert first["at"].isoformat() == "2008-01-02T10:00:00+00:00"
    assert (second["lower"], second["upper"], second["as_of"]) == (None, None, None)


def test_predictions_and_outcomes_are_listed_oldest_first(home: Path) -> None:
    _write_closed("predictions", _answer("b", 1), _answer("a", 0))
    _write_closed("outcomes", _outcome("a"))
    prediction_log.absorb_journal("aapl")
    assert _absorbed_ids() == ["a", "b"]
    assert prediction_log.load_outcomes("aapl")["value"].tolist() == [27.9]


def test_absorbing_twice_changes_nothing_and_what_is_absorbed_is_deleted(home: Path) -> None:
    for _ in range(2):
        _write_closed("predictions", _answer("one"))
        assert prediction_log.absorb_journal("aapl")["predictions"] == 1
    assert _absorbed_ids() == ["one"]
    assert list((home / "journal/aapl/predictions").iterdir()) == []
    assert prediction_log.absorb_journal("aapl") == {"predictions": 0, "outcomes": 0}


def test_an_absorption_killed_before_it_deletes_is_made_good_by_the_next(home: Path) -> None:
    journal = _open_journal()
    journal.append([_answer("one"), _answer("two")])
    journal.close()
    (segment,) = (home / "journal/aapl/predictions").iterdir()
    before = segment.read_bytes()
    prediction_log.absorb_journal("aapl")
    segment.write_bytes(before)  # as if the merge had been the last thing it did
    prediction_log.absorb_journal("aapl")
    assert sorted(_absorbed_ids()) == ["one", "two"]
    assert not segment.exists()


def test_an_absorption_killed_before_it_merges_loses_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = _open_journal()
    journal.append([_answer("one")])
    journal.close()
    ensure_state(home)
    blocked = home / "data/aapl/predictions"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the table should be")
    monkeypatch.setattr(tables, "_PAUSE_S", 0.0)
    with pytest.raises(OSError, match="predictions cannot be read"):
        prediction_log.absorb_journal("aapl")
    blocked.unlink()
    prediction_log.absorb_journal("aapl")
    assert _absorbed_ids() == ["one"]


def test_a_line_torn_by_a_kill_is_left_out_and_the_rest_absorbed(home: Path) -> None:
    folder = home / "journal/aapl/predictions"
    folder.mkdir(parents=True)
    lines = json.dumps(_answer("one")) + "\n" + json.dumps(_answer("two"))[:50]
    (folder / "1-1.open").write_text(lines)
    assert prediction_log.absorb_journal("aapl")["predictions"] == 0, "its writer may be alive elsewhere"
    _open_journal()  # a service starts, and finds that the writer is not
    assert prediction_log.absorb_journal("aapl")["predictions"] == 1
    assert _absorbed_ids() == ["one"]
    assert list(folder.iterdir()) == []


def test_an_open_segment_of_a_living_writer_is_left_alone_until_it_is_closed(home: Path) -> None:
    journal = _open_journal(segment_s=3600)
    for number in range(3):
        journal.append([_answer(f"id{number}")])
        assert prediction_log.absorb_journal("aapl")["predictions"] == 0
        (segment,) = (home / "journal/aapl/predictions").iterdir()
        assert segment.suffix == ".open"
    journal.close()
    assert prediction_log.absorb_journal("aapl")["predictions"] == 3
    assert sorted(_absorbed_ids()) == ["id0", "id1", "id2"]


def test_two_absorptions_at_once_absorb_each_row_once(home: Path) -> None:
    journal = _open_journal(segment_rows=5)
    for number in range(20):
        journal.append([_answer(f"id{number:02}")])
    journal.close()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(prediction_log.absorb_journal, ["aapl"] * 3))
    assert sorted(_absorbed_ids()) == [f"id{number:02}" for number in range(20)]


@pytest.mark.fault
def test_a_corrected_outcome_counts_and_the_first_one_is_kept(home: Path) -> None:
    _write_closed("outcomes", _outcome("one", value=1.0), _outcome("one", step=2, value=3.0))
    prediction_log.absorb_journal("aapl")
    _write_closed("outcomes", _outcome("one", value=2.0))
    prediction_log.absorb_journal("aapl")
    told = prediction_log.load_outcomes("aapl").set_index("step")["value"]
    assert told.to_dict() == {1: 2.0, 2: 3.0}
    assert prediction_log.load_outcome_history("aapl")["value"].tolist() == [1.0, 3.0, 2.0]


@pytest.mark.fault
def test_a_correction_that_is_taken_back_is_kept_too(home: Path) -> None:
    for value in (1.0, 2.0, 1.0):
        _write_closed("outcomes", _outcome("one", value=value))
        prediction_log.absorb_journal("aapl")
    assert prediction_log.load_outcomes("aapl")["value"].tolist() == [1.0]
    assert prediction_log.load_outcome_history("aapl")["value"].tolist() == [1.0, 2.0, 1.0]


def test_of_two_values_in_one_request_the_last_one_counts(home: Path) -> None:
    _write_closed("outcomes", _outcome("one", value=1.0), _outcome("one", value=2.0))
    prediction_log.absorb_journal("aapl")
    assert prediction_log.load_outcomes("aapl")["value"].tolist() == [2.0]


def test_an_outcome_that_is_sent_twice_is_stored_once(home: Path) -> None:
    for _ in range(2):
        _write_closed("outcomes", _outcome("one"), _outcome("one"))
        prediction_log.absorb_journal("aapl")
    assert prediction_log.load_outcome_history("aapl")["value"].tolist() == [27.9]


@pytest.mark.fault
def test_outcomes_whose_absorption_was_killed_before_it_deleted_are_not_stored_again(home: Path) -> None:
    """The first line repeats what is known, so it is not stored; the second time it would undo the correction."""
    _write_closed("outcomes", _outcome("one", value=1.0))
    prediction_log.absorb_journal("aapl")
    _write_closed("outcomes", _outcome("one", value=1.0))
    _write_closed("outcomes", _outcome("one", value=2.0))
    kept = {path: path.read_bytes() for path in (home / "journal/aapl/outcomes").iterdir()}
    assert len(kept) == 2
    prediction_log.absorb_journal("aapl")
    for path, content in kept.items():
        path.write_bytes(content)
    _write_closed("outcomes", _outcome("two", value=5.0))
    prediction_log.absorb_journal("aapl")
    assert prediction_log.load_outcome_history("aapl")["value"].tolist() == [1.0, 2.0, 5.0]
    assert not list((home / "journal/aapl/outcomes").iterdir())


@pytest.mark.fault
def test_segments_are_absorbed_in_the_order_of_opening_whatever_the_clock_says(home: Path) -> None:
    folder = home / "journal/aapl/outcomes"
    folder.mkdir(parents=True)
    tomorrow_ns = time.time_ns() + 86_400_000_000_000  # the name that an older Okawari gave while the clock was ahead
    (folder / f"{tomorrow_ns}-aaaaaaaa.jsonl").write_text(json.dumps(_outcome("one", value=1.0)) + "\n")
    for value in (2.0, 3.0):
        _write_closed("outcomes", _outcome("one", value=value))
    prediction_log.absorb_journal("aapl")
    assert prediction_log.load_outcome_history("aapl")["value"].tolist() == [1.0, 2.0, 3.0]


def test_a_prediction_seconds_old_is_found_in_the_journal(home: Path) -> None:
    _open_journal().append([_answer("one"), _answer("one", 1)])
    assert prediction_log.find_prediction("one", 1)["index"] == 1
    assert prediction_log.load_predictions("aapl").empty


@pytest.mark.parametrize(("wanted", "index"), [("two", 0), ("one", 1), ("' OR '1'='1", 0), ("", 0)])
def test_an_unknown_prediction_is_said_to_be_unknown(wanted: str, index: int, home: Path) -> None:
    _write_closed("predictions", _answer("one"))
    for absorb in (False, True):
        if absorb:
            prediction_log.absorb_journal("aapl")
        with pytest.raises(NotYet, match=f"There is no prediction .* with index {index}; an id is the `id` field of"):
            prediction_log.find_prediction(wanted, index)


def test_a_case_without_journal_has_empty_tables_with_their_columns(home: Path) -> None:
    assert prediction_log.absorb_journal("aapl") == {"predictions": 0, "outcomes": 0}
    assert {"id", "as_of", "mean", "version"} <= set(prediction_log.load_predictions("aapl").columns)
    assert {"id", "step", "value"} <= set(prediction_log.load_outcomes("aapl").columns)
    assert prediction_log.list_stored_cases() == []


def test_many_small_merges_are_joined_and_nothing_is_lost(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MANY_FILES", 4)
    ids = {decision_log.record_decision("aapl", _decision(str(number))) for number in range(5)}
    assert tables.compact_records("aapl") == ["decisions"]
    assert {row["id"] for row in decision_log.load_decisions("aapl")} == ids
    assert tables.compact_records("aapl") == []
