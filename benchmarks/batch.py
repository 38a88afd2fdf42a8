"""Rows a second of batch scoring, and its peak memory on a short and a long file.

Speed: the same Parquet file is scored by `okawari.scoring.job` (which also checks rows, stores parts and joins them),
by a loop that runs the graph on one window at a time, and by a simple script: pandas reads the whole file, ONNX Runtime
gets all windows at once, pandas writes the answers. The other two check nothing. The three take turns, so that a busy
machine slows all of them; the table shows the median round and its ratio to the loop.

Memory: the peak of a separate process (VmHWM, Linux) on a file and on one eight times longer.

    python -m benchmarks.batch             # one to two minutes
    python -m benchmarks.batch --rounds 1
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.serving import CASE as STOCK
from benchmarks.serving import ROOT, make_deployable
from okawari.dataset.arrays import to_array
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import ConstantCore, Interval
from okawari.scoring.job import score_file
from okawari.scoring.model import Model

CASE = replace(STOCK, frequency="5min", holidays="")
"""Generated rows come every five minutes."""
SPEED_ROWS = {"random walk": 100_000, "LSTM 2 x 64": 6_000}
MEMORY_ROWS = (100_000, 800_000)
_STEPS = range(1, CASE.task.width + 1)


def make_table(n_rows: int) -> pd.DataFrame:
    noise = np.random.default_rng(5)
    close = 400 * np.exp(np.cumsum(noise.normal(0, 0.001, n_rows)))
    frame = pd.DataFrame({CASE.time: pd.date_range("1990-01-01", periods=n_rows, freq="5min").astype("datetime64[ns]")})
    frame["open"], frame["high"], frame["low"] = close * 1.001, close * 1.02, close * 0.98
    frame["close"], frame["volume"] = close, noise.integers(1, 9, n_rows) * 1e7
    return frame


def make_graphs() -> dict[str, bytes]:
    horizon = CASE.task.width
    constant = build_graph(ConstantCore(np.zeros(horizon)), CASE, Interval(0.9, np.full(horizon, 0.05)))
    return {"random walk": constant, "LSTM 2 x 64": make_deployable(make_table(CASE.history)).graph}


def score_in_chunks(source: Path, graph: Graph) -> None:
    score_file(CASE, Model("1", graph), source, source.with_name("out.parquet"), overwrite=True)


def score_one_by_one(source: Path, graph: Graph) -> None:
    x_NF, history = to_array(pd.read_parquet(source), CASE), CASE.history
    answers = [graph.answer(x_NF[None, end - history : end]).mean_BH for end in range(history, len(x_NF) + 1)]
    pd.DataFrame(np.concatenate(answers), columns=[f"mean_{step}" for step in _STEPS]).to_parquet(
        source.with_name("loop.parquet")
    )


def score_at_once(source: Path, graph: Graph) -> None:
    x_NF, history = to_array(pd.read_parquet(source), CASE), CASE.history
    x_BTF = np.stack([x_NF[end - history : end] for end in range(history, len(x_NF) + 1)])
    mean_BH = graph.answer(x_BTF).mean_BH
    pd.DataFrame(mean_BH, columns=[f"mean_{step}" for step in _STEPS]).to_parquet(source.with_name("once.parquet"))


WAYS: dict[str, Callable[[Path, Graph], None]] = {
    "one window at a time": score_one_by_one,
    "all at once with pandas": score_at_once,
    "okawari score": score_in_chunks,
}


def measure_speed(folder: Path, n_rounds: int, share: float) -> list[str]:
    lines = ["| model | rows | way | rows/s | against the loop |", "|---|---|---|---|---|"]
    for name, content in make_graphs().items():
        source, graph = folder / "in.parquet", Graph.load(content)
        n_rows = int(SPEED_ROWS[name] * share)
        make_table(n_rows).to_parquet(source)
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(n_rounds):
            for way, score in WAYS.items():
                start = time.perf_counter()
                score(source, graph)
                seconds[way].append(time.perf_counter() - start)
        medians = {way: statistics.median(each) for way, each in seconds.items()}
        for way, median in medians.items():
            ratio = medians["one window at a time"] / median
            lines.append(f"| {name} | {n_rows} | {way} | {n_rows / median:.0f} | {ratio:.1f} |")
    return lines


def measure_memory(folder: Path, share: float) -> list[str]:
    (folder / "graph.onnx").write_bytes(make_graphs()["random walk"])
    lengths = [int(n_rows * share) for n_rows in MEMORY_ROWS]
    lines = [f"| way | file | {' | '.join(f'peak MB, {n} rows' for n in lengths)} |", "|---|---|---|---|"]
    peaks: dict[tuple[str, str], list[float]] = {}
    for n_rows in lengths:
        table = make_table(n_rows)
        table.to_parquet(folder / "long.parquet", row_group_size=n_rows)
        table.to_csv(folder / "long.csv", index=False)
        for way, ending in (("okawari score", "parquet"), ("okawari score", "csv"), (list(WAYS)[1], "parquet")):
            peaks.setdefault((way, ending), []).append(measure_peak_mb(way, folder / f"long.{ending}"))
    nothing = measure_peak_mb("", folder)
    lines += [
        f"| {way} | {ending} | {' | '.join(f'{each:.0f}' for each in mb)} |" for (way, ending), mb in peaks.items()
    ]
    return [*lines, f"(a process that imports all this and scores nothing: {nothing:.0f} MB)"]


def measure_peak_mb(way: str, source: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.batch", "--way", way, "--source", str(source)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def run_one(way: str, source: Path) -> None:
    """Score in one way in this process, and print its peak memory in MB."""
    if way:
        WAYS[way](source, Graph.load((source.parent / "graph.onnx").read_bytes()))
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Rows a second and peak memory of batch scoring.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the speed table (%(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="share of the usual rows, 0 to 1 (%(default)s)")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.source is not None:
        run_one(given.way, given.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(
            "\n".join(
                [
                    *measure_speed(Path(folder), given.rounds, given.share),
                    "",
                    *measure_memory(Path(folder), given.share),
                ]
            )
        )


if __name__ == "__main__":
    main()
