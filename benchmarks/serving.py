"""Requests a second and waiting times of the prediction service, compared with `benchmarks.plain_service`.

Each request has one window of 60 readings for a 2 x 64 LSTM; 1, 16 or 64 clients send requests. The two services take
turns, so that a busy machine slows both; a round is a fixed number of requests, after a warm-up. The table shows the
median round. Clients run in this process, on the same machine.

    python -m benchmarks.serving             # about a minute
    python -m benchmarks.serving --rounds 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from okawari.cases.loader import load_case
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import Interval, TorchCore
from okawari.settings import load_settings
from okawari.storage.deployable import GRAPH_FILE, Deployable, Golden, Manifest, digest

ROOT = Path(__file__).parents[1]
LOADS = ((1, 400), (16, 60), (64, 20))
"""Clients, and requests of each in one round."""
WARM_UP = 200
CASE = load_case("aapl")


@dataclass(frozen=True)
class Round:
    """Requests a second, waiting times in ms, and the number of answers with a status other than 200."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


def make_readings() -> pd.DataFrame:
    noise = np.random.default_rng(5)
    close = 400 * np.exp(np.cumsum(noise.normal(0, 0.02, CASE.history)))
    frame = pd.DataFrame({CASE.time: pd.bdate_range("2013-01-01", periods=len(close)).astype("datetime64[ns]")})
    frame["open"], frame["high"], frame["low"] = close * 1.001, close * 1.02, close * 0.98
    frame["close"], frame["volume"] = close, noise.integers(1, 9, len(close)) * 1e7
    return frame


def make_deployable(readings: pd.DataFrame) -> Deployable:
    """An LSTM of the usual size with untrained weights; its speed is that of a trained one."""
    import torch

    from okawari.models.networks import LstmNetwork

    torch.manual_seed(7)
    horizon = CASE.task.width
    network = LstmNetwork(len(CASE.features), [horizon], hidden=64, layers=2, fc=16, dropout=0.2).eval()
    graph = build_graph(TorchCore(network), CASE, Interval(0.9, np.full(horizon, 0.05)))
    window = last_window(readings, CASE)
    manifest = Manifest(
        case=CASE.name,
        version="1",
        run_id="",
        candidate="lstm_2x64",
        variant="fp32",
        graph_sha256=digest(graph),
        snapshot_version=0,
        snapshot_digest="",
        trained_until="",
        decision_id="",
        coverage_share=0.9,
    )
    golden = Golden(x_BTF=window, mean_BH=Graph.load(graph).answer(window).mean_BH)
    return Deployable(manifest, golden, graph, readings)


def prepare_home(home: Path, readings: pd.DataFrame) -> dict[str, str]:
    """Deploy the model in an installation of its own; returns the environment of its processes."""
    environment = {
        **os.environ,
        "OKAWARI_HOME": str(home),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PLAIN_GRAPH": str(home / "made" / GRAPH_FILE),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "OMP_NUM_THREADS": "1",
    }
    os.environ["OKAWARI_HOME"] = str(home)  # its secret signs the deployable
    load_settings.cache_clear()
    make_deployable(readings).save(home / "made")
    put = [sys.executable, "-m", "bentos.deploy", "put", str(home / "made")]
    subprocess.run(put, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return environment


def make_request(readings: pd.DataFrame) -> bytes:
    records = readings.assign(**{CASE.time: readings[CASE.time].dt.strftime("%Y-%m-%d")}).to_dict("records")
    body = json.dumps({"instances": [records]}).encode()
    head = f"POST /{CASE.name}/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def serve(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    """Run a server on a free port until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_ready(port)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def wait_ready(port: int, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


async def send_requests(port: int, request: bytes, n_requests: int) -> tuple[list[float], int]:
    """Run one client; returns its waiting times in seconds, and the number of answers with a status other than 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits, failed = [], 0
    for _ in range(n_requests):
        start = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
        waits.append(time.perf_counter() - start)
        failed += not head.startswith(b"http/1.1 200")
    writer.close()
    return waits, failed


async def measure_round(port: int, request: bytes, n_clients: int, n_requests: int) -> Round:
    start = time.perf_counter()
    results = await asyncio.gather(*(send_requests(port, request, n_requests) for _ in range(n_clients)))
    seconds = time.perf_counter() - start
    waits = sorted(wait for client, _ in results for wait in client)
    p50_ms, p99_ms = (1000 * waits[int(share * len(waits))] for share in (0.5, 0.99))
    return Round(len(waits) / seconds, p50_ms, p99_ms, sum(failed for _, failed in results))


def measure(
    ports: dict[str, int], request: bytes, n_rounds: int, loads: Sequence[tuple[int, int]]
) -> dict[tuple[str, int], list[Round]]:
    for port in ports.values():
        asyncio.run(send_requests(port, request, WARM_UP))
    rounds: dict[tuple[str, int], list[Round]] = {}
    for _ in range(n_rounds):
        for n_clients, n_requests in loads:
            for name, port in ports.items():
                done = asyncio.run(measure_round(port, request, n_clients, n_requests))
                rounds.setdefault((name, n_clients), []).append(done)
    return rounds


def show(rounds: dict[tuple[str, int], list[Round]]) -> str:
    lines = ["| service | clients | requests/s | p50 ms | p99 ms | failed |", "|---|---|---|---|---|---|"]
    for (name, n_clients), done in sorted(rounds.items(), key=lambda item: (item[0][1], item[0][0])):
        rate = statistics.median(each.rate for each in done)
        p50_ms = statistics.median(each.p50_ms for each in done)
        p99_ms = statistics.median(each.p99_ms for each in done)
        failed = sum(each.failed for each in done)
        lines.append(f"| {name} | {n_clients} | {rate:.0f} | {p50_ms:.1f} | {p99_ms:.1f} | {failed} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Requests a second and waits, beside a plain service.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="+", help="clients of each load, instead of 1, 16 and 64")
    parser.add_argument("--requests", type=int, help="requests of each client, instead of the usual number")
    given, readings = parser.parse_args(arguments), make_readings()
    loads = [
        (n_clients, given.requests or n_requests)
        for n_clients, n_requests in LOADS
        if not given.clients or n_clients in given.clients
    ]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        environment = prepare_home(Path(folder), readings)
        commands = {
            "okawari": ["bentoml", "serve", "bentos.service:Okawari"],
            "plain": ["uvicorn", "benchmarks.plain_service:app", "--log-level", "warning"],
        }
        ports = {name: servers.enter_context(serve(command, environment)) for name, command in commands.items()}
        print(show(measure(ports, make_request(readings), given.rounds, loads)))


if __name__ == "__main__":
    main()
