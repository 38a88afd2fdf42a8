"""Seconds of CPU, peak memory and loss of a whole training on big tables, beside LightGBM with 500 trees.

    python -m benchmarks.big_tables [numbers] [hours]

    numbers   200,000 records of 20 numbers, and a number with interactions, steps and noise of variance 1
    hours     100,000 hourly readings with a daily and a weekly season

The case is what `okawari new` guesses for the table. A process of its own reads the table, validates it, fits all
candidates, judges them, and refits the best one on everything; its peak memory is measured by the system (Linux). The
refitted graph and LightGBM are scored on later rows that neither has seen. Quantizing, packaging and MLflow are not
part of it. Everything runs on one thread, so seconds of CPU are those of a clock on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.cases.loader import load_text
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.dataset.folds import plan_folds
from okawari.dataset.windows import cut_windows
from okawari.evaluation.backtest import backtest
from okawari.evaluation.candidates import Contender
from okawari.evaluation.refit import refit_contender
from okawari.graph.inference import Graph
from okawari.models.fit_context import no_progress
from okawari.models.windows import WindowSet
from okawari.scaffold.codegen import write_draft
from okawari.scaffold.infer import Wish, guess_case

KINDS = ("numbers", "hours")
LATER = 5_000
N_TREES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(KINDS)}; all by default")
    parser.add_argument("--step", choices=("guess", "train", "peer"), help="run one step in this process")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.step:
        steps = {"guess": write_case, "train": train, "peer": fit_peer}
        print(json.dumps({**steps[given.step](given.kinds[0], given.folder), "peak_mb": _read_peak_mb()}))
        return
    for kind in given.kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            _measure(kind, Path(folder))


def _measure(kind: str, folder: Path) -> None:
    draw_table(kind).to_csv(folder / "table.csv", index=False)
    for step in ("guess", "train", *(("peer",) if kind == "numbers" else ())):
        command = [sys.executable, "-m", "benchmarks.big_tables", kind, "--step", step, "--folder", str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        print(f"{kind}, {step}:")
        for name, value in told.items():
            print(f"  {name:36} {value if isinstance(value, str) else f'{value:10.3f}'}", flush=True)


def _read_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- tables -------------------------------------------------------------------------------------------------------


def draw_table(kind: str, seed: int = 0) -> pd.DataFrame:
    """The table of this kind; its last LATER rows come after the training."""
    random = np.random.default_rng(seed)
    return _draw_numbers(random) if kind == "numbers" else _draw_hours(random)


def _draw_numbers(random: np.random.Generator, n: int = 200_000) -> pd.DataFrame:
    x = random.normal(size=(n + LATER, 20))
    y = 3 * np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 2 * (x[:, 3] > 0.5) * x[:, 4] + np.abs(x[:, 5])
    y += 0.5 * x[:, 6] - 0.3 * x[:, 7] ** 2 + np.where(x[:, 8] > 0, x[:, 9], -x[:, 10]) + random.normal(size=len(x))
    return pd.DataFrame({**{f"x_{place}": x[:, place].round(5) for place in range(20)}, "y": y.round(5)})


def _draw_hours(random: np.random.Generator, n: int = 100_000) -> pd.DataFrame:
    hour = np.arange(n + LATER)
    wander = np.zeros(len(hour))
    for place in range(1, len(hour)):
        wander[place] = 0.95 * wander[place - 1] + random.normal()
    season = 6 * np.sin(2 * np.pi * hour / 24) + 3 * np.cos(4 * np.pi * hour / 24) + 4 * np.sin(2 * np.pi * hour / 168)
    level = 60 + season + 2 * wander
    at = pd.date_range("2010-01-01", periods=len(hour), freq="h")
    return pd.DataFrame({"at": at.strftime("%Y-%m-%dT%H:%M:%S"), "load": level.round(3)})


# --- steps --------------------------------------------------------------------------------------------------------


def write_case(kind: str, folder: Path) -> dict[str, Any]:
    """Guess the case of the table without its later rows, and write its file."""
    known = pd.read_csv(folder / "table.csv", dtype=str).iloc[:-LATER]
    known.to_csv(folder / "known.csv", index=False)
    wish = {"numbers": Wish(name="big", target="y"), "hours": Wish(name="big", target="load", time="at")}[kind]
    started = time.process_time()
    guess = guess_case(known, TableFile(folder / "known.csv", time=None), wish, datetime.now(UTC))
    (folder / "case.py").write_text(write_draft(guess))
    return {"guess_s": time.process_time() - started}


def train(kind: str, folder: Path) -> dict[str, Any]:
    """Fit, judge and refit the candidates of the case."""
    case = load_text((folder / "case.py").read_text(), folder / "case.py", "big")
    told: dict[str, Any] = {}
    whole = started = time.process_time()
    folds = plan_folds(_read_windows(case), case)
    told["read_and_cut_s"] = time.process_time() - started
    contenders = []
    for recipe in case.candidates:
        if recipe.name == "combination":
            continue
        started = time.process_time()
        contender = backtest(recipe, case, folds, no_progress)
        told[f"{recipe.name}_s"] = time.process_time() - started
        told[f"{recipe.name}_loss"] = contender.scores.loss
        told[f"{recipe.name}_peak_mb"] = _read_peak_mb()
        # The gate needs the scores of all, and the model of the best one.
        contenders.append(contender)
        print(
            {name: value for name, value in told.items() if name.startswith(recipe.name)}, file=sys.stderr, flush=True
        )
        contenders.sort(key=lambda each: each.scores.loss)
        del contenders[1:]
    [best] = contenders
    started = time.process_time()
    refit = refit_contender(best, case, folds, no_progress)
    told |= {"best": best.recipe.name, "refit_s": time.process_time() - started, "fault": str(refit.fault)}
    told |= {"whole_s": time.process_time() - whole, "graph_mb": len(refit.graph) / 1e6}
    told["training_peak_mb"] = _read_peak_mb()
    return told | _score_later(best, refit.graph, case, folder)


def _read_windows(case: Case, source: TableFile | None = None) -> WindowSet:
    from okawari.dataset.steps import lay_out_steps

    good = check_readings((source or case.source).read(None), case, datetime.now(UTC)).good
    return cut_windows(lay_out_steps(case.layout.stamp_records(good, case.time), case), case)


def _score_later(best: Contender, graph: bytes, case: Case, folder: Path) -> dict[str, float]:
    """Root mean squared error on the later rows, in the first step and in all."""
    table = pd.read_csv(folder / "table.csv", dtype=str).iloc[-LATER:]
    table.to_csv(folder / "later.csv", index=False)
    assert isinstance(case.source, TableFile)
    later = _read_windows(case, replace(case.source, path=folder / "later.csv"))
    errors_BH = Graph.load(graph).answer(later.x_BTF).mean_BH - later.true_BH
    return {
        "later_rmse": float(np.sqrt(np.mean(errors_BH[:, 0] ** 2))),
        "later_rmse_of_all_steps": float(np.sqrt(np.mean(errors_BH**2))),
    }


def fit_peer(kind: str, folder: Path) -> dict[str, float]:
    """LightGBM with its defaults and 500 trees, on the same known rows; judged on the same later ones."""
    import lightgbm

    table = pd.read_csv(folder / "table.csv", dtype="float32")
    known, later = table.iloc[:-LATER], table.iloc[-LATER:]
    started = time.process_time()
    settings = {"objective": "regression", "verbosity": -1, "num_threads": 1, "seed": 0}
    booster = lightgbm.train(settings, lightgbm.Dataset(known.drop(columns="y"), label=known["y"]), N_TREES)
    told = {"fit_s": time.process_time() - started}
    errors = booster.predict(later.drop(columns="y")) - later["y"].to_numpy()
    return {**told, "later_rmse": float(np.sqrt(np.mean(errors**2)))}


if __name__ == "__main__":
    main()
