"""Every benchmark runs, with its smallest sizes; its figures are not looked at."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SMALLEST = {
    "gate": "--parts levels equals power --series 1 --contests 3",
    "serving": "--rounds 1 --clients 1 --requests 3",
    "hostile": "--slices 1 --kinds 'deep nesting'",
    "big_tables": "numbers hours --rows 400 --later 200",
    "batch": "--rounds 1 --share 0.02",
    "false_alarms": "--seeds 2 --series iid",
    "combination_rules": "--seeds 1 --kinds walk labels",
    "readme_tables": "cpi --candidates constant",
    "false_holds": "--cases diabetes",
    "rolling_origins": "--origins 2 --seeds 1",
    "intervals": "--storm --drawn --seeds 1",
    "reading": "--mb 0.2",
    "train_flow": "--cases blobs",
    "records": "--parts blobs --seeds 2",
    "models": "--only nile iris --candidates linear_cv --peers 'seasonal naive' 'linear CV' --folder {home} --boards",
    "inflation": "--origins 1 --seeds 2 --candidates persistence linear_1",
}


PARTS = {
    "__init__",
    "model_scores",
    "model_tables",
    "plain_service",
    "public_tables",
    "record_peers",
    "series_peers",
    "served",
    "simulated_contests",
    "table_catalog",
}
"""Modules that benchmarks share."""


def test_each_benchmark_has_a_smallest_size() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - PARTS
    assert modules == set(SMALLEST)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "OKAWARI_HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", f"benchmarks.{name}", *shlex.split(SMALLEST[name].format(home=tmp_path))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
