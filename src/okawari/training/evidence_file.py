"""The evidence of a training as a file of its run: the out-of-sample losses of every candidate at every judged window.

A later training compares its challenger in pairs with a champion whose recipe is no longer among the candidates.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from okawari.errors import NotYet
from okawari.evaluation.candidates import Contender
from okawari.evaluation.metrics import Array
from okawari.registry import runs

PATH = "evidence.npz"
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
    file = io.BytesIO()
    named = {f"losses/{name}": losses.astype(np.float32) for name, losses in evidence.losses.items()}
    np.savez_compressed(file, at=evidence.at_J, **named)  # type: ignore[arg-type]
    runs.record_file(run_id, file.getvalue(), PATH)


def load_evidence(run_id: str) -> Evidence | None:
    """The evidence of a run; None if an earlier version of Okawari has trained it."""
    try:
        content = runs.load_file(run_id, PATH)
    except NotYet:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        named = {name.removeprefix("losses/"): stored[name].astype(np.float64) for name in stored if name != "at"}
        return Evidence(stored["at"], named)
