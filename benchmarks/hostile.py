"""Waiting times of four clients while another one sends the worst bodies of 8 MB that the service accepts.

The same service is measured with and without the attack, in slices of a second that take turns, so that a busy machine
slows both. The attacker is a process of its own and sends the same body again as soon as it is answered. Percentiles
are those of all slices together.

    python -m benchmarks.hostile             # about five minutes
    python -m benchmarks.hostile --slices 2 --kinds "deep nesting"
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import CASE, ROOT, make_readings, make_request, prepare_home, send_requests, serve

N_CLIENTS, N_REQUESTS = 4, 150
SETTLE_S = 0.7
"""After the attack stops: the last body is checked."""
_SIZE = 8 * 2**20 - 2**10


def _write(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _make_records() -> list[dict[Hashable, Any]]:
    readings = make_readings()
    return list(readings[list(CASE.column_names)].to_dict("records"))


def make_unknown_keys() -> bytes:
    """One record with some 600,000 unknown keys."""
    keys = {f"k{number:07}": 1 for number in range(_SIZE // 13)}
    return _write({"instances": [[keys]]})


def make_unknown_keys_outside() -> bytes:
    """A request with some 600,000 unknown keys."""
    return _write({f"k{number:07}": 1 for number in range(_SIZE // 13)})


def make_many_instances() -> bytes:
    """Some 2,800,000 empty instances."""
    return b'{"instances":[' + b",".join([b"[]"] * (_SIZE // 3)) + b"]}"


def make_long_windows() -> bytes:
    """A valid request: 256 windows that fill 8 MB."""
    record = _make_records()[-1]
    n_records = _SIZE // (len(_write(record)) + 1) // 256
    return _write({"instances": [[record] * n_records] * 256})


def make_one_window() -> bytes:
    """A valid request: one window that fills 8 MB."""
    record = _make_records()[-1]
    return _write({"instances": [[record] * (_SIZE // (len(_write(record)) + 1))]})


def make_nesting() -> bytes:
    """4,000,000 lists in each other."""
    return b'{"instances":' + b"[" * (_SIZE // 2) + b"]" * (_SIZE // 2) + b"}"


def make_huge_integer() -> bytes:
    """An integer of 8,000,000 digits."""
    return b'{"instances":[[{"close":' + b"9" * (_SIZE - 100) + b"}]]}"


def make_huge_string() -> bytes:
    """A string of 8 MB instead of a number."""
    return b'{"instances":[[{"close":"' + b"x" * (_SIZE - 100) + b'"}]]}'


KINDS: dict[str, Callable[[], bytes]] = {
    "unknown keys in a record": make_unknown_keys,
    "unknown keys beside the instances": make_unknown_keys_outside,
    "2,800,000 instances": make_many_instances,
    "256 long windows, valid": make_long_windows,
    "one long window, valid": make_one_window,
    "deep nesting": make_nesting,
    "a huge integer": make_huge_integer,
    "a huge string": make_huge_string,
}


def attack(port: int, kind: str) -> None:
    """Send the body again and again, over a new connection when one is closed; prints the status of each answer."""
    body = KINDS[kind]()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with suppress(OSError, http.client.HTTPException):
            while True:
                connection.request("POST", f"/{CASE.name}/predict", body)
                with connection.getresponse() as answer:
                    answer.read()
                print(answer.status, flush=True)


@dataclass
class Waits:
    """Waiting times in s, and the number of answers with a status other than 200."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def p99_ms(self) -> float:
        return 1000 * sorted(self.seconds)[int(0.99 * len(self.seconds))]

    def add(self, port: int, request: bytes) -> None:
        """Measure one slice."""
        for waits, failed in asyncio.run(_send_slice(port, request)):
            self.seconds += waits
            self.failed += failed


async def _send_slice(port: int, request: bytes) -> list[tuple[list[float], int]]:
    return await asyncio.gather(*(send_requests(port, request, N_REQUESTS) for _ in range(N_CLIENTS)))


@contextmanager
def attacker(port: int, kind: str) -> Iterator[subprocess.Popen[str]]:
    """An attacker that has had two answers, so that the process for large bodies runs."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--attack", str(port), "--kinds", kind]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for _ in range(2):
            status = int(process.stdout.readline())
            assert status < 500, f"{kind} was answered with {status}"
        yield process
    finally:
        process.kill()
        process.wait()


def measure_kind(port: int, kind: str, request: bytes, n_slices: int) -> tuple[Waits, Waits]:
    """Waits without and with the attack, in slices of about a second that take turns."""
    quiet, busy = Waits(), Waits()
    with attacker(port, kind) as process:
        for _ in range(n_slices):
            process.send_signal(signal.SIGSTOP)
            time.sleep(SETTLE_S)
            quiet.add(port, request)
            process.send_signal(signal.SIGCONT)
            busy.add(port, request)
    return quiet, busy


def show(measured: dict[str, tuple[Waits, Waits]]) -> str:
    lines = ["| body | p99 ms without | p99 ms with | ratio | failed |", "|" + "---|" * 5]
    for kind, (quiet, busy) in measured.items():
        numbers = f"{quiet.p99_ms:.1f} | {busy.p99_ms:.1f} | {busy.p99_ms / quiet.p99_ms:.2f} | {busy.failed}"
        lines.append(f"| {kind} | {numbers} |")
    return "\n".join(lines)


def measure(kinds: Sequence[str], n_slices: int) -> dict[str, tuple[Waits, Waits]]:
    """The waits of each kind, from a service that runs only for this."""
    readings = make_readings()
    with tempfile.TemporaryDirectory() as folder:
        environment = prepare_home(Path(folder), readings)
        with serve(["bentoml", "serve", "bentos.service:Okawari"], environment) as port:
            request = make_request(readings)
            Waits().add(port, request)
            return {kind: measure_kind(port, kind, request, n_slices) for kind in kinds}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Waiting times of others while one client sends the worst bodies.")
    parser.add_argument("--slices", type=int, default=10, help="pairs of slices of each kind (%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of bodies (all)")
    parser.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.attack:
        attack(given.attack, given.kinds[0])
    print(show(measure(given.kinds, given.slices)))


if __name__ == "__main__":
    main()
