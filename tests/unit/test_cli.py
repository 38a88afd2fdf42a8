"""The command line: every command says what it does, every failure is one sentence, and exit codes tell them apart."""

from __future__ import annotations

import fcntl
import re
import socket
from collections.abc import Callable
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from okawari import __version__
from okawari.cli import main
from okawari.security.access import is_private
from okawari.settings import Settings, adopt_settings, load_settings
from okawari.simulation.sandbox import isolate

if TYPE_CHECKING:
    from tests.conftest import Said

COMMANDS = sorted(typer.main.get_command(main.app).commands)  # type: ignore[attr-defined]
Call = Callable[..., "Said"]


# --- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(main.app, [command, "--help"])
    assert shown.exit_code == 0
    found = typer.main.get_command(main.app).commands[command]  # type: ignore[attr-defined]
    explained = (found.help or "").split("\n")[0]
    assert explained
    assert explained.split(".")[0].split(",")[0] in " ".join(shown.output.replace("│", " ").split())


def _print_help(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERMINAL_WIDTH", str(columns))
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", columns)
    shown = CliRunner().invoke(main.app, [*filter(None, [command]), "--help"], prog_name="okawari")
    assert shown.exit_code == 0
    return [line.rstrip() for line in shown.output.splitlines()]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_laid_out_for_the_width_of_the_terminal(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _print_help(command, columns, monkeypatch)
    assert max(map(len, lines)) == columns  # the panels take the whole width
    text = [line.strip() for line in lines if not line.startswith(("╭", "│", "╰"))]
    for line, following in pairwise(text):
        if line and following:  # a line ends inside a paragraph only where the next word would not fit
            assert len(line) + 1 + len(following.split()[0]) > columns - 2, line
    for place, line in enumerate(text):
        if "Example:" in line:
            assert line.startswith("Example: okawari ") and not text[place - 1] and not text[place + 1]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_names_placeholders_alike_and_defaults_as_they_are_typed(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = "\n".join(_print_help(command, 120, monkeypatch))
    usage = shown.strip().splitlines()[0].split("okawari")[-1].split()
    assert all(re.fullmatch(r"\[?[A-Z]+\]?(\.\.\.)?", word) for word in usage if word not in (command, "[ARGS]..."))
    for unwanted in ("{", "}", "[default: (", "((", "<bool>", "00:00:00"):
        assert unwanted not in shown


def test_the_default_month_in_the_help_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    [default] = (parameter.default for name, parameter in signature(main.loop).parameters.items() if name == "until")
    assert f"{default:%Y-%m}, if left out" in " ".join(_print_help("loop", 120, monkeypatch))


def test_the_commands_are_those_of_the_readme() -> None:
    assert COMMANDS == [
        "accept",
        "approve",
        "deliveries",
        "discard",
        "doctor",
        "explain",
        "keys",
        "leaderboard",
        "loop",
        "migrate",
        "new",
        "outcomes",
        "pin",
        "predict",
        "promote",
        "quantize",
        "readings",
        "reject",
        "rollback",
        "run",
        "score",
        "status",
        "unbar",
        "unpin",
        "up",
        "versions",
    ]


def test_without_a_command_it_shows_what_there_is(call: Call) -> None:
    said = call()
    assert said.code == 2
    assert all(command in said.out + said.err for command in COMMANDS)


def test_the_version_can_be_asked_for(call: Call) -> None:
    assert call("--version").out == f"okawari {__version__}\n"


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "tsla"], "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits."),
        (["status", "tsla"], "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits."),
        (
            ["predict", "tsla", "--file", "new.csv"],
            "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits.",
        ),
        (["predict", "aapl", "--file", "gone.csv"], "There is no file gone.csv; give the path of a .csv or .parquet"),
        (["quantize", "diabetes", "--candidate", "tree"], "Case diabetes has no candidate 'tree'; it has constant, "),
        (["readings", "tsla", "tsla.csv"], "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits."),
        (["readings", "aapl", "a.csv"], "Case aapl has no readings yet; run: okawari run aapl."),
        (["readings", "aapl", "a.txt"], "a.txt ends in '.txt'; Okawari reads and writes .csv and .parquet. Rename it."),
        (["readings", "aapl", "gone/a.csv"], "There is no folder gone; make it, or choose another."),
        (["explain", "nobody"], "There is no prediction 'nobody' with index 0; an id is the `id` field of an answer"),
        (["explain", "nobody:3"], "There is no prediction 'nobody' with index 3"),
        (
            ["explain", "nobody:third"],
            "'nobody:third' is not a prediction; use an id, or id:3 for its fourth prediction",
        ),
        (["explain", "nobody:-1"], "'nobody:-1' is not a prediction"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_exit_code_one(arguments: list[str], told: str, call: Call) -> None:
    said = call(*arguments)
    assert said.code == 1
    assert said.err.startswith(f"okawari: {told}")
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "aapl", "--until", "yesterday"],
        ["loop", "--until", "2008-13"],
        ["status", "a", "b"],
    ],
)
def test_a_call_that_makes_no_sense_is_refused_with_exit_code_two(arguments: list[str], call: Call) -> None:
    said = call(*arguments)
    assert said.code == 2
    assert "Usage" in said.err


