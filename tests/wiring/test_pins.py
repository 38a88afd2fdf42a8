"""What the Bento installs is what the tests ran with, and it is enough to answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

TRAINING = (
    "PIL", "bokeh_sampledata", "evidently", "gradio", "keras", "lightgbm", "matplotlib", "mlflow", "onnxmltools",
    "onnxscript", "optuna", "pandera", "plotly", "prefect", "scipy", "skl2onnx", "sklearn", "statsforecast",
    "statsmodels", "torch", "typer", "xgboost", "yfinance",
)  # fmt: skip
"""Libraries that an image which only answers does not have."""

BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
{statement}
"""


def _read_pins(lines: list[str]) -> dict[str, str]:
    pins = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in pins}


LOCK = _read_pins((ROOT / "requirements.lock").read_text().splitlines())
PINS = _read_pins(yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"])


def test_the_lock_names_one_exact_version_of_everything() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)] == []
    assert len(LOCK) == len(lines)


@pytest.mark.parametrize("name", PINS)
def test_the_bento_installs_the_version_of_the_lock(name: str) -> None:
    assert PINS[name] == LOCK[name]


def _run(statement: str, home: Path, blocked: tuple[str, ...] = TRAINING) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "OKAWARI_HOME": str(home),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
    }
    script = BLOCKED.format(blocked=blocked, statement=statement)
    return subprocess.run([sys.executable, "-c", script], env=environment, cwd=home, capture_output=True, text=True)


@pytest.mark.parametrize(
    "statement",
    [
        "import bentos.service",
        "import bentos.deploy, bentos.loading",
        "import okawari.cases.loader as c; c.load_case('aapl')",
    ],
)
def test_answering_needs_no_library_of_training(statement: str, tmp_path: Path) -> None:
    done = _run(statement, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_library_that_is_blocked_is_missed(tmp_path: Path) -> None:
    done = _run("import okawari.storage.tables", tmp_path, blocked=("deltalake",))
    assert "No module named 'deltalake'" in done.stderr


def test_the_page_needs_neither_training_nor_the_engines_of_the_loop(tmp_path: Path) -> None:
    done = _run(
        "import ui.app", tmp_path, blocked=("bentoml", "evidently", "mlflow", "prefect", "statsmodels", "torch")
    )
    assert done.returncode == 0, done.stderr
