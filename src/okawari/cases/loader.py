"""Finds a case by its name: a bundled one, or a user's own file."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.settings import load_settings


def list_cases() -> list[str]:
    """Names of all cases: the user's own (files in `OKAWARI_CASES_DIR`) and the bundled ones."""
    return sorted(set(list_bundled()) | {path.stem for path in load_settings().cases_dir.glob("[a-z]*.py")})


def list_bundled() -> list[str]:
    """Names of the bundled cases."""
    return sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "loader"
    )


@cache
def load_case(name: str) -> Case:
    """The case of that name; a user's own file goes before a bundled one.

    Raises:
        InvalidInput: there is no such case, or its file defines no `CASE`.
    """
    own = load_settings().cases_dir / f"{name}.py"
    if name not in list_cases():
        raise InvalidInput(f"There is no case {name!r}; there are {', '.join(list_cases())}.")
    return _read_case(_load_file(own) if own.is_file() else importlib.import_module(f"okawari.cases.{name}"), name)


def load_text(text: str, path: Path, name: str) -> Case:
    """The case of that name in the text of a file that is yet to be written to `path`.

    Raises:
        InvalidInput: the text defines no such `CASE`.
    """
    module = ModuleType(f"okawari_case_{name}")
    module.__file__ = str(path)
    exec(compile(text, path, "exec"), module.__dict__)
    return _read_case(module, name)


def _read_case(module: ModuleType, name: str) -> Case:
    case = getattr(module, "CASE", None)
    if not isinstance(case, Case) or case.name != name:
        raise InvalidInput(f"{module.__file__} must define CASE = Case(name={name!r}, ...); it has {case!r}.")
    return case


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"okawari_case_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
