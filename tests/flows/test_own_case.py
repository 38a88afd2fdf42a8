"""A user's own table: one command writes the case, and the loop that serves the bundled ones serves it."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.cli import main
from okawari.registry import runs, versions
from okawari.schema.transforms import Difference
from okawari.settings import load_settings
from tests.flows.conftest import Heard
from tests.tables import draw_counts


def _draw_sales(n: int = 140) -> pd.DataFrame:
    """Seeded sales that double every second day, in a table with names of its own."""
    random = np.random.default_rng(4)
    level = np.where(np.arange(n) % 2, 200.0, 100.0) * np.exp(random.normal(0, 0.02, n))
    days = pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d")
    return pd.DataFrame({"Day": days, "Units Sold": level.round(2), "Price": random.normal(5, 0.1, n).round(2)})


def _draw_visits(n: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(5)
    minutes = random.uniform(1, 30, n).round(1)
    return pd.DataFrame({"minutes": minutes, "device": random.choice(["phone", "desk"], n),
                         "outcome": np.where(minutes + random.normal(0, 2, n) > 15, "buys", "leaves")})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "table", "target"),
    [
        ("demand", _draw_sales(), "Units Sold"),
        ("counted", draw_counts(300), "units"),
        ("visits", _draw_visits(), "outcome"),
    ],
)
def test_a_table_becomes_a_case_that_serves(
    name: str, table: pd.DataFrame, target: str, fresh: Case, heard: Heard, shelf: None, tmp_path: Path
) -> None:
    table.to_csv(tmp_path / "table.csv", index=False)
    said = CliRunner().invoke(main.app, ["new", name, "--csv", str(tmp_path / "table.csv"), "--target", target])
    assert said.exit_code == 0, said.output
    load_case.cache_clear()
    assert ingest(name)["new"] == len(table)
    assert train(name, cause="missing", reason="the tests begin")["action"] == "promote"

    case, champion = load_case(name), versions.load_champion(name)
    assert champion is not None
    assert champion.candidate != case.baseline.name and champion.skill_share > 0.3
    assert len(runs.load_leaderboard(champion.run_id)) == len(case.candidates)
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(case, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(case, runner, load_settings().state_dir / "journal")
        answer = asyncio.run(service.forecast())
        service.close()
    assert answer["model"]["version"] == champion.version and answer["source"] == "ingested"
    [prediction] = json.loads(json.dumps(answer["predictions"]))
    if name == "demand":
        assert prediction["as_of"] == "2024-05-19" and prediction["mean"][0] < 150 < prediction["mean"][1]
    elif name == "counted":
        assert (
            case.task.transform == Difference() and prediction["as_of"] == "2023-10-28"
        )  # a Saturday; none on Sundays
        lower, upper = prediction["interval"]["lower"], prediction["interval"]["upper"]
        assert all(0 <= low <= mean < high for low, mean, high in zip(lower, prediction["mean"], upper, strict=True))
        assert lower[0] == 0 and prediction["mean"][0] < 2 < prediction["level"]
    else:
        assert prediction["label"] in ("buys", "leaves")
