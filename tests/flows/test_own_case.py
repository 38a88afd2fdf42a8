"""A user's own table: one command writes the case, and the loop that serves the bundled ones serves it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from bentos.model_store import read_newest
from flows.ingest import ingest
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.cli import main
from okawari.dataset.windows import cut_windows
from okawari.graph.inference import Graph
from okawari.models.fit_context import TrainingData, no_progress
from okawari.registry import runs, versions
from okawari.schema.transforms import Difference
from okawari.settings import load_settings
from okawari.storage import snapshots
from okawari.storage.deployable import load_deployable
from okawari.training.recipe_trial import split_source
from tests.flows.conftest import Heard
from tests.pages import ROOT, find_blocks, write_file
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


def _write_page_files(folder: Path) -> None:
    """The case and the recipe of docs/extending.md, in the folder of own cases."""
    for _, text in find_blocks(ROOT / "docs" / "extending.md", "python"):
        write_file(text, folder)
    load_case.cache_clear()


def test_a_recipe_of_ones_own_is_trained_promoted_and_packaged(
    fresh: Case, heard: Heard, shelf: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_page_files(load_settings().cases_dir.parent)
    monkeypatch.setenv("OKAWARI_CASES", "harbour")
    load_settings.cache_clear()
    case = load_case("harbour")
    assert ingest("harbour")["new"] == len(case.source.read())
    assert train("harbour", cause="missing", reason="the tests begin")["action"] == "promote"
    champion = versions.load_champion("harbour")
    assert champion is not None
    losses = {row["candidate"]: row["rmse"] for row in runs.load_leaderboard(champion.run_id)}
    assert champion.candidate == "neighbours" and losses["neighbours"] < 0.5 * losses["random_walk"]

    split, everything = split_source(case), cut_windows(snapshots.load_readings(case), case)
    model = case.candidates[-1].fit(TrainingData(everything, everything[:0], seed=case.seed), no_progress)
    said_BH = case.task.transform.backward(split.holdout.level_B[:, None], model.predict(split.holdout))
    newest = read_newest("harbour")
    assert newest is not None
    graph = load_deployable(newest.path).graph
    np.testing.assert_allclose(Graph.load(graph).answer(split.holdout.x_BTF).mean_BH, said_BH, rtol=1e-6)

    [bento] = Path(os.environ["BENTOML_HOME"], "bentos", "okawari").glob("*/src")
    np.save(tmp_path / "x.npy", split.holdout.x_BTF[:2])
    (tmp_path / "graph.onnx").write_bytes(graph)
    _answer_in_the_bento(bento, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "mean.npy"), said_BH[:2], rtol=1e-6)


def _answer_in_the_bento(bento: Path, folder: Path) -> None:
    """With the files of a Bento alone, and without training libraries: load the case, and answer x.npy by its graph."""
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'skl2onnx', 'torch', 'mlflow')))\n"
        "import numpy as np; from pathlib import Path; from okawari.graph.inference import Graph, require_answers\n"
        "from okawari.cases.loader import load_case\n"
        f"folder = Path({str(folder)!r}); graph = Graph.load((folder / 'graph.onnx').read_bytes())\n"
        "require_answers(graph, load_case('harbour'))\n"
        "np.save(folder / 'mean.npy', graph.answer(np.load(folder / 'x.npy')).mean_BH)\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OKAWARI_")}
    environment = {**plain, "PYTHONPATH": str(bento)}
    done = subprocess.run([sys.executable, "-c", script], cwd=bento, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
