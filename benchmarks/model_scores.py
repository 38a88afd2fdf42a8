"""Losses of answers to the later parts of public tables, and what is compared of them. Pure.

The loss of a series is that of the whole horizon: the mean over the steps of the squared error in units of the last
value's (the random walk's) mean squared error at that step, its root taken; questions near the end have the steps that
the table still has. Numbers have their RMSE, labels the mean of -log p with p >= 1e-6.

Shapes: B later rows, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.public_tables import PublicTable

Array = NDArray[np.float64]

SMALLEST_SHARE = 1e-6
N_DRAWS = 2000
_SEED = 20


@dataclass(frozen=True)
class Losses:
    """Losses of each question about the later part, and of the first step alone (NaN where it is unknown); `is_root`
    says that a loss is the root of their mean.
    """

    row_B: Array
    first_B: Array
    is_root: bool

    @property
    def loss(self) -> float:
        return self.measure(self.row_B)

    @property
    def first_loss(self) -> float:
        """RMSE of the first step, RMSE of a number, or log loss of a label."""
        return self.measure(self.first_B)

    def measure(self, row_B: Array) -> float:
        """The loss over some rows."""
        mean = float(np.nanmean(row_B))
        return mean**0.5 if self.is_root else mean


def score_results(table: PublicTable, results: Mapping[str, dict[str, Any]], own: str) -> dict[str, Losses]:
    """The losses of all methods on the rows that the method `own` answers, in the steps that it answers."""
    rows = np.array(results[own]["rows"])
    if table.group == "series":
        return _score_series(table, results, own, rows)
    truth = table.later[table.target].iloc[rows].reset_index(drop=True)
    means = {name: np.array(each["mean"]) for name, each in results.items()}
    chosen = {name: mean if name == own else mean[rows] for name, mean in means.items()}
    if table.group == "numbers":
        return {name: _square(mean[:, 0], truth) for name, mean in chosen.items()}
    own_labels = results[own]["labels"]
    known = sorted(table.known[table.target].dropna().unique())
    return {name: _surprise(mean, truth, own_labels if name == own else known) for name, mean in chosen.items()}


def _score_series(
    table: PublicTable, results: Mapping[str, dict[str, Any]], own: str, rows: NDArray[np.int64]
) -> dict[str, Losses]:
    values = pd.to_numeric(table.frame[table.target]).to_numpy(dtype=float)
    own_BH = np.array(results[own]["mean"])
    horizon, first = own_BH.shape[1], len(values) - len(table.later_B)
    beyond = np.append(values, np.full(horizon, np.nan))
    true_BH = beyond[first + rows[:, None] + np.arange(horizon)]
    unit_H = np.nanmean((values[first + rows - 1][:, None] - true_BH) ** 2, axis=0)
    # Each step weighs alike, also those that fewer questions still have: the random walk has a loss of exactly 1.
    known_H = np.isfinite(true_BH).sum(axis=0)
    weight_H = len(rows) / (np.maximum(known_H, 1) * np.count_nonzero(known_H))
    found = {}
    for name, each in results.items():
        mean_BH = own_BH if name == own else np.array(each["mean"])[rows, :horizon]
        squared_BH = (mean_BH - true_BH) ** 2
        found[name] = Losses(np.nansum(squared_BH / unit_H * weight_H, axis=1), squared_BH[:, 0], is_root=True)
    return found


def _square(mean_B: Array, truth: pd.Series) -> Losses:
    squared_B = (mean_B - truth.to_numpy(dtype=float)) ** 2
    return Losses(squared_B, squared_B, is_root=True)


def _surprise(mean_BH: Array, truth: pd.Series, labels: Sequence[str]) -> Losses:
    """A label that a method does not know has the smallest probability."""
    places = [labels.index(label) if label in labels else None for label in truth]
    shares = [0.0 if place is None else mean_BH[row, place] for row, place in enumerate(places)]
    surprise_B = -np.log(np.maximum(shares, SMALLEST_SHARE))
    return Losses(surprise_B, surprise_B, is_root=False)


@dataclass(frozen=True)
class Ratio:
    """One loss over another, with the bounds of a paired bootstrap at 95 %."""

    value: float
    lower: float
    upper: float

    @property
    def is_lost(self) -> bool:
        """Worse by more than a tenth, and significantly so."""
        return self.value > 1.10 and self.lower > 1.0


def compare(own: Losses, other: Losses, block: int) -> Ratio:
    """The ratio of two losses on the same rows; rows are drawn in blocks of neighbours (circular block bootstrap:
    Politis and Romano 1992), single rows with a block of 1.
    """
    n = len(own.row_B)
    generator = np.random.default_rng(_SEED)
    starts = generator.integers(0, n, size=(N_DRAWS, -(-n // block)))
    drawn = ((starts[:, :, None] + np.arange(block)) % n).reshape(N_DRAWS, -1)[:, :n]
    ratios = np.mean(own.row_B[drawn], axis=1) / np.maximum(np.mean(other.row_B[drawn], axis=1), 1e-300)
    bounds = np.quantile(np.sqrt(ratios) if own.is_root else ratios, [0.025, 0.975])
    return Ratio(own.loss / other.loss, float(bounds[0]), float(bounds[1]))


def choose_block(table: PublicTable, horizon: int) -> int:
    """Neighbours that depend on each other: the horizon or the cube root of the rows, at most a third of them; records
    are independent.
    """
    n = len(table.later_B)
    return 1 if table.group != "series" else min(n // 3, max(horizon, round(n ** (1 / 3))))


def measure_geometric_mean(ratios: Sequence[float]) -> float:
    """The geometric mean of some ratios."""
    return float(np.exp(np.mean(np.log(ratios))))


def choose_best(losses: Sequence[Mapping[str, Losses]], own: str) -> str:
    """The single method with the best geometric mean of its loss over some tables; those that miss a table are out."""
    methods = [name for name in losses[0] if name != own and all(name in each for each in losses)]
    return min(methods, key=lambda name: measure_geometric_mean([each[name].loss for each in losses]))
