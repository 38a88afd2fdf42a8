"""Where things may live: the top level, each engine's one home, and what is not allowed anywhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import grimp
import pytest

ROOT = Path(__file__).parents[2]

FOLDERS = {"flows", "bentos", "src", "ui", "monitoring", "tests", "docs", "benchmarks", "deploy", ".ci", ".github"}
FILES = {
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "bentofile.yaml",
    "compose.yaml",
    "prefect.yaml",
    "pyproject.toml",
    "requirements.lock",
}

EVERYWHERE = {"httpx", "numpy", "pandas", "pydantic", "pydantic_core", "typing_extensions"}
"""The ground that all packages stand on; each other third-party library has a contract in pyproject.toml."""

LOADS_CODE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def _list_sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


SOURCES = _list_sources("src", "flows", "bentos", "monitoring", "ui")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _walk(path: Path) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        yield node
        for_types_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        waiting += node.orelse if for_types_only else ast.iter_child_nodes(node)  # type: ignore[attr-defined]


def _list_tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so nothing says what is tracked")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


# --- files --------------------------------------------------------------------------------------------------------


def test_the_top_level_holds_what_it_is_meant_to_hold() -> None:
    tracked = _list_tracked()
    assert {name.partition("/")[0] for name in tracked if "/" in name} <= FOLDERS
    assert {name for name in tracked if "/" not in name} <= FILES


def test_git_ignores_no_file_of_ours() -> None:
    _list_tracked()
    names = "\n".join(map(_name, [*SOURCES, *_list_sources("tests", "benchmarks")]))
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=ROOT, input=names, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == []


def test_nothing_generated_is_tracked() -> None:
    endings = (".db", ".log", ".onnx", ".parquet", ".pyc", ".pkl", ".pt", ".html")
    assert [name for name in _list_tracked() if name.endswith(endings)] == []


def test_the_architecture_page_names_every_package_and_each_of_its_modules() -> None:
    """So that a reader finds the file of any behaviour in two steps: the package, then the module."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", page, re.MULTILINE)}
    for package in (path for path in (ROOT / "src" / "okawari").iterdir() if path.is_dir() and list(path.glob("*.py"))):
        modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
        missing = {module for module in modules if f"`{module}`" not in rows[package.name]}
        assert missing == set(), f"docs/architecture.md, {package.name}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    paths = [*SOURCES, *_list_sources("tests", "benchmarks")]
    assert {_name(path) for path in paths if VAGUE & {path.stem, path.parent.name}} == set()


def test_no_flow_file_shadows_a_library() -> None:
    # Prefect puts a flow file's folder first on the import path.
    taken = {*_list_libraries(), *sys.stdlib_module_names}
    assert {path.stem for path in _list_sources("flows")} & taken == {"__init__"} & taken


def test_modules_stay_short() -> None:
    long = {_name(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


# --- imports ------------------------------------------------------------------------------------------------------


def _list_libraries() -> set[str]:
    """Third-party libraries that the code imports."""
    roots = ("okawari", "flows", "bentos", "monitoring", "ui")
    graph = grimp.build_graph(*roots, include_external_packages=True, exclude_type_checking_imports=True)
    return {name.partition(".")[0] for name in graph.modules} - {*roots, *sys.stdlib_module_names}


def test_every_library_has_a_home() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    protected = [name for each in contracts if each["type"] == "protected" for name in each["protected_modules"]]
    assert sorted(protected) == sorted(_list_libraries() - EVERYWHERE)


def test_nothing_is_loaded_that_could_be_code() -> None:
    paths = [*SOURCES, *_list_sources("tests", "benchmarks")]
    assert {_name(path): found for path in paths if (found := set(_find_code_loading(path)))} == {}


def _find_code_loading(path: Path) -> Iterator[str]:
    for node in _walk(path):
        if isinstance(node, ast.Import):
            yield from LOADS_CODE & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from LOADS_CODE & {str(node.module)}
        elif isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if "allow_pickle" in given or (
                ast.unparse(node.func) == "torch.load" and given.get("weights_only") != "True"
            ):
                yield ast.unparse(node)


# --- privacy ------------------------------------------------------------------------------------------------------

_ASK = """
import bentoml._internal.utils.analytics.usage_stats as bentoml
import gradio.analytics as gradio
import mlflow.telemetry.utils as mlflow
import prefect._internal.analytics.enabled as prefect
from evidently.telemetry import event_logger as evidently
from prefect.settings import get_current_settings

print({
    "bentoml": bentoml.do_not_track(),
    "evidently": not evidently.is_enabled(),
    "gradio": not gradio.analytics_enabled(),
    "mlflow": mlflow.is_telemetry_disabled(),
    "prefect": not prefect.is_telemetry_enabled(),
    "prefect server": not get_current_settings().server.analytics_enabled,
})
"""


@pytest.mark.slow
def test_every_engine_says_that_its_telemetry_is_off_in_our_environment(tmp_path: Path) -> None:
    from okawari.local.programs import build_environment
    from okawari.settings import Settings

    # Some engines are silent in CI and in tests anyway, and other tests set switches too; neither is what is asked.
    with patch.dict(os.environ, {"PATH": os.environ["PATH"]}, clear=True):
        ours = build_environment(Settings(home=tmp_path))
    ours["HOME"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", _ASK], env=ours, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert answers == dict.fromkeys(answers, True)
