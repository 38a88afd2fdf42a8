"""The evidence of a training as a file of its run: the out-of-sample losses of every candidate at every judged window.

A later training compares its challenger in pairs with a champion whose recipe is no longer among the candidates.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.errors import NotYet
from okawari.evaluation.candidates import Contender
from okawari.evaluation.metrics import Array
from okawari.registry import runs

PATH = "evidence.bin"
MOST_WINDOWS = 5000
"""Judged windows that are kept, the newest ones."""
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """`at_J`, the time of each judged window's last reading in nanoseconds, and the losses [J, K] of each candidate."""

    at_J: Times
    losses: Mapping[str, Array]

    def pick(self, candidate: str, at_J: Times) -> tuple[NDArray[np.int64], Array]:
        """The places in `at_J` of the windows of these times, and a candidate's losses at them."""
        _, ours, theirs = np.intersect1d(at_J, self.at_J, return_indices=True)
        return ours.astype(np.int64), self.losses[candidate][theirs]


def gather_evidence(contenders: Sequence[Contender], at_J: NDArray[np.datetime64]) -> Evidence:
    """The losses of all contenders at the newest judged windows."""
    kept = slice(max(0, len(at_J) - MOST_WINDOWS), None)
    losses = {each.recipe.name: each.scores.losses_BK[kept] for each in contenders}
    return Evidence(to_times(at_J[kept]), losses)


def to_times(at_J: NDArray[np.datetime64]) -> Times:
    """Times as nanoseconds since 1970."""
    return at_J.astype("datetime64[ns]").astype(np.int64)


def record_evidence(run_id: str, evidence: Evidence) -> None:
    """Store the evidence as a file of the training's run."""
    runs.record_file(run_id, encode_evidence(evidence), PATH)


def load_evidence(run_id: str) -> Evidence | None:
    """The evidence of a run; None if an earlier version of Okawari has trained it."""
    try:
        return decode_evidence(runs.load_file(run_id, PATH))
    except NotYet:
        return None


def encode_evidence(evidence: Evidence) -> bytes:
    """A line of JSON with the candidates and the shape, then the times (int64) and the losses (float32), compressed."""
    losses_CJK = np.stack(list(evidence.losses.values())).astype("<f4")
    header = json.dumps({"candidates": list(evidence.losses), "shape": losses_CJK.shape}).encode()
    return zlib.compress(b"\n".join([header, evidence.at_J.astype("<i8").tobytes() + losses_CJK.tobytes()]))


def decode_evidence(content: bytes) -> Evidence:
    """The evidence in a file of `encode_evidence`."""
    line, _, numbers = zlib.decompress(content).partition(b"\n")
    header = json.loads(line)
    n = header["shape"][1]
    at_J = np.frombuffer(numbers, "<i8", count=n).astype(np.int64)
    losses_CJK = np.frombuffer(numbers, "<f4", offset=8 * n).reshape(header["shape"]).astype(np.float64)
    return Evidence(at_J, dict(zip(header["candidates"], losses_CJK, strict=True)))