@pytest.mark.parametrize("arguments", [["run", "aapl"], ["predict", "aapl"]])
def test_where_nothing_runs_the_message_says_what_to_start(arguments: list[str], call: Call, free_port: int) -> None:
    adopt_settings(Settings(prefect_port=free_port, service_port=free_port))
    said = call(*arguments)
    assert said.code == 1
    assert f"http://127.0.0.1:{free_port}" in said.err
    assert said.err.endswith("start it with: okawari up.\n")


def test_a_setting_that_cannot_be_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKAWARI_SERVICE_PORT", "web")
    load_settings.cache_clear()
    said = call("status")
    assert said.code == 1
    assert said.err.startswith("okawari: OKAWARI_SERVICE_PORT is 'web': ")


@pytest.mark.timeout(60)
def test_up_on_a_taken_port_starts_nothing(call: Call, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        adopt_settings(Settings(ui_port=port))
        said = call("up", "--once")
    assert said.code == 1
    assert f"Port {port} (page) is taken" in said.err
    assert not (home / "logs").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", ["up", "loop"])
def test_a_second_up_or_loop_on_the_same_home_is_refused(command: str, call: Call, home: Path) -> None:
    folder = home if command == "up" else home / "loop"
    folder.mkdir(parents=True)
    (folder / "finished").touch()
    with (folder / "group.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a running group holds it
        said = call(command)
    assert said.code == 1
    assert f"Okawari already runs on {folder}" in said.err
    assert (folder / "finished").exists()


# --- loop ---------------------------------------------------------------------------------------------------------


def test_a_rehearsal_touches_no_state_port_or_server_but_its_own(home: Path) -> None:
    adopt_settings(
        Settings(
            prefect_url="http://team:1",
            mlflow_url="http://team:2",
            service_url="http://team:3",
            data_url="s3://team",
            host="0.0.0.0",
            allowed_hosts="models.example",
            api_key="okw_1_2",
            tls_cert="own.crt",
        )
    )
    own = isolate(load_settings(), fresh=False)
    assert own == load_settings()
    assert own.state_dir == home / "loop"
    assert own.data_base == str(home / "loop/data")
    assert not any("team" in base for base in (own.prefect_base, own.mlflow_base, own.service_base))
    ports = {own.prefect_port, own.mlflow_port, own.service_port, own.ui_port}
    assert len(ports) == 4
    assert is_private(own) and own.scheme == "http" and not own.api_key
    assert not ports & {4200, 5000, 3000, 7860}


@pytest.mark.parametrize(
    ("finished", "fresh", "kept"), [(False, False, True), (False, True, False), (True, False, False)]
)
def test_a_killed_rehearsal_goes_on_and_a_finished_one_makes_room(
    finished: bool, fresh: bool, kept: bool, home: Path
) -> None:
    (home / "loop").mkdir(parents=True)
    (home / "loop/rehearsal.json").write_text("[]")
    if finished:
        (home / "loop/finished").touch()
    isolate(load_settings(), fresh=fresh)
    assert (home / "loop/rehearsal.json").exists() == kept
