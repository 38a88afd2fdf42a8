"""What is shipped is whole: an application comes with its templates and style sheets, or it does not come at all."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
APPLICATIONS = ("bentos", "flows", "monitoring", "ui")


def _list_files(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _list_wheel() -> set[Path]:
    """Files of the wheel; hatchling takes each package with all files in it."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel) == {"packages"}, "an option that this test does not know may leave files out"
    return {path for package in wheel["packages"] for path in _list_files(ROOT / package)}


def _list_bento() -> set[Path]:
    patterns = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"]
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


def test_the_wheel_holds_the_core_with_its_marker_of_types() -> None:
    assert ROOT / "src/okawari/py.typed" in _list_wheel()


def test_the_bento_holds_the_service_and_the_core() -> None:
    code = {path for folder in ("bentos", "src") for path in _list_files(ROOT / folder) if path.suffix == ".py"}
    assert code <= _list_bento()


@pytest.mark.parametrize("name", APPLICATIONS)
def test_an_application_is_shipped_with_all_its_files_or_not_at_all(name: str) -> None:
    files = set(_list_files(ROOT / name))
    for shipped in (_list_wheel(), _list_bento()):
        assert shipped & files in (set(), files)


def test_the_source_distribution_holds_the_pages_templates() -> None:
    # It holds what git does not ignore.
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so nothing says what is ignored")
    files = [path.relative_to(ROOT).as_posix() for path in _list_files(ROOT / "ui")]
    assert sum(name.endswith(".html.j2") for name in files) > 10
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join(files),
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == []
