"""Free ports for servers that tests start; no two workers of one run are ever given the same."""

from __future__ import annotations

import os
import random
import socket

_FIRST, _SLICE, _N_SLICES = 20_000, 1_000, 12
"""Each worker draws from a thousand ports of its own, below 32768, where Linux takes those of outgoing connections."""
_random = random.Random()  # seeded by the system: two runs beside each other draw differently
_given: set[int] = set()


def find_free_port() -> int:
    """A port that nobody listens on and that this process has not been given before."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _N_SLICES
    first = _FIRST + worker * _SLICE
    for port in _random.sample(range(first, first + _SLICE), _SLICE):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"No port from {first} to {first + _SLICE - 1} is free; stop what listens there.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
