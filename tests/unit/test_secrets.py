"""The installation's secret: made once, private, and shared by OKAWARI_SECRET."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from okawari.errors import InvalidInput, OkawariError
from okawari.security import secrets
from okawari.security.secrets import derive_password, derive_secret
from okawari.settings import load_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OKAWARI_HOME", str(tmp_path))
    monkeypatch.delenv("OKAWARI_SECRET", raising=False)
    load_settings.cache_clear()
    secrets._read_or_make.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(home: Path) -> None:
    first = derive_secret("answers")
    secrets._read_or_make.cache_clear()
    assert derive_secret("answers") == first and len(first) == 32
    file = home / "secrets" / "installation"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["installation"]


def test_purposes_have_different_secrets(home: Path) -> None:
    assert derive_password("mlflow") != derive_password("prefect")


def test_processes_that_start_together_have_one_secret(home: Path) -> None:
    path = home / "secrets" / "installation"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: secrets._read_or_make.__wrapped__(path), range(32)))
    assert len(made) == 1


def test_replicas_share_the_secret_of_the_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKAWARI_SECRET", "0123456789abcdef" * 2)
    load_settings.cache_clear()
    assert derive_secret("answers") == derive_secret("answers")
    assert not (home / "secrets").exists()


def test_a_short_secret_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKAWARI_SECRET", "hunter2")
    load_settings.cache_clear()
    with pytest.raises(InvalidInput, match="OKAWARI_SECRET has 7 characters") as refused:
        derive_secret("answers")
    assert "hunter2" not in str(refused.value)


def test_a_secret_that_others_can_read_is_refused(home: Path) -> None:
    derive_secret("answers")
    (home / "secrets" / "installation").chmod(0o644)
    secrets._read_or_make.cache_clear()
    with pytest.raises(InvalidInput, match="chmod 600"):
        derive_secret("answers")


def test_a_cut_secret_is_refused(home: Path) -> None:
    derive_secret("answers")
    (home / "secrets" / "installation").write_bytes(b"short")
    secrets._read_or_make.cache_clear()
    with pytest.raises(InvalidInput, match="5 bytes"):
        derive_secret("answers")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OKAWARI_HOME", str(tmp_path / "file"))
    load_settings.cache_clear()
    with pytest.raises(OkawariError, match="cannot be stored or read"):
        derive_secret("answers")
    load_settings.cache_clear()
