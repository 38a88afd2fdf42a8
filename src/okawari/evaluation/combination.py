"""Weights of a combination from out-of-sample predictions, and its own out-of-sample predictions.

A weighted mean of good forecasts is on average better than the best of them, and weights with many parameters are
worse than equal ones (Bates and Granger, The combination of forecasts, 1969; Smith and Wallis, A simple explanation of
the forecast combination puzzle, 2009). So few members get weights, by the mean of two rules: the inverse of their
squared losses, which has no parameter to fit, and greedy selection with replacement, which prefers members whose errors
differ (Caruana et al., Ensemble selection from libraries of models, 2004).

Shapes: M candidates, J judged windows, H columns of an answer, C of one head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from okawari.dataset.folds import Folds
from okawari.evaluation.metrics import Array
from okawari.models.combination import FEWEST_MEMBERS, mix_predictions
from okawari.schema.heads import Head

_GREEDY_STEPS = 12
_SMALLEST_WEIGHT = 0.05
"""A member with less costs time in service and hardly moves an answer."""
_SMALLEST_LOSS = 1e-9
_STRETCHES = 8
"""Stretches of the judged windows of a series, each weighted by what was known before it."""
_FEWEST_TAUGHT = 10
"""Fewest windows before a stretch that give its weights."""
_CLEARLY_BETTER = 1.1
"""A combination whose loss is more than this many times that of picking the best is not preferred."""
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Out-of-sample predictions `said_MJH` of several candidates and `floor_JH` of the baseline, labels as logits, and
    the learning targets `true_JH` of the same windows. `heads` name the columns.
    """

    said_MJH: Array
    floor_JH: Array
    true_JH: Array
    heads: tuple[Head, ...]

    def pick(self, rows: Places) -> Judged:
        """The same of these windows."""
        floor_JH, true_JH = self.floor_JH[rows], self.true_JH[rows]
        return replace(self, said_MJH=self.said_MJH[:, rows], floor_JH=floor_JH, true_JH=true_JH)

    def measure(self, said_JH: Array) -> float:
        """Mean loss of predictions in units of the baseline's: over steps, and over heads."""
        losses = [head_loss(said_JH[:, c], self.floor_JH[:, c], self.true_JH[:, c], head)
                  for head in self.heads for c in [head.columns]]  # fmt: skip
        return float(np.mean(losses))


def head_loss(said_JC: Array, floor_JC: Array, true_JC: Array, head: Head) -> float:
    """Squared error, the mean over the steps of a number, or log loss of a label, in units of the baseline's."""
    errors, floor_errors = (head.measure_errors(each, true_JC).mean(axis=0) for each in (said_JC, floor_JC))
    return float((errors / np.where(floor_errors > 0, floor_errors, 1.0)).mean())


def choose_weights(judged: Judged, most: int) -> Array:
    """Weights [M] of at least two and at most `most` candidates, together 1; all 0 if only one is good enough.

    The mean of two rules for the `most` best: weights proportional to the inverse of the squared loss, and the shares
    of a greedy selection. Weights below 5 % are dropped.
    """
    losses_M = np.array([judged.measure(said_JH) for said_JH in judged.said_MJH])
    best = np.argsort(losses_M, kind="stable")[:most]
    inverse_M = np.zeros(len(losses_M))
    inverse_M[best] = np.maximum(losses_M[best], _SMALLEST_LOSS) ** -2
    weight_M = (inverse_M / inverse_M.sum() + select_greedily(judged, best)) / 2
    weight_M[weight_M < _SMALLEST_WEIGHT] = 0.0
    if np.count_nonzero(weight_M) < FEWEST_MEMBERS:
        return np.zeros(len(losses_M))
    weighed_M: Array = weight_M / weight_M.sum()
    return weighed_M


