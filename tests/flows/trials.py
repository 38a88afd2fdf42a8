"""Steps that the trials of drawn tables share: declare a case from a file, and ask its service."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from typer.testing import CliRunner

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.cli import main
from okawari.settings import load_settings
from okawari.storage import snapshots
from tests.drawn_tables import write_text


def declare(table: pd.DataFrame, target: str, *options: str, name: str = "trial", **written: Any) -> tuple[Case, str]:
    """Write a table beside the cases and declare a case from it; gives the case and what the command said."""
    path = write_text(table, Path(f"{name}.csv").resolve(), **written)
    return declare_file(path, target, *options, name=name)


def declare_file(path: Path, target: str, *options: str, name: str = "trial") -> tuple[Case, str]:
    """Declare a case from a file; gives the case and what the command said."""
    said = CliRunner().invoke(main.app, ["new", name, "--file", str(path), "--target", target, *options])
    assert said.exit_code == 0, f"{said.output}{said.exception}"
    load_case.cache_clear()
    return load_case(name), " ".join(said.output.split())


def refuse_file(path: Path, target: str, *options: str) -> str:
    """The reason for which a file is refused."""
    said = CliRunner().invoke(main.app, ["new", "refused", "--file", str(path), "--target", target, *options])
    assert said.exit_code != 0, said.output
    return str(said.exception)


def read_stored(case: Case) -> pd.DataFrame:
    """The stored readings, laid out on their calendar."""
    return snapshots.load_readings(case)


def ask(case: Case, instances: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The service's predictions: the forecast from the newest readings, or the answers to these records."""
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(case, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(case, runner, load_settings().state_dir / "journal")
        try:
            if instances is None:
                answer = asyncio.run(service.forecast())
            else:
                answer = asyncio.run(service.predict(json.dumps({"instances": instances}).encode()))
        finally:
            service.close()
    found: list[dict[str, Any]] = json.loads(json.dumps(answer["predictions"]))
    return found
