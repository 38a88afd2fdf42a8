"""A table of customers gets further plans, while a service runs: no word changes its meaning."""

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
from flows.monitor import monitor
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.cli import main
from okawari.contract.case_words import read_words
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage import snapshots
from okawari.storage.contracts import load_contract
from tests.flows.conftest import Heard

LEAVES = {"plus": 0.05, "pro": 0.95, "basic": 0.1, "family": 0.9}


def _draw(n: int, seed: int, plans: tuple[str, ...]) -> pd.DataFrame:
    """Customers of whom nearly all with the plan pro or family leave, and nearly none of the others."""
    random = np.random.default_rng(seed)
    plan = random.choice(plans, n)
    leaves = random.random(n) < np.array([LEAVES[each] for each in plan])
    age = random.uniform(18, 80, n).round(2)
    return pd.DataFrame({"plan": plan, "age": age, "outcome": np.where(leaves, "left", "stayed")})


def _declare(table: pd.DataFrame, path: Path, *options: str) -> None:
    table.to_csv(path, index=False)
    said = CliRunner().invoke(main.app, ["new", "churn", "--csv", str(path), "--target", "outcome", *options])
    assert said.exit_code == 0, said.output
    load_case.cache_clear()


LOOP = asyncio.Runner()
"""One event loop for all questions, as a service has."""


def _ask(service: CaseService, *plans: str) -> list[dict[str, object]]:
    instances = [{"plan": plan, "age": 40.0} for plan in plans]
    answer = LOOP.run(service.predict(json.dumps({"instances": instances}).encode()))
    found: list[dict[str, object]] = answer["predictions"]
    return found


def _require_right(service: CaseService, *plans: str) -> None:
    for plan, said in zip(plans, _ask(service, *plans), strict=True):
        assert said["label"] == ("left" if LEAVES[plan] > 0.5 else "stayed"), (plan, said)
        assert said["note"] is None


@pytest.mark.heavy
def test_words_keep_their_meaning_through_a_rewritten_case_file(
    fresh: Case, heard: Heard, shelf: None, tmp_path: Path
) -> None:
    first = _draw(500, 1, ("plus", "pro"))
    _declare(first, tmp_path / "first.csv")
    assert ingest("churn")["new"] == 500
    assert train("churn", cause="missing", reason="the tests begin")["action"] == "promote"
    case = load_case("churn")
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(case, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(case, runner, load_settings().state_dir / "journal")
        _require_right(service, "plus", "pro")

        more = pd.concat([first, _draw(300, 2, ("basic", "family", "plus", "pro"))])
        _declare(more, tmp_path / "more.csv", "--overwrite")
        assert load_case("churn").column("plan").labels[0] == "basic", "the new file sorts the plans"
        assert ingest("churn")["new"] == 300
        kept = snapshots.load_readings(load_case("churn"))
        assert kept["plan"].tolist() == more["plan"].tolist() and kept["outcome"].tolist() == more["outcome"].tolist()
        words = read_words(load_contract("churn"))["plan"]
        assert words[:2] == ("plus", "pro") and set(words[2:]) == {"basic", "family"}
        _require_right(service, "plus", "pro")
        assert "does not know plan 'family'" in str(_ask(service, "family")[0]["note"])
        assert monitor("churn")["drift"] == "drifted"

        assert train("churn", cause="asked")["action"] == "promote"
        runner.check_store()
        champion, current = versions.load_champion("churn"), runner.served.current
        assert champion is not None and current is not None and current.manifest.version == champion.version
        _require_right(service, "basic", "family", "plus", "pro")
        service.close()
        LOOP.close()
