"""Write a guessed case as a file for its owner to read and change: plain code, with the assumptions as comments.

Each object is written as the call that builds it, with only those settings that differ from their defaults.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from okawari import case as case_names
from okawari.case import ARRIVED, Case
from okawari.cases.loader import list_bundled, load_text
from okawari.errors import OkawariError, require
from okawari.scaffold.guess import Guess
from okawari.schema.columns import NAME

_WIDTH = 120
_STEP = 4


_SHOWN = {
    "Case": ("time",), "Forecast": ("history", "horizon"), "TableFile": ("time",), "SqlQuery": ("time",),
}  # fmt: skip
"""Settings that are written even with their default values, because readers look for them."""


class _Name(str):
    """A name in the code, not a string."""


def require_free_name(name: str, folder: Path, *, overwrite: bool) -> Path:
    """The path of a new case's file.

    Raises:
        InvalidInput: the name is not valid, or a bundled case or an existing file has it.
    """
    require(
        bool(NAME.match(name)),
        f"The case's name is {name!r}; use lower-case letters, digits and _, at most 40, a letter first.",
    )
    require(name not in list_bundled(), f"There is a bundled case {name!r}; give yours another name.")
    path = folder / f"{name}.py"
    require(overwrite or not path.exists(), f"{path} exists already; give another name or add --overwrite.")
    return path


def save_draft(guess: Guess, path: Path) -> None:
    """Write the case's file in one step, after a check that its text loads as the guessed case.

    Raises:
        OkawariError: the folder cannot be written.
    """
    text = write_draft(guess)
    written = load_text(text, path, guess.case.name)
    assert written == guess.case, f"the file loads as {written}, the guess was {guess.case}"
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as failed:
        raise OkawariError(f"{path} cannot be written: {failed}. Give a folder with OKAWARI_CASES_DIR.") from failed


def write_draft(guess: Guess) -> str:
    """The text of the case's file."""
    parts = [_write_docstring(guess), "", *_write_imports(guess.case), "", "CASE = Case("]
    for field, value in _list_settings(guess.case):
        if field in guess.assumed:
            parts += _write_comment(guess.assumed[field], _STEP)
        is_arrived = field == "time" and value == ARRIVED
        parts += _lay_out(f"{field}=", _Name("ARRIVED") if is_arrived else value, _STEP, ",", exploded=field in _LISTS)
    return "\n".join([*parts, ")", ""])


_LISTS = ("columns", "features", "candidates")
"""Fields with one item per line, so that another item is easy to add."""


# --- around the case ----------------------------------------------------------------------------------------------


def _write_docstring(guess: Guess) -> str:
    case = guess.case
    summary = (
        f"{case.target.name} from {_name_source(case)}, as `okawari new {case.name}` guessed it; correct what is "
        f"wrong. Rows at that time: {guess.rows}."
    )
    lines = textwrap.wrap(_escape(summary), _WIDTH - 3)
    for text in (guess.plan, *guess.warnings):
        lines += ["", *textwrap.wrap(_escape(text), _WIDTH)] if text else []
    if guess.left_out:
        lines += ["", "Columns that are left out:"]
    for name, reason in guess.left_out.items():
        lines += textwrap.wrap(_escape(f"{name!r}: {reason}"), _WIDTH, initial_indent="    ", subsequent_indent=" " * 8)
    return '"""' + "\n".join(lines) + ('\n"""' if len(lines) > 1 else '"""')


def _name_source(case: Case) -> str:
    path = getattr(case.source, "path", None)
    return path.name if isinstance(path, Path) else "a query"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _write_comment(text: str, indent: int) -> list[str]:
    mark = " " * indent + "# "
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent=mark, subsequent_indent=mark)


def _write_imports(case: Case) -> list[str]:
    used: dict[str, set[str]] = {}
    for kind in _list_kinds(case):
        module = "okawari.case" if kind.__name__ in case_names.__all__ else kind.__module__
        used.setdefault(module, set()).add(kind.__name__)
    if case.time == ARRIVED:
        used["okawari.case"].add("ARRIVED")
    first = ["from pathlib import Path", ""] if isinstance(getattr(case.source, "path", None), Path) else []
    return [*first, *(f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(used.items()))]


def _list_kinds(value: Any) -> Iterator[type]:
    if is_dataclass(value):
        yield type(value)
        for _, part in _list_settings(value):
            yield from _list_kinds(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _list_kinds(part)


# --- code ---------------------------------------------------------------------------------------------------------


def _list_settings(made: Any) -> list[tuple[str, Any]]:
    """Fields of a dataclass that have to be written: those in `_SHOWN`, and those that differ from their defaults."""
    values = [(each, getattr(made, each.name)) for each in fields(made)]
    shown = _SHOWN.get(type(made).__name__, ())
    return [(each.name, value) for each, value in values if each.name in shown or value != _get_default(each)]


def _get_default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _lay_out(before: str, value: Any, indent: int, after: str, *, exploded: bool = False) -> list[str]:
    """The lines of a value: one if it fits, else one for each of its parts."""
    line = " " * indent + before + _write(value) + after
    opening, parts, closing = _take_apart(value)
    if not parts or (len(line) <= _WIDTH and not exploded):
        return [line]
    inner = [each for name, part in parts for each in _lay_out(name, part, indent + _STEP, ",")]
    return [" " * indent + before + opening, *inner, " " * indent + closing + after]


def _write(value: Any) -> str:
    """Write a value in one line."""
    opening, parts, closing = _take_apart(value)
    if not opening:
        return _write_plain(value)
    lonely = "," if opening == "(" and len(parts) == 1 else ""
    return opening + ", ".join(name + _write(part) for name, part in parts) + lonely + closing


def _take_apart(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """The opening, the parts and the closing of a value; all are empty for a value without parts."""
    if is_dataclass(value):
        placed = {each.name for each in fields(value) if not each.kw_only and each.default is MISSING}
        named = [("" if name in placed else f"{name}=", part) for name, part in _list_settings(value)]
        return f"{type(value).__name__}(", named, ")"
    if isinstance(value, tuple):
        return "(", [("", part) for part in value], ")"
    return "", [], ""


def _write_plain(value: Any) -> str:
    if isinstance(value, Path):
        return f"Path({_quote(str(value))})"
    return _quote(value) if isinstance(value, str) and not isinstance(value, _Name) else str(value)


def _quote(text: str) -> str:
    # Like formatters: double quotes, unless the text holds more of them than of single ones.
    mark = "'" if text.count('"') > text.count("'") else '"'
    return mark + "".join(_escape_letter(each, mark) for each in text) + mark


def _escape_letter(letter: str, mark: str) -> str:
    if letter in (mark, "\\"):
        return f"\\{letter}"
    return letter if letter.isprintable() else repr(letter)[1:-1]


def describe_guess(guess: Guess) -> Mapping[str, str]:
    """The assumptions, for the terminal."""
    case = guess.case
    described = {"task": guess.assumed["task"], "plan": guess.plan, "rows": f"{guess.rows}."}
    described |= {name: guess.assumed.get(name, "") for name in ("source", "time", "zone", "frequency", "key")}
    described["columns"] = ", ".join(case.column_names)
    described["meaning"] = guess.assumed["columns"]
    renamed = ", ".join(f"{given!r} as {name}" for given, name in getattr(case.source, "rename", ()))
    if renamed:
        described["renamed"] = renamed
    described |= {f"without {name!r}": reason for name, reason in guess.left_out.items()}
    described["candidates"] = ", ".join(recipe.name for recipe in case.candidates)
    return {what: text for what, text in {**described, "parts": guess.assumed["gate"]}.items() if text}
