"""Seconds of CPU, peak memory and loss of a whole training on big tables, beside LightGBM with 500 trees.

    python -m benchmarks.big_tables [numbers] [hours] [--rows N] [--later N]

    numbers   200,000 records of 20 numbers, and a number with interactions, steps and noise of variance 1
    hours     100,000 hourly readings with a daily and a weekly season

The case is what `okawari new` guesses for the table. A process of its own reads the table, validates it, holds the
contest of all candidates and their combination, and refits the challenger on everything; its peak memory is measured by
the system (Linux). The refitted graph and LightGBM are scored on later rows that neither has seen. Quantizing,
packaging and MLflow are not part of it. Everything runs on one thread, so seconds of CPU are those of a clock on an
idle machine. `--rows` and `--later` are for a quick look; few rows are judged in folds, as in every small table.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.cases.loader import load_text
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.dataset.folds import Folds, plan_folds
from okawari.dataset.windows import cut_windows
from okawari.evaluation.backtest import backtest
from okawari.evaluation.candidates import Contender
from okawari.evaluation.combined_contender import combine_contenders
from okawari.evaluation.contest import Contest, choose_winner
from okawari.evaluation.evidence import describe_design
from okawari.evaluation.leaderboard import describe_members
from okawari.evaluation.refit import refit_contender
from okawari.graph.inference import Graph
from okawari.models.combination import Combination, list_fitted
from okawari.models.fit_context import no_progress
from okawari.models.windows import WindowSet
from okawari.scaffold.codegen import write_draft
from okawari.scaffold.infer import Wish, guess_case

KINDS = {"numbers": 200_000, "hours": 100_000}
"""The tables, with the number of rows that a training knows."""
N_TREES = 500
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"some of {', '.join(KINDS)}; all by default")
    parser.add_argument("--rows", type=int, help="rows that a training knows; the default is the size of each table")
    parser.add_argument("--later", type=int, default=5_000, help="rows after these, which judge what serves")
    parser.add_argument("--step", choices=("guess", "train", "peer"), help="run one step in this process")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.step:
        steps = {"guess": write_case, "train": train, "peer": fit_peer}
        print(json.dumps({**steps[given.step](given.kinds[0], given.folder), "peak_mb": _read_peak_mb()}))
        return
    for kind in given.kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            write_tables(kind, given.rows or KINDS[kind], given.later, Path(folder))
            _measure(kind, Path(folder))


def _measure(kind: str, folder: Path) -> None:
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


def write_tables(kind: str, rows: int, later: int, folder: Path) -> None:
    """The files `known.csv` and `later.csv` of a table; the later rows come after the training."""
    table = draw_table(kind, rows + later)
    table.iloc[:rows].to_csv(folder / "known.csv", index=False)
    table.iloc[rows:].to_csv(folder / "later.csv", index=False)


def draw_table(kind: str, n: int, seed: int = 0) -> pd.DataFrame:
    """The table of this kind with `n` rows."""
    random = np.random.default_rng(seed)
    return _draw_numbers(random, n) if kind == "numbers" else _draw_hours(random, n)


def _draw_numbers(random: np.random.Generator, n: int) -> pd.DataFrame:
    x = random.normal(size=(n, 20))
    y = 3 * np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 2 * (x[:, 3] > 0.5) * x[:, 4] + np.abs(x[:, 5])
    y += 0.5 * x[:, 6] - 0.3 * x[:, 7] ** 2 + np.where(x[:, 8] > 0, x[:, 9], -x[:, 10]) + random.normal(size=len(x))
    return pd.DataFrame({**{f"x_{place}": x[:, place].round(5) for place in range(20)}, "y": y.round(5)})


def _draw_hours(random: np.random.Generator, n: int) -> pd.DataFrame:
    hour = np.arange(n)
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
    known = pd.read_csv(folder / "known.csv", dtype=str)
    wish = {"numbers": Wish(name="big", target="y"), "hours": Wish(name="big", target="load", time="at")}[kind]
    started = time.process_time()
    guess = guess_case(known, TableFile(folder / "known.csv", time=None), wish, datetime.now(UTC))
    (folder / "case.py").write_text(write_draft(guess))
    return {"guess_s": time.process_time() - started}


def train(kind: str, folder: Path) -> dict[str, Any]:
    """Fit, judge and combine the candidates of the case, and refit the challenger."""
    case = load_text((folder / "case.py").read_text(), folder / "case.py", "big")
    told: dict[str, Any] = {}
    started = time.process_time()
    folds = _clock("read_and_cut", told, lambda: plan_folds(_read_windows(case), case))
    contest = _hold_contest(case, folds, told)
    best = contest.challenger
    refit = _clock("refit", told, lambda: refit_contender(best, case, folds, no_progress))
    told |= {"serves": describe_members(best) or best.recipe.name, "fault": str(refit.fault)}
    told |= {"whole_s": time.process_time() - started, "training_peak_mb": _read_peak_mb()}
    return told | {"graph_mb": len(refit.graph) / 1e6} | _score_later(refit.graph, case, folder)


def _hold_contest(case: Case, folds: Folds, told: dict[str, Any]) -> Contest:
    """`okawari.evaluation.contest.hold_contest`, with the seconds and the peak memory after each candidate."""
    contenders: list[Contender] = []
    for recipe in list_fitted(case.candidates):
        contenders.append(_clock(recipe.name, told, partial(backtest, recipe, case, folds, no_progress)))
        told[f"{recipe.name}_loss"] = contenders[-1].scores.loss
    for recipe in case.candidates:
        if not isinstance(recipe, Combination):
            continue
        made = _clock(recipe.name, told, partial(combine_contenders, recipe, contenders, folds, case))
        if made is not None:
            contenders.append(made)
            told[f"{recipe.name}_loss"] = made.scores.loss
    return _clock("gate", told, lambda: choose_winner(contenders, case.gate, describe_design(folds)))


def _clock(name: str, told: dict[str, Any], work: Callable[[], T]) -> T:
    """What `work` returns; `told` gets its seconds of CPU and the peak memory after it."""
    started = time.process_time()
    made = work()
    told |= {f"{name}_s": time.process_time() - started, f"{name}_peak_mb": _read_peak_mb()}
    print(f"{name}: {told[f'{name}_s']:.1f} s, {told[f'{name}_peak_mb']:.0f} MB", file=sys.stderr, flush=True)
    return made


def _read_windows(case: Case, source: TableFile | None = None) -> WindowSet:
    from okawari.dataset.steps import lay_out_steps

    good = check_readings((source or case.source).read(None), case, datetime.now(UTC)).good
    return cut_windows(lay_out_steps(case.layout.stamp_records(good, case.time), case), case)


def _score_later(graph: bytes, case: Case, folder: Path) -> dict[str, float]:
    """Root mean squared error on the later rows, in the first step and in all."""
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

    known, later = (pd.read_csv(folder / f"{part}.csv", dtype="float32") for part in ("known", "later"))
    started = time.process_time()
    settings = {"objective": "regression", "verbosity": -1, "num_threads": 1, "seed": 0}
    booster = lightgbm.train(settings, lightgbm.Dataset(known.drop(columns="y"), label=known["y"]), N_TREES)
    told = {"fit_s": time.process_time() - started}
    errors = booster.predict(later.drop(columns="y")) - later["y"].to_numpy()
    return {**told, "later_rmse": float(np.sqrt(np.mean(errors**2)))}


if __name__ == "__main__":
    main()
