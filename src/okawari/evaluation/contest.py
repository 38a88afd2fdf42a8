"""A contest: all candidates of a case on the same folds, and the one that wants to serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from okawari.case import Case, Gate
from okawari.dataset.folds import Folds
from okawari.evaluation.backtest import Benches, backtest, bench_plainly
from okawari.evaluation.candidates import Contender
from okawari.evaluation.combined_contender import combine_contenders
from okawari.evaluation.evidence import Design, describe_design
from okawari.evaluation.leaderboard import build_cards
from okawari.models.combination import Combination, list_fitted
from okawari.models.fit_context import Progress, no_progress
from okawari.policy.promotion import Card, choose_challenger


@dataclass(frozen=True)
class Contest:
    """The contenders of a training, the baseline first, their cards in the same order, and the challenger's place."""

    contenders: Sequence[Contender]
    cards: Sequence[Card]
    place: int

    @property
    def challenger(self) -> Contender:
        """The contender that wants to serve."""
        return self.contenders[self.place]


def choose_winner(contenders: Sequence[Contender], gate: Gate, design: Design | None = None) -> Contest:
    """The contest of these contenders, the baseline first; the baseline is the challenger if no other one is better.

    A preferred combination is the challenger if it is better than the baseline, even if a single candidate has a lower
    loss: as the lowest of several, that one is flattered.
    """
    baseline, *others = cards = build_cards(contenders, design)
    preferred = [card for card, each in zip(cards, contenders, strict=True) if each.is_preferred]
    chosen = choose_challenger(baseline, preferred, gate)
    if chosen is baseline:
        chosen = choose_challenger(baseline, others, gate)
    return Contest(contenders, cards, [card.candidate for card in cards].index(chosen.candidate))


def hold_contest(
    case: Case, folds: Folds, progress: Progress = no_progress, benches: Benches = bench_plainly
) -> Contest:
    """Fit and judge all candidates of a case in memory, without records.

    Raises:
        InvalidInput: a candidate refuses the case.
    """
    contenders = [backtest(recipe, case, folds, progress, benches) for recipe in list_fitted(case.candidates)]
    for recipe in case.candidates:
        if isinstance(recipe, Combination) and (made := combine_contenders(recipe, contenders, folds, case)):
            contenders.append(made)
    return choose_winner(contenders, case.gate, describe_design(folds))
