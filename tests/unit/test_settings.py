"""Settings: one home for places and ports, read from the environment, refused in a sentence, handed on to children."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from okawari.errors import InvalidInput
from okawari.local.programs import GROUP_MARK, build_environment, list_programs
from okawari.settings import Settings, adopt_settings, load_settings


def test_without_any_environment_everything_is_local_and_below_one_folder(home: Path) -> None:
    settings = load_settings()
    assert settings.state_dir == home
    assert settings.logs_dir.parent == settings.reports_dir.parent == home
    assert settings.data_base == str(home / "data")
    assert settings.prefect_base == "http://127.0.0.1:4200"
    assert settings.mlflow_base == "http://127.0.0.1:5000"
    assert settings.service_base == "http://127.0.0.1:3000"
    assert settings.case_names == ("aapl",)


@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("PREFECT_URL", "https://prefect.example/", "prefect_base", "https://prefect.example"),
        ("MLFLOW_URL", "http://mlflow:5000", "mlflow_base", "http://mlflow:5000"),
        ("SERVICE_PORT", "3001", "service_base", "http://127.0.0.1:3001"),
        ("HOST", "0.0.0.0", "prefect_base", "http://127.0.0.1:4200"),
        ("HOST", "::", "page_base", "http://[::1]:7860"),
        ("TLS_CERT", "models.crt", "service_base", "https://127.0.0.1:3000"),
        ("ROOT_PATH", "/models/", "service_prefix", "/models"),
        ("ROOT_PATH", "/models", "ui_prefix", "/models"),
        ("UI_ROOT_PATH", "/", "ui_prefix", ""),
        ("DATA_URL", "s3://bucket/okawari/", "data_base", "s3://bucket/okawari"),
        ("CASES", " aapl, ,pears ,", "case_names", ("aapl", "pears")),
        ("DEVICE", "cuda:1", "device", "cuda:1"),
    ],
)
def test_each_place_can_be_set(
    name: str, value: str, read: str, expected: object, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OKAWARI_{name}", value)
    assert getattr(load_settings(), read) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_PORT", "web"),
        ("SERVICE_PORT", "70000"),
        ("DEVICE", "tpu"),
        ("THREADS", "0"),
        ("ROOT_PATH", "models"),
        ("UI_ROOT_PATH", "/a b"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_sentence(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OKAWARI_{name}", value)
    with pytest.raises(InvalidInput, match=f"OKAWARI_{name} is '{value}'"):
        load_settings()


def test_settings_are_read_once_until_others_are_adopted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_settings()
    monkeypatch.setenv("OKAWARI_THREADS", "7")
    assert load_settings() is first
    adopt_settings(first.model_copy(update={"threads": 5}))
    assert load_settings().threads == 5


def test_adopted_settings_reach_every_process_started_from_then_on(home: Path, tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path / "other", service_port=3999, cases="aapl,pears", data_url="s3://b", device="cpu")
    adopt_settings(chosen)
    assert load_settings() == chosen
    code = "from okawari.settings import load_settings as s; print(s().model_dump_json())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert Settings.model_validate_json(told) == chosen


def test_a_setting_cannot_be_changed_in_place(home: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().threads = 3  # type: ignore[misc]


# --- what the programs of a group are told ------------------------------------------------------------------------


def test_programs_are_told_places_that_do_not_depend_on_where_they_run(home: Path, tmp_path: Path) -> None:
    own = Settings(home=Path("state"), cases_dir=Path("cases"), data_url="tables")
    environment = build_environment(own)
    assert environment["OKAWARI_HOME"] == str(tmp_path / "state")
    assert environment["OKAWARI_CASES_DIR"] == str(tmp_path / "cases")
    assert environment["OKAWARI_DATA_URL"] == str(tmp_path / "tables")
    assert environment[GROUP_MARK] == str(tmp_path / "state")


def test_files_and_secrets_reach_the_programs(home: Path, tmp_path: Path) -> None:
    environment = build_environment(Settings(tls_cert="own.crt", tls_key="own.key", api_key="okw_1_2"))
    assert environment["OKAWARI_TLS_CERT"] == str(tmp_path / "own.crt")
    assert environment["OKAWARI_TLS_CA"] == ""
    assert environment["OKAWARI_API_KEY"] == "okw_1_2"
    assert "okw_1_2" not in repr(Settings(api_key="okw_1_2"))


@pytest.mark.parametrize("url", ["", "s3://bucket/okawari", "/data/okawari"])
def test_a_place_that_is_no_relative_folder_is_handed_on_as_it_is(url: str, home: Path) -> None:
    assert build_environment(Settings(data_url=url))["OKAWARI_DATA_URL"] == url


def test_every_program_that_serves_has_a_port_of_its_own_that_a_setting_moves(home: Path) -> None:
    serving = [program for program in list_programs(load_settings()) if program.port is not None]
    assert len({program.port for program in serving}) == len(serving) == 4
    for program in serving:
        os.environ[program.port_setting] = "4999"
        load_settings.cache_clear()
        (moved,) = [each for each in list_programs(load_settings()) if each.name == program.name]
        assert moved.port == 4999
        assert moved.port_setting == program.port_setting
