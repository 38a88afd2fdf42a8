"""A Bento takes a user's cases and recipes along, wherever their folder is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import BentoPathSpec

from bentos.bento_build import copy_sources
from okawari.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of cases outside of the checkout."""
    folder = tmp_path / "elsewhere"
    (folder / "__pycache__").mkdir(parents=True)
    for name in (
        "harbour.py", "neighbours.py", "nets/layers.py", "sales.csv", ".venv/library.py", "__pycache__/harbour.pyc",
        "state/bentoml/bentos/okawari/1/src/cases/old.py",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def _list(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("cases/harbour.py", True),
        ("cases/neighbours.py", True),
        ("cases/nets/layers.py", True),
        ("cases/sales.csv", False),
        ("elsewhere/harbour.py", False),
    ],
)
def test_the_bento_includes_the_modules_of_the_cases_folder(path: str, taken: bool, tmp_path: Path) -> None:
    include = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"]
    assert BentoPathSpec(include, [], str(tmp_path)).includes(path) is taken


def _copy(checkout: Path, tmp_path: Path, **change: Path) -> list[str]:
    include = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"]
    copy_sources(tmp_path / "sources", include, Settings(root=checkout, **change))
    return _list(tmp_path / "sources")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a module of each part, and a case."""
    for name in (
        "bentos/service.py",
        "src/okawari/a.py",
        "src/okawari/b/c.py",
        "cases/of_the_checkout.py",
        "flows/x.py",
    ):
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).write_text("")
    return tmp_path / "checkout"


SERVICE = ["bentos/service.py"]
CORE = ["src/okawari/a.py", "src/okawari/b/c.py"]


def test_a_folder_of_cases_outside_of_the_checkout_takes_the_place_of_the_one_inside(
    own: Path, checkout: Path, tmp_path: Path
) -> None:
    copied = _copy(checkout, tmp_path, cases_dir=own, home=own / "state")
    assert copied == [*SERVICE, "cases/harbour.py", "cases/neighbours.py", "cases/nets/layers.py", *CORE]


def test_the_folder_of_the_checkout_is_copied_where_there_is_no_other(checkout: Path, tmp_path: Path) -> None:
    copied = _copy(checkout, tmp_path, cases_dir=checkout / "cases")
    assert copied == [*SERVICE, "cases/of_the_checkout.py", *CORE]
