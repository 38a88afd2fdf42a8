"""State carries a version; other versions are refused with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from okawari.errors import InvalidInput
from okawari.settings import load_settings
from okawari.storage.state_version import (
    STATE_FILE,
    STATE_VERSION,
    ensure_state,
    migrate_state,
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
