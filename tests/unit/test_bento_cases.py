"""A Bento takes a user's cases and recipes along, wherever their folder is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from bentoml._internal.bento.build_config import BentoPathSpec

from bentos.deploy import _replace_cases
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


def test_a_folder_of_cases_outside_of_the_checkout_takes_the_place_of_the_one_inside(own: Path, tmp_path: Path) -> None:
    copied = tmp_path / "bento" / "cases"
    copied.mkdir(parents=True)
    (copied / "of_the_checkout.py").write_text("")
    _replace_cases(copied, Settings(root=tmp_path / "checkout", cases_dir=own, home=own / "state"))
    assert _list(copied) == ["harbour.py", "neighbours.py", "nets/layers.py"]


def test_the_folder_of_the_checkout_stays_as_it_was_copied(own: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    own.rename(checkout / "cases")
    copied = tmp_path / "bento" / "cases"
    copied.mkdir(parents=True)
    (copied / "harbour.py").write_text("")
    _replace_cases(copied, Settings(root=checkout, cases_dir=checkout / "cases"))
    assert _list(copied) == ["harbour.py"]
