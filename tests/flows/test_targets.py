"""The loop over several targets at once: quarters of US inflation go round with the real engines."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from flows.ingest import ingest
from flows.monitor import monitor
from flows.score import score
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.registry import runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from tests.flows.conftest import Heard

PRICES = '''
"""US inflation with candidates that fit in a second."""
from dataclasses import replace

from okawari.cases.cpi import CASE as CPI
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.persistence import Persistence

CASE = replace(
    CPI,
    name="prices",
    candidates=(Persistence(), Linear(penalty=1.0), Lstm(hidden=8, layers=1, fc=4, epochs=5, batch_size=16)),
)
'''


@pytest.fixture
def prices(fresh: Case, heard: Heard) -> Case:
    """The case, ingested until the end of 1999; its events start nothing."""
    (load_settings().cases_dir / "prices.py").write_text(PRICES)
    load_case.cache_clear()
    assert ingest("prices", until=date(1999, 12, 31))["new"] == 164
    return load_case("prices")


def _ask_for_quarters(case: Case, readings: pd.DataFrame, places: range) -> list[dict[str, object]]:
    """Predictions from the windows that end with these readings, as a client asks for them."""
    plain = readings.assign(date=readings["date"].dt.strftime("%Y-%m-%d")).to_dict("records")
    windows = [plain[place - case.history + 1 : place + 1] for place in places]
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(case, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(case, runner, load_settings().state_dir / "journal")
        said = asyncio.run(service.predict(json.dumps({"instances": windows}).encode()))
        service.close()
    predictions: list[dict[str, object]] = said["predictions"]
    return predictions


def test_several_targets_go_round_the_loop(prices: Case, shelf: None, tmp_path: Path) -> None:
    assert train("prices", cause="missing", reason="the tests begin")["action"] == "promote"
    _require_record(prices)
    _require_scores(prices, tmp_path)
    _require_verdicts(prices)


def _require_record(prices: Case) -> None:
    """What the training left: leaderboard, figures, weights."""
    champion = versions.load_champion("prices")
    assert champion is not None and champion.loss_name == "joint loss"
    board = runs.load_leaderboard(champion.run_id)
    assert {row["candidate"] for row in board} == {recipe.name for recipe in prices.candidates}
    assert {"trend_skill_share", "acceleration_rmse", "regime_accuracy", "p_value"} <= set(board[0])
    client = MlflowClient(load_settings().mlflow_base)
    network = runs.find_candidate(prices, champion.run_id, "lstm_1x8")
    assert network is not None
    assert {"holdout.png", "loss.png", "weights.pt"} <= {each.path for each in client.list_artifacts(network)}


def _require_scores(prices: Case, tmp_path: Path) -> None:
    """A file is answered with a column for each target."""
    prices.source.read().to_csv(tmp_path / "in.csv", index=False)
    assert score("prices", tmp_path / "in.csv", tmp_path / "out.csv")["answered"] == 203 - 8
    answers = pd.read_csv(tmp_path / "out.csv")
    assert set(answers["regime"]) <= {"low", "moderate", "high"}
    assert (answers["acceleration_lower"] < answers["acceleration"]).all()


def _require_verdicts(prices: Case) -> None:
    """Later quarters bring drift, and outcomes for each target."""
    readings = prices.source.read()
    predictions = _ask_for_quarters(prices, readings, range(163, 183))
    assert set(predictions[0]["heads"]) == {"trend", "acceleration", "regime"}  # type: ignore[call-overload]
    assert ingest("prices", until=date(2004, 12, 31))["new"] == 20
    seen = monitor("prices")
    assert seen["drift"] in ("stable", "drifted") and seen["performance"] in ("good", "degraded")
    facts = decision_log.load_decisions("prices", kind="performance")[0]["facts"]
    assert {name: each["n"] for name, each in facts["targets"].items()} == dict.fromkeys(facts["targets"], 20)
    assert set(facts["targets"]) == {"trend", "acceleration", "regime"}


def test_revised_figures_are_a_new_snapshot_and_the_older_one_stays(prices: Case, tmp_path: Path) -> None:
    readings = prices.source.read(until=date(1999, 12, 31))
    revised = readings.assign(cpi=readings["cpi"].where(readings["date"] < "1999-12-31", readings["cpi"] + 0.4))
    revised.to_csv(tmp_path / "revised.csv", index=False)
    found = ingest("prices", file=tmp_path / "revised.csv")
    assert (found["new"], found["revised"]) == (0, 1)
    old, new = snapshots.load_readings(prices, 0), snapshots.load_readings(prices)
    assert new["cpi"].iloc[-1] == pytest.approx(old["cpi"].iloc[-1] + 0.4)
    pd.testing.assert_frame_equal(old, readings, check_exact=False)
