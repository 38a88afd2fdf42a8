"""What the `train` flow costs beside its fits: real servers of Prefect and MLflow, a process for each training.

    python -m benchmarks.train_flow                            # three small cases, one training each
    python -m benchmarks.train_flow --cases diabetes cpi --rounds 3
    python -m benchmarks.train_flow --profile out/             # and a profile of each training, for pstats

Columns, in seconds: the flow, its fits (`fit_s` of all candidates and the refit), packaging, and the rest by step: what
the tasks `fit` and `refit` take beside the fits (graphs, scores, figures, records), `quantize`, and everything outside
of tasks. CPU seconds are those of the training with its processes, and those of both servers.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from okawari.local.processes import send_signal
from okawari.local.programs import Program, build_environment, list_programs
from okawari.polling import poll
from okawari.settings import Settings
from okawari.simulation.sandbox import find_free_ports

CASES = ("diabetes", "blobs", "cpi")
COLUMNS = (
    "flow_s",
    "fit_s",
    "package_s",
    "rest_s",
    "fits_beside_s",
    "quantize_s",
    "outside_s",
    "cpu_s",
    "servers_cpu_s",
)
_START_S = 180.0


# --- one training, in a process of its own ------------------------------------------------------------------------


def train_once(name: str, profile: str) -> dict[str, float]:
    """Ingest and train a case in this process; its seconds by step."""
    os.environ["DO_NOT_TRACK"] = "1"
    from flows.ingest import ingest
    from flows.train import train

    ingest(name)
    watch = cProfile.Profile()
    before, started = _measure_cpu(), time.perf_counter()
    if profile:
        watch.enable()
    state: Any = train(name, cause="asked", reason="the benchmark", return_state=True)
    watch.disable()
    flow_s, cpu_s = time.perf_counter() - started, _measure_cpu() - before
    if profile:
        watch.dump_stats(Path(profile) / f"{name}-{os.getpid()}.prof")
    state.result()
    tasks = _load_tasks(str(state.state_details.flow_run_id))
    fit_s = _load_fits(name)
    seconds = {"flow_s": flow_s, "fit_s": fit_s, "package_s": tasks.get("package", 0.0), "cpu_s": cpu_s}
    return seconds | {
        "rest_s": flow_s - fit_s - seconds["package_s"],
        "fits_beside_s": tasks["fit"] + tasks["refit"] - fit_s,
        "quantize_s": tasks["quantize"],
        "outside_s": flow_s - sum(tasks.values()),
    }


def _measure_cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _load_tasks(flow_run_id: str) -> Mapping[str, float]:
    """Seconds of the tasks of a flow run, by their first word."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))

    def look() -> list[Any] | None:
        runs = client.read_task_runs(flow_run_filter=wanted)
        return runs if all(run.end_time for run in runs) else None

    with get_client(sync_client=True) as client:  # the server learns of the ends of tasks by events, a little later
        ended = poll(look, every_s=0.5, timeout_s=30)
    seconds: dict[str, float] = {}
    for run in ended or []:
        word = run.name.split()[0]
        seconds[word] = seconds.get(word, 0.0) + run.total_run_time.total_seconds()
    return seconds


def _load_fits(name: str) -> float:
    """Seconds in `fit`, of all candidates of the only training of a case and of the refit of the winner."""
    from okawari.registry.client import load_client

    experiment = load_client().get_experiment_by_name(name)
    candidates = load_client().search_runs([experiment.experiment_id], "tags.`okawari.kind` = 'candidate'")
    newest = max(run.data.tags["mlflow.parentRunId"] for run in candidates)
    own = [run for run in candidates if run.data.tags["mlflow.parentRunId"] == newest]
    refit_s = load_client().get_run(newest).data.metrics["refit_s"]
    return float(refit_s + sum(run.data.metrics["fit_s"] for run in own))


# --- the servers and the table ------------------------------------------------------------------------------------


@contextmanager
def run_servers(settings: Settings) -> Iterator[list[psutil.Process]]:
    """The Prefect and the MLflow server of an installation, with nothing deployed."""
    programs = [replace(each, deploy=()) for each in list_programs(settings) if each.name in ("prefect", "mlflow")]
    environment = build_environment(settings)
    started = [_start(program, settings, environment) for program in programs]
    try:
        for program in programs:
            url = f"http://127.0.0.1:{program.port}{program.ready_path}"
            assert poll(partial(_answers, url), every_s=0.2, timeout_s=_START_S), f"{url} does not answer"
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            send_signal(process, signal.SIGTERM)
            process.wait(30)


def _start(program: Program, settings: Settings, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    settings.logs_dir.mkdir(parents=True, exist_ok=True)
    with (settings.logs_dir / f"{program.name}.log").open("wb") as log:
        return subprocess.Popen(
            program.command, cwd=settings.root, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code < 400
    except httpx.HTTPError:
        return False


def measure_training(name: str, profile: str) -> dict[str, float]:
    """Seconds of the first training of a case in an installation of its own."""
    from okawari.settings import adopt_settings

    prefect_port, mlflow_port = find_free_ports(2)
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), cases=name, prefect_port=prefect_port, mlflow_port=mlflow_port)
        adopt_settings(settings)
        with run_servers(settings) as servers:
            before = _measure_servers(servers)
            command = [sys.executable, "-m", "benchmarks.train_flow", "--only", name, "--profile", profile]
            done = subprocess.run(
                command, cwd=settings.root, env=build_environment(settings), capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr[-3000:]
            seconds: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
            return seconds | {"servers_cpu_s": _measure_servers(servers) - before}


def _measure_servers(servers: Sequence[psutil.Process]) -> float:
    all_of_them = [process for server in servers for process in (server, *server.children(recursive=True))]
    return sum(sum(process.cpu_times()[:2]) for process in all_of_them)


def print_table(names: Sequence[str], rounds: int, profile: str) -> None:
    """Measure the cases in turn, as often as wanted, and print the median of each column."""
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            measured[name].append(measure_training(name, profile))
    print(f"{'case':<12}" + "".join(f"{column:>15}" for column in COLUMNS))
    for name, rows in measured.items():
        print(
            f"{name:<12}" + "".join(f"{median(row[column] for row in rows):>15.1f}" for column in COLUMNS), flush=True
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), help="bundled cases")
    parser.add_argument("--rounds", type=int, default=1, help="trainings of each case, of which the median is shown")
    parser.add_argument("--profile", default="", help="folder for the profiles of the trainings")
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only:
        result: dict[str, Any] = train_once(given.only, given.profile)
        print(json.dumps(result))
    else:
        print_table(given.cases, given.rounds, given.profile)


if __name__ == "__main__":
    main()
