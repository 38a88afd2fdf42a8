"""The code in documentation runs: doctests of all modules, Python blocks of all pages, and what shell blocks name."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from okawari.cli.main import app
from tests.pages import BLOCK, ROOT, find_blocks, write_file

FOLDERS = {"src/okawari": "src", "flows": ".", "bentos": ".", "monitoring": ".", "ui": ".", "tests": "."}
"""Where modules lie, and the folder that their dotted names begin in."""
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def _list_modules_with_examples() -> Iterator[str]:
    """Dotted names of the modules whose text has a doctest; the others are not imported for nothing."""
    for folder, start in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE):
                yield ".".join(path.relative_to(ROOT / start).with_suffix("").parts)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- Python -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", list(_list_modules_with_examples()))
def test_the_examples_of_a_module_are_right(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0, "what was expected and what came is on standard output"


@pytest.mark.parametrize("page", [page for page in PAGES if any(find_blocks(page, "python"))], ids=_name)
def test_the_python_of_a_page_runs(page: Path, home: Path) -> None:
    """Blocks of one page share their names, as a reader types them in one after the other; files are written."""
    names: dict[str, object] = {"__name__": "__main__"}
    for line, text in find_blocks(page, "python"):
        if write_file(text, Path.cwd()):
            continue
        # As many empty lines as stand before it, so that an error names the page's own line.
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)


# --- commands -----------------------------------------------------------------------------------------------------


def _list_calls(page: Path) -> Iterator[str]:
    """What follows `okawari` wherever a page calls it: in shell blocks, and in running text between backticks."""
    shell = [text for language in ("console", "sh", "bash") for _, text in find_blocks(page, language)]
    prose = re.findall(r"`((?:OKAWARI_\w+=\S+ )*okawari [^`]+)`", BLOCK.sub("", page.read_text()))
    for line in "\n".join([*shell, *prose]).splitlines():
        start = re.fullmatch(r"(?:\$ )?(?:OKAWARI_\w+=\S+ )*okawari (?P<rest>.*?)( +#.*)?", line.strip())
        if start:
            yield start["rest"].strip()


CALLS = sorted({call for page in PAGES for call in _list_calls(page)})


def _check_call(call: str) -> None:
    """Raise ValueError unless the command exists and takes these options and so many arguments.

    A name alone is a mention of the command, so nothing is missing then.
    """
    group = typer.main.get_command(app)
    name, *words = shlex.split(call)
    commands = group.commands  # type: ignore[attr-defined]
    if name.startswith("-"):
        assert name in {option for each in group.params for option in each.opts} | {"--help"}, name
        return
    if name not in commands:
        raise ValueError(f"there is no command {name}")
    command = commands[name]
    if words and (parts := getattr(command, "commands", None)):  # such as keys create
        if words[0] not in parts:
            raise ValueError(f"{name} has no command {words[0]}")
        command = parts[words.pop(0)]
    places = [each for each in command.params if each.param_type_name == "argument"]
    given = _count_arguments(words, [each for each in command.params if each.param_type_name == "option"])
    if given > len(places) or (words and given < sum(each.required for each in places)):
        raise ValueError(f"{name} takes {[each.name for each in places]}, not {given} arguments")


def _count_arguments(words: list[str], options: list[Any]) -> int:
    """How many of the words are neither options nor their values."""
    flags = {each.is_flag: set() for each in options}
    for each in options:
        flags[each.is_flag] |= {*each.opts, *each.secondary_opts}
    given, waiting = 0, iter(words)
    for word in waiting:
        name = word.partition("=")[0]
        if not word.startswith("-"):
            given += 1
        elif name in flags.get(False, ()):
            if "=" not in word and next(waiting, None) is None:
                raise ValueError(f"{name} needs a value")
        elif word not in flags.get(True, ()):
            raise ValueError(f"there is no option {word}")
    return given


def test_calls_are_found() -> None:
    assert len(CALLS) > 10
    assert "explain ID" in CALLS


@pytest.mark.parametrize("call", CALLS)
def test_a_command_that_a_page_names_exists_with_its_options(call: str) -> None:
    _check_call(call)


@pytest.mark.parametrize(
    "call", ["serve", "run aapl --retrian", "explain 1 2", "readings aapl", "new x --csv", "keys make x"]
)
def test_a_slip_in_a_command_would_be_noticed(call: str) -> None:
    with pytest.raises(ValueError):
        _check_call(call)


def test_a_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shell = [text for page in PAGES for _, text in find_blocks(page, "console")]
    named = set(re.findall(r"^(?:\$ )?(?:\w+=\S+ )*make ([a-z-]+)", "\n".join(shell), re.MULTILINE))
    assert named
    assert named <= targets
