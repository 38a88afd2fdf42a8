"""The losses by which a challenger is compared with the champion, in pairs, on rows that neither has learned from.

In this order:

1. the champion's recipe is a candidate of this contest, with the same settings: both were fitted at the same origins
2. the champion's own training has recorded its losses at some of the windows that are judged now
3. the champion's graph answers the windows that are newer than its snapshot
4. the champion's graph answers all judged windows, which it may have learned: only its defeat counts

A champion of the challenger's own recipe is no rival: the challenger is the same model with newer rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case
from okawari.case.rules import MIN_HOLDOUT
from okawari.evaluation.candidates import Contender, ask_graph
from okawari.evaluation.metrics import Array
from okawari.evaluation.scores import score_answer
from okawari.graph.inference import Answer
from okawari.policy.promotion import Card
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.training.evidence_file import load_evidence, to_times
from okawari.training.fitting import Training, digest_settings

Places = NDArray[np.int64]
Source = Literal["contest", "record", "answers", "learned"]


@dataclass(frozen=True)
class Pairs:
    """Losses [n, K] of the challenger, of the champion and of the baseline at the same windows."""

    challenger_BK: Array = field(repr=False)
    champion_BK: Array = field(repr=False)
    floor_BK: Array = field(repr=False)
    source: Source
    n_fits: int
    rows: Places | None = field(default=None, repr=False)
    """Places of these windows among the judged ones; None for all of them."""


@dataclass(frozen=True)
class Rival:
    """The champion that a challenger is compared with.

    `pairs` are None where there are too few common rows, and `n_new` counts the readings that came after its snapshot.
    `is_same`: the challenger has the champion's recipe and settings; then `pairs` compare with the champion's own graph
    on rows newer than its snapshot. `differs`: the challenger's graph answers otherwise than the champion's.
    """

    version: Version
    card: Card
    pairs: Pairs | None
    n_new: int
    is_same: bool
    differs: bool = True


def find_rival(
    training: Training, contenders: Sequence[Contender], challenger: Contender, serving: bytes
) -> Rival | None:
    """The champion as a rival; None if there is none, or if it cannot answer the case's questions any more.

    Args:
        training: the data and the folds that all candidates share.
        contenders: all candidates, the baseline first.
        challenger: the one that wants to serve.
        serving: its graph, fitted on everything.
    """
    case = training.case
    champion = versions.load_champion(case.name)
    if champion is None:
        return None
    graph = versions.load_graph(champion)
    answer = ask_graph(graph, training.folds.judged, case)
    if answer is None:
        return None
    n_new, fresh = _count_new(training, champion), _find_fresh(training, champion)
    own = _find_contender(champion, contenders, case)
    if own is not None and own.recipe.name == challenger.recipe.name:
        pairs = _pair_answers(answer, fresh, contenders[0], challenger, training)
        differs = _differ(ask_graph(serving, training.folds.judged, case), answer)
        return Rival(champion, own.card, pairs, n_new, is_same=True, differs=differs)
    if own is not None:
        pairs = Pairs(
            challenger.scores.losses_BK, own.scores.losses_BK, contenders[0].scores.losses_BK, "contest",
            training.folds.n_fits,
        )  # fmt: skip
        return Rival(champion, own.card, pairs, n_new, is_same=False)
    pairs = _pair_recorded(champion, contenders[0], challenger, training)
    pairs = pairs or _pair_answers(answer, fresh, contenders[0], challenger, training)
    pairs = pairs or _pair_learned(answer, contenders[0], challenger, training)
    return Rival(champion, _describe(champion), pairs, n_new, is_same=False)


def _find_contender(champion: Version, contenders: Sequence[Contender], case: Case) -> Contender | None:
    """The contender of the champion's recipe and settings."""
    for each in contenders:
        if each.recipe.name == champion.candidate:
            is_same = champion.settings_sha256 in (None, digest_settings(case, champion.candidate))
            return each if is_same else None
    return None


def _differ(one: Answer | None, other: Answer) -> bool:
    """Whether answers differ by more than rounding."""
    assert one is not None, "a graph that was just built takes the case's readings"
    return not np.allclose(one.mean_BH, other.mean_BH, rtol=1e-6, atol=0.0)


def _count_new(training: Training, champion: Version) -> int:
    """Readings after the champion's snapshot; at least 1 if earlier ones were revised."""
    if champion.snapshot_digest == training.snapshot.digest:
        return 0
    return max(1, int((training.times > pd.Timestamp(champion.trained_until)).sum()))


def _find_fresh(training: Training, champion: Version) -> Places:
    """The judged windows whose truth the champion has not learned."""
    until = np.datetime64(pd.Timestamp(champion.trained_until).to_datetime64())
    at_J = training.folds.judged.at_B
    return np.flatnonzero(at_J >= until if training.case.horizon else at_J > until)


def _pair_answers(
    answer: Answer, rows: Places, floor: Contender, challenger: Contender, training: Training
) -> Pairs | None:
    """The champion's own answers to windows newer than its snapshot, beside those of the contest; None for too few."""
    if len(rows) < MIN_HOLDOUT:
        return None
    fresh = Answer(answer.mean_BH[rows])
    champion_BK = score_answer(fresh, training.folds.judged.pick(rows), training.case).losses_BK
    challenger_BK, floor_BK = (each.scores.losses_BK[rows] for each in (challenger, floor))
    return Pairs(challenger_BK, champion_BK, floor_BK, "answers", training.folds.n_fits, rows)


def _pair_learned(answer: Answer, floor: Contender, challenger: Contender, training: Training) -> Pairs:
    """The champion's own answers to all judged windows. It may have learned them, so it looks better than it is: a
    challenger that is better even so is better, and nothing else follows.
    """
    champion_BK = score_answer(Answer(answer.mean_BH), training.folds.judged, training.case).losses_BK
    challenger_BK, floor_BK = challenger.scores.losses_BK, floor.scores.losses_BK
    return Pairs(challenger_BK, champion_BK, floor_BK, "learned", training.folds.n_fits)


def _pair_recorded(champion: Version, floor: Contender, challenger: Contender, training: Training) -> Pairs | None:
    """The losses that the champion's training has recorded, at the windows that are judged now, too."""
    evidence = load_evidence(champion.run_id)
    if evidence is None or champion.candidate not in evidence.losses:
        return None
    rows, champion_BK = evidence.pick(champion.candidate, to_times(training.folds.judged.at_B))
    floor_BK = floor.scores.losses_BK[rows]
    if len(rows) < MIN_HOLDOUT or champion_BK.shape != floor_BK.shape:
        return None
    return Pairs(challenger.scores.losses_BK[rows], champion_BK, floor_BK, "record", training.folds.n_fits, rows)


def _describe(champion: Version) -> Card:
    """What the registry knows of the champion's scores."""
    return Card(
        candidate=champion.candidate,
        loss=champion.loss,
        loss_name=champion.loss_name,
        coverage_share=champion.measured_share,
    )
