"""State carries a version; other versions are refused with what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.cases.loader import load_case
from okawari.contract.case_words import read_words
from okawari.data.datasets import Blobs
from okawari.errors import InvalidInput
from okawari.models.constant import Constant
from okawari.policy.decision import Decision
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, snapshots, table_schemas
from okawari.storage.contracts import load_contract
from okawari.storage.migrations import STEPS, Migration, migrate_state, number_records
from okawari.storage.state_version import (
    STATE_FILE,
    STATE_VERSION,
    ensure_state,
    read_state_version,
    write_state_version,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OKAWARI_HOME", str(tmp_path / "state"))
    load_settings.cache_clear()
    yield tmp_path / "state"
    load_settings.cache_clear()


def test_a_new_folder_is_marked_once(folder: Path) -> None:
    ensure_state(folder)
    assert json.loads((folder / STATE_FILE).read_text())["version"] == STATE_VERSION
    ensure_state.cache_clear()
    ensure_state(folder)


def test_state_without_a_version_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    with pytest.raises(InvalidInput, match=r"from before versions were kept.*empty folder"):
        ensure_state(folder)
    with pytest.raises(InvalidInput, match="cannot migrate it"):
        migrate_state(load_case)
    assert not (folder / STATE_FILE).exists()


@pytest.mark.parametrize(
    ("version", "todo"), [(STATE_VERSION + 1, "Install the newer Okawari"), (STATE_VERSION - 1, "okawari migrate")]
)
def test_state_of_another_version_is_refused_with_what_to_do(folder: Path, version: int, todo: str) -> None:
    write_state_version(folder, version)
    with pytest.raises(InvalidInput, match=f"state of version {version}.*{todo}"):
        ensure_state(folder)


def test_a_damaged_mark_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / STATE_FILE).write_text("{}")
    with pytest.raises(InvalidInput, match=r"state\.json cannot be read"):
        ensure_state(folder)


def test_a_migration_takes_every_step_and_goes_on_after_a_kill(folder: Path) -> None:
    write_state_version(folder, 1)
    taken: list[str] = []

    def fail(_: Migration) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate_state(load_case, (lambda _: taken.append("first"), fail))
    assert read_state_version(folder) == 2
    steps = (lambda _: taken.append("again"), lambda _: taken.append("second"))
    assert migrate_state(load_case, steps) == (2, 3)
    assert taken == ["first", "second"]


def test_there_is_a_step_to_every_version() -> None:
    assert len(STEPS) + 1 == STATE_VERSION


@pytest.mark.fault
def test_records_of_version_1_are_numbered_by_their_times_and_later_ones_follow(folder: Path) -> None:
    times = ["2024-01-02T10:00:00", "2024-01-01T10:00:00", "2024-01-03T10:00:00"]
    _write_old("decisions", [_decide(reason, at) for reason, at in zip("bac", times, strict=True)])
    _write_old("outcomes", [{**_OUTCOME, "value": value, "step": int(value)} for value in (1.0, 2.0)])
    write_state_version(folder, 1)
    assert migrate_state(load_case) == (1, STATE_VERSION)
    ensure_state.cache_clear()
    decision_log.record_decision("aapl", Decision("drift", "stable", "d"))
    found = decision_log.load_decisions("aapl")
    assert [(row["reason"], row["seq"]) for row in found] == [("d", 4), ("c", 3), ("b", 2), ("a", 1)]
    assert prediction_log.load_outcomes("aapl")["value"].tolist() == [1.0, 2.0]
    assert number_records(Migration(folder, load_case)) is None, "a step that was killed before its mark is taken again"
    assert [row["seq"] for row in decision_log.load_decisions("aapl")] == [4, 3, 2, 1]


@pytest.mark.fault
def test_predictions_of_version_2_get_an_empty_key_and_later_ones_keep_theirs(folder: Path) -> None:
    answer = {"id": "one", "index": 0, "case": "aapl", "mean": [1.0], "version": "1"}
    row = {**answer, "at": datetime(2024, 1, 2, tzinfo=UTC)}
    _write_old("predictions", [row], lacks=("label", "key"))
    write_state_version(folder, 2)
    assert migrate_state(load_case) == (2, STATE_VERSION)
    ensure_state.cache_clear()
    later = {**answer, "index": 1, "at": "2024-01-03T00:00:00+00:00", "key": "k"}
    prediction_log.record_predictions("aapl", [later])
    found = prediction_log.load_predictions("aapl")
    assert found[["index", "key"]].to_numpy().tolist() == [[0, None], [1, "k"]]
    assert found["mean"].map(list).tolist() == [[1.0], [1.0]]
    assert prediction_log.find_keyed("aapl", ["k"])["k"][0].index == 1


_OUTCOME = {
    "id": "one", "index": 0, "step": 1, "target": "", "at": datetime(2024, 1, 2, tzinfo=UTC), "case": "aapl",
}  # fmt: skip


def _decide(reason: str, at: str) -> dict[str, object]:
    facts = {"id": reason, "case": "aapl", "kind": "drift", "action": "stable", "reason": reason, "facts": "{}"}
    return {**facts, "at": datetime.fromisoformat(f"{at}+00:00")}


def _write_old(
    table: table_schemas.Table,
    rows: list[dict[str, object]],
    case_name: str = "aapl",
    lacks: tuple[str, ...] = ("seq", "label"),
) -> None:
    """A table as an earlier version laid it out; version 1 had no numbers."""
    fields = [field for field in table_schemas.SCHEMAS[table] if field.name not in lacks]
    write_deltalake(
        f"{load_settings().data_base}/{case_name}/{table}",
        pa.Table.from_pylist(rows, schema=pa.schema(fields)),
        mode="error",
        configuration={"delta.logRetentionDuration": "interval 36500 days"},
    )


FRUIT = Case(
    name="fruit", title="Fruit", source=Blobs(), time=ARRIVED,
    columns=(Column(name="grams", above=0), Column(name="colour", labels=("red", "green"))),
    task=Classify(target=Column(name="fruit", labels=("apple", "pear"))),
    candidates=(Constant(),),
)  # fmt: skip
LABELS = replace(FRUIT, columns=(FRUIT.columns[0], replace(FRUIT.columns[1], labels=("green", "red"))))


def test_labels_of_version_2_become_words_and_keep_their_order(folder: Path) -> None:
    _write_places()
    write_state_version(folder, 2)
    told: list[str] = []
    assert migrate_state(lambda name: FRUIT if name == "fruit" else load_case(name), say=told.append) == (2, 4)
    ensure_state.cache_clear()
    assert [line for line in told if line.startswith("fruit: its stored labels were converted to words")]
    assert read_words(load_contract("fruit")) == {"colour": ("red", "green"), "fruit": ("apple", "pear")}
    for case in (FRUIT, LABELS):
        for version in (0, None):  # the version before keeps its places, which are read by the contract
            assert snapshots.load_readings(case, version)["colour"].tolist() == ["green", "red"]
    before, after = snapshots.measure_snapshot(FRUIT, 0), snapshots.measure_snapshot(FRUIT, 1)
    assert before is not None and after is not None and after == snapshots.load_snapshot(FRUIT)
    assert before.digest == _digest_places()
    assert prediction_log.load_outcomes("fruit")["label"].tolist() == ["pear"]
    assert prediction_log.load_predictions("fruit")["label"].tolist() == ["pear"]


def test_predictions_of_version_3_have_calibrated_widths(folder: Path) -> None:
    answer: dict[str, object] = {"id": "one", "index": 0, "case": "aapl", "at": datetime(2024, 1, 2, tzinfo=UTC)}
    _write_old("predictions", [{**answer, "mean": [1.0]}], lacks=("width_factor", "interval_version"))
    write_state_version(folder, 3)
    assert migrate_state(load_case) == (3, 4)
    ensure_state.cache_clear()
    [row] = prediction_log.load_predictions("aapl").to_dict("records")
    assert (row["width_factor"], row["interval_version"]) == (None, None)
    later = {**answer, "index": 1, "at": "2024-01-03T00:00:00+00:00", "mean": [1.0], "width_factor": [1.5], "key": "k"}
    prediction_log.record_predictions("aapl", [later])
    factors = prediction_log.load_predictions("aapl")["width_factor"]
    assert factors[0] is None and list(factors[1]) == [1.5]


def test_records_follow_those_of_version_2(folder: Path) -> None:
    _write_places()
    write_state_version(folder, 2)
    migrate_state(lambda name: FRUIT if name == "fruit" else load_case(name), say=lambda _: None)
    ensure_state.cache_clear()
    good = pd.DataFrame({"grams": [90.0, 100.0], "colour": ["yellow", "green"], "fruit": ["pear", "apple"]})
    done = snapshots.record_readings(FRUIT, good, pd.DataFrame({"reason": []}), datetime(2025, 1, 1, tzinfo=UTC))
    assert (done.new_rows, done.snapshot.rows) == (1, 3)
    assert snapshots.load_readings(FRUIT)["colour"].tolist() == ["green", "red", "yellow"]


def test_a_case_without_a_file_is_named_and_read_when_it_has_one(folder: Path) -> None:
    _write_places()
    write_state_version(folder, 2)
    told: list[str] = []
    migrate_state(load_case, say=told.append)
    ensure_state.cache_clear()
    assert [line for line in told if line.startswith("fruit: its case file cannot be loaded")]
    assert snapshots.load_readings(FRUIT)["colour"].tolist() == ["green", "red"]
    good = pd.DataFrame({"grams": [90.0], "colour": ["yellow"], "fruit": ["pear"]})
    snapshots.record_readings(FRUIT, good, pd.DataFrame({"reason": []}), datetime(2025, 1, 1, tzinfo=UTC))
    assert snapshots.load_readings(FRUIT)["colour"].tolist() == ["green", "red", "yellow"]


_PLACES = pd.DataFrame({"grams": [100.0, 120.0], "colour": [1.0, 0.0], "fruit": [0.0, 1.0]})


def _digest_places() -> str:
    """The digest of a snapshot of numbers, as version 2 computed it."""
    content = hashlib.sha256("|".join(_PLACES.columns).encode())
    for name in _PLACES.columns:
        content.update(_PLACES[name].to_numpy().tobytes())
    return content.hexdigest()


def _write_places() -> None:
    """Records, an answer and its outcome as version 2 stored them: labels as places."""
    times = pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
    fields = {ARRIVED: pa.timestamp("us", tz="UTC"), **dict.fromkeys(_PLACES.columns, pa.float64())}
    notes = {"digest": _digest_places(), "rows": "2", "first_at": "2024-01-01", "last_at": "2024-01-02"}
    write_deltalake(
        f"{load_settings().data_base}/fruit/readings",
        pa.Table.from_pandas(_PLACES.assign(**{ARRIVED: times}), schema=pa.schema(fields), preserve_index=False),
        commit_properties=CommitProperties(custom_metadata={f"okawari.{name}": each for name, each in notes.items()}),
    )
    at = datetime(2024, 1, 2, tzinfo=UTC)
    _write_old("outcomes", [{**_OUTCOME, "case": "fruit", "value": 1.0, "seq": 1}], "fruit", lacks=("label",))
    answer = {"id": "one", "index": 0, "case": "fruit", "at": at, "mean": [0.2, 0.8], "version": "1"}
    _write_old("predictions", [answer], "fruit", lacks=("label",))