def select_greedily(judged: Judged, places: Places) -> Array:
    """Shares [M] of the candidates at `places`: each step adds the one with which the mean has the smallest loss."""
    counts_M = np.zeros(len(judged.said_MJH))
    for _ in range(_GREEDY_STEPS):
        losses = [judged.measure(_mix(judged, counts_M + _mark(place, len(counts_M)))) for place in places]
        counts_M[places[int(np.argmin(losses))]] += 1
    shares_M: Array = counts_M / _GREEDY_STEPS
    return shares_M


def _mark(place: int, n: int) -> Array:
    marks: Array = (np.arange(n) == place).astype(np.float64)
    return marks


def _mix(judged: Judged, counts_M: Array) -> Array:
    used = np.flatnonzero(counts_M)
    return mix_predictions(judged.said_MJH[used], tuple(counts_M[used] / counts_M.sum()), judged.heads)


def predict_out_of_sample(judged: Judged, blocks: Sequence[tuple[Places, Places]], most: int) -> Array:
    """The combination's predictions [J, H], each block's with the weights that other windows give.

    A block whose others choose a single candidate gets that one's predictions. One without others gets the median of
    all candidates, which needs no weights.

    Args:
        judged: out-of-sample predictions of the candidates.
        blocks: for each block its windows, and the windows that give its weights.
        most: most members of the combination.
    """
    mixed_JH = np.empty_like(judged.true_JH)
    for rows, taught in blocks:
        own = judged.pick(rows)
        mixed_JH[rows] = _mix(own, _weigh(judged.pick(taught), most)) if len(taught) else _center(own)
    return mixed_JH


def is_preferred(judged: Judged, mixed_JH: Array, blocks: Sequence[tuple[Places, Places]]) -> bool:
    """Whether a combination is preferred to single candidates, given its out-of-sample predictions.

    The loss of the best of many candidates is flattered, because it was chosen by that very loss; the combination's is
    not. So its rival is a rule: in each block, the candidate that was best on the others. As means of forecasts are
    better on average, the combination is preferred unless that rule is clearly better.
    """
    picked_JH = np.empty_like(judged.true_JH)
    for rows, taught in blocks:
        picked_JH[rows] = _mix(judged.pick(rows), _pick(judged.pick(taught if len(taught) else rows)))
    return judged.measure(mixed_JH) <= _CLEARLY_BETTER * judged.measure(picked_JH)


def _weigh(taught: Judged, most: int) -> Array:
    weight_M = choose_weights(taught, most)
    return weight_M if weight_M.any() else _pick(taught)


def _pick(taught: Judged) -> Array:
    """All weight on the best candidate."""
    losses = [taught.measure(said_JH) for said_JH in taught.said_MJH]
    return _mark(int(np.argmin(losses)), len(losses))


def _center(judged: Judged) -> Array:
    """The median of all candidates in each column; of a label, of the probabilities (the softmax scales their sum)."""
    parts = []
    for head in judged.heads:
        median_JC = np.median([head.answer(said_JH[:, head.columns]) for said_JH in judged.said_MJH], axis=0)
        parts.append(head.to_learnt(median_JC))
    return np.concatenate(parts, axis=1)


def plan_blocks(folds: Folds) -> Iterator[tuple[Places, Places]]:
    """Blocks of the judged windows, each with the windows that may give its weights.

    Records that are dealt to folds: each fold, and all others. Anything else has an order: stretches, and the windows
    before each whose truth was known by then; where these are too few, as for the first, the windows after it whose
    truth shares nothing with its own.
    """
    rows_J = np.arange(len(folds.judged))
    if folds.is_dealt:
        for fold in folds.parts:
            yield fold.rows_J, np.setdiff1d(rows_J, fold.rows_J)
        return
    apart = max(1, folds.gap)
    for rows in np.array_split(rows_J, min(_STRETCHES, len(rows_J))):
        before = rows_J[: max(0, rows[0] + 1 - apart)]
        yield rows, before if len(before) >= _FEWEST_TAUGHT else rows_J[rows[-1] + apart :]
