"""Load a case by its name: a bundled one, or a user's own file.

A user's folder is a separate package, named after its path. A case file imports a module of the same folder with
`from .my_recipe import MyRecipe`. Such a module never shadows a module of Python or of an installed package, and is
never shadowed by one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

from okawari.case import Case
from okawari.errors import InvalidInput, OkawariError
from okawari.settings import load_settings


def list_cases() -> list[str]:
    """Names of all cases: the user's own (files in `OKAWARI_CASES_DIR` that define `CASE`) and the bundled ones."""
    own = {name for name, path in _list_own().items() if _mentions_case(path)}
    return sorted(own.union(list_bundled()))


def _mentions_case(path: Path) -> bool:
    try:
        return re.search(r"\bCASE\b", path.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False  # a folder, or a link to a missing file


def _list_own() -> dict[str, Path]:
    """The user's own files by name: cases, and the recipes that they import."""
    return {path.stem: path for path in load_settings().cases_dir.glob("[a-z]*.py")}


def list_bundled() -> list[str]:
    """Names of the bundled cases."""
    return sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "loader"
    )


@cache
def load_case(name: str) -> Case:
    """The case of that name; a user's own file takes precedence over a bundled one.

    Raises:
        InvalidInput: there is no such case, or its file cannot be run or defines no `CASE`; the message names the file
            and the line.
    """
    if (own := _list_own().get(name)) is not None:
        return _read_case(_load_file(own), name)
    if name not in list_bundled():
        raise InvalidInput(f"There is no case {name!r}; there are {', '.join(list_cases())}.")
    return _read_case(importlib.import_module(f"okawari.cases.{name}"), name)


def load_cases(names: Iterable[str]) -> tuple[dict[str, Case], dict[str, OkawariError]]:
    """The cases of these names that can be loaded, and the errors of the others, each by name."""
    cases: dict[str, Case] = {}
    broken: dict[str, OkawariError] = {}
    for name in names:
        try:
            cases[name] = load_case(name)
        except OkawariError as error:
            broken[name] = error
    return cases, broken


def load_text(text: str, path: Path, name: str) -> Case:
    """The case of that name, from the text of a file before it is written to `path`.

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
    """Run a case's file as a module of its folder's package."""
    name = f"{_open_package(path.parent)}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up the module that a class is written in
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]  # a module that ran half would be given to the next import
        if isinstance(error, ImportError):
            raise InvalidInput(_explain_import(path, error)) from error
        if isinstance(error, Exception | SystemExit):
            raise InvalidInput(_explain_failure(path, error)) from error
        raise
    return module


def _open_package(folder: Path) -> str:
    """Create the package of a folder of cases, if there is none yet, and return its name. Each folder has its own."""
    place = folder.resolve()
    name = f"okawari_cases_{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
    if name not in sys.modules:
        package = ModuleType(name, f"The cases in {place}.")
        package.__path__ = [str(place)]
        sys.modules[name] = package
    return name


def _explain_failure(path: Path, error: BaseException) -> str:
    """The file, the line and the error of a case that cannot be run."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}, line {error.lineno or 1}: {error.msg}. Correct this line."
    frames = traceback.extract_tb(error.__traceback__)
    # The last line of the user's folder: what it calls may be in a library.
    folder = path.resolve().parent
    own = [
        frame for frame in frames if frame.filename.endswith(".py") and Path(frame.filename).resolve().parent == folder
    ]
    place = f"{own[-1].filename}, line {own[-1].lineno}" if own else str(path)
    if isinstance(error, OkawariError):
        return f"{place}: {error}"
    text = " ".join(str(error).split()) or "no message"
    return f"{place}: {type(error).__name__}: {text[:300]}. Correct this file."


def _explain_import(path: Path, error: ImportError) -> str:
    module = error.name or ""
    if (path.parent / f"{module}.py").is_file():
        return (
            f"{path} imports {module} as an installed module ({error}), but {module}.py is in the same folder. "
            f"Write `from .{module} import ...`."
        )
    return (
        f"{path} cannot be imported: {error}. It may import installed modules and, with `from .name import ...`, "
        "modules of its own folder. Correct the name, or import a training library inside `fit`, because the service "
        "does not have it."
    )
