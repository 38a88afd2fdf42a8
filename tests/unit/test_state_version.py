"""State carries a version; other versions are refused with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from okawari.errors import InvalidInput
from okawari.policy.decision import Decision
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, table_schemas
from okawari.storage.migrations import STEPS, add_keys, migrate_state, number_records
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
        migrate_state()
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

    def fail(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate_state((lambda _: taken.append("first"), fail))
    assert read_state_version(folder) == 2
    assert migrate_state((lambda _: taken.append("again"), lambda _: taken.append("second"))) == (2, 3)
    assert taken == ["first", "second"]


def test_there_is_a_step_to_every_version() -> None:
    assert len(STEPS) + 1 == STATE_VERSION


@pytest.mark.fault
def test_records_of_version_1_are_numbered_by_their_times_and_later_ones_follow(folder: Path) -> None:
    times = ["2024-01-02T10:00:00", "2024-01-01T10:00:00", "2024-01-03T10:00:00"]
    _write_old("decisions", [_decide(reason, at) for reason, at in zip("bac", times, strict=True)])
    _write_old("outcomes", [{**_OUTCOME, "value": value, "step": int(value)} for value in (1.0, 2.0)])
    write_state_version(folder, 1)
    assert migrate_state() == (1, STATE_VERSION)
    ensure_state.cache_clear()
    decision_log.record_decision("aapl", Decision("drift", "stable", "d"))
    found = decision_log.load_decisions("aapl")
    assert [(row["reason"], row["seq"]) for row in found] == [("d", 4), ("c", 3), ("b", 2), ("a", 1)]
    assert prediction_log.load_outcomes("aapl")["value"].tolist() == [1.0, 2.0]
    assert number_records(folder) is None, "a step that was killed before its mark is taken again"
    assert [row["seq"] for row in decision_log.load_decisions("aapl")] == [4, 3, 2, 1]


@pytest.mark.fault
def test_predictions_of_version_2_get_an_empty_key_and_later_ones_keep_theirs(folder: Path) -> None:
    old = pa.schema([field for field in table_schemas.SCHEMAS["predictions"] if field.name != "key"])
    row = {**_PREDICTION, "at": datetime(2024, 1, 2, tzinfo=UTC)}
    write_deltalake(
        f"{load_settings().data_base}/aapl/predictions", pa.Table.from_pylist([row], schema=old), mode="error"
    )
    write_state_version(folder, 2)
    assert migrate_state() == (2, STATE_VERSION)
    ensure_state.cache_clear()
    prediction_log.record_predictions(
        "aapl", [{**_PREDICTION, "index": 1, "at": "2024-01-03T00:00:00+00:00", "key": "k"}]
    )
    found = prediction_log.load_predictions("aapl")
    assert found[["index", "key"]].values.tolist() == [[0, None], [1, "k"]]
    assert found["mean"].map(list).tolist() == [[1.0], [1.0]]
    assert add_keys(folder) is None, "a step that was killed before its mark is taken again"
    assert prediction_log.find_keyed("aapl", ["k"])["k"][0].index == 1


_PREDICTION = {"id": "one", "index": 0, "case": "aapl", "mean": [1.0], "version": "1"}
_OUTCOME = {
    "id": "one", "index": 0, "step": 1, "target": "", "at": datetime(2024, 1, 2, tzinfo=UTC), "case": "aapl",
}  # fmt: skip


def _decide(reason: str, at: str) -> dict[str, object]:
    facts = {"id": reason, "case": "aapl", "kind": "drift", "action": "stable", "reason": reason, "facts": "{}"}
    return {**facts, "at": datetime.fromisoformat(f"{at}+00:00")}


def _write_old(table: table_schemas.Table, rows: list[dict[str, object]]) -> None:
    """A table as version 1 laid it out: without numbers."""
    fields = [field for field in table_schemas.SCHEMAS[table] if field.name != "seq"]
    write_deltalake(
        f"{load_settings().data_base}/aapl/{table}",
        pa.Table.from_pylist(rows, schema=pa.schema(fields)),
        mode="error",
        configuration={"delta.logRetentionDuration": "interval 36500 days"},
    )
