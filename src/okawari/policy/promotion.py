"""Choose the challenger, and decide whether it replaces the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite

from okawari.case import Gate
from okawari.formats import format_gain, format_number, format_share, start_sentence
from okawari.policy.decision import Action, Decision, Kind, measure_gain


@dataclass(frozen=True, kw_only=True)
class Card:
    """The scores of one candidate on the held-out rows. A lower `loss` is better.

    `loss_name` is "RMSE" (of the first step, in the unit of the target), "log loss" or "joint loss". `interval_score`
    is the mean Winkler score (lower is better); None without an interval.
    """

    candidate: str
    loss: float
    loss_name: str = "RMSE"
    p_value: float | None = None
    """One-sided p-value of the gain over the baseline, Holm-adjusted over the candidates; None where not tested."""
    interval_score: float | None = None
    coverage_share: float | None = None
    interval_fault: str | None = None
    """Why its intervals must not be promoted, as the end of a sentence about the candidate; None if they may be."""


def choose_challenger(baseline: Card, others: Sequence[Card], gate: Gate) -> Card:
    """The best candidate that beats the baseline by `min_gain_share` and significantly (Holm-adjusted p <= alpha).

    A candidate whose intervals have a fault is left out. Returns the baseline if no candidate does.
    """
    better = [
        card
        for card in others
        if measure_gain(card.loss, baseline.loss) >= gate.min_gain_share
        and (card.p_value or 0.0) <= gate.alpha
        and card.interval_fault is None
    ]
    return min(better, key=lambda card: card.loss, default=baseline)


def decide_promotion(challenger: Card, champion: Card | None, baseline: Card, gate: Gate) -> Decision:
    """Promote or keep, from scores on the same held-out rows.

    A challenger is promoted if its point forecast is better or, at equal point forecasts, if its intervals are better.
    The baseline is a challenger too, so it replaces a champion that has become worse than the baseline. A challenger
    whose intervals have a fault is never promoted, not even where there is no champion.
    """
    action, reason = _compare_cards(challenger, champion, baseline, gate)
    facts = {
        "challenger": asdict(challenger),
        "champion": None if champion is None else asdict(champion),
        "baseline": asdict(baseline),
    }
    return Decision(Kind.PROMOTION, action, reason, facts)


def _compare_cards(challenger: Card, champion: Card | None, baseline: Card, gate: Gate) -> tuple[str, str]:
    if not isfinite(challenger.loss):
        return Action.KEEP, f"{challenger.candidate} has no finite {challenger.loss_name} on the held-out rows"
    if challenger.interval_fault is not None:
        is_floor = "the baseline " if challenger.candidate == baseline.candidate else ""
        return Action.KEEP, f"nothing is promoted, because {is_floor}{challenger.candidate} {challenger.interval_fault}"
    if champion is None:
        return Action.PROMOTE, f"{_describe_first(challenger, baseline)}; there was no champion"
    loss = f"{start_sentence(challenger.loss_name)} {format_number(challenger.loss, 4)}"
    if not isfinite(champion.loss):
        return Action.PROMOTE, f"{loss} is better than the champion's, which is not finite on the held-out rows"
    gain = measure_gain(challenger.loss, champion.loss)
    rival = f"the champion's {format_number(champion.loss, 4)} ({format_gain(gain)})"
    if gain >= gate.min_gain_share:
        return Action.PROMOTE, f"{loss} is better than {rival}"
    if gain <= -gate.min_gain_share:
        return Action.KEEP, f"{loss} is worse than {rival}"
    return _compare_intervals(challenger, champion, f"{loss} is as good as {rival}", gate)


def _compare_intervals(challenger: Card, champion: Card, point: str, gate: Gate) -> tuple[str, str]:
    if challenger.interval_score is None or champion.interval_score is None:
        return Action.KEEP, f"{point}, and there are no intervals to compare"
    interval_gain = measure_gain(challenger.interval_score, champion.interval_score)
    numbers = (
        f"interval score {format_number(challenger.interval_score, 4)} against "
        f"{format_number(champion.interval_score, 4)} "
        f"({format_gain(interval_gain)}), "
        f"coverage {_format_coverage(challenger)} against {_format_coverage(champion)}"
    )
    if interval_gain >= gate.min_interval_gain_share:
        return Action.PROMOTE, f"{point}, with better intervals: {numbers}"
    needed = format_share(gate.min_interval_gain_share)
    return Action.KEEP, f"{point}, and the intervals are not better by {needed}: {numbers}"


def _format_coverage(card: Card) -> str:
    return "unknown" if card.coverage_share is None else format_share(card.coverage_share)


def _describe_first(challenger: Card, baseline: Card) -> str:
    if challenger.candidate == baseline.candidate:
        loss = f"{baseline.loss_name} {format_number(baseline.loss, 4)}"
        return f"no candidate beat the baseline, so {baseline.candidate} serves ({loss})"
    gain = measure_gain(challenger.loss, baseline.loss)
    return (
        f"{challenger.candidate} beats {baseline.candidate}: "
        f"{challenger.loss_name} {format_number(challenger.loss, 4)}, {format_gain(gain)}"
    )


def decide_refresh(challenger: Card, champion: Card, n_new: int, gate: Gate, *, differs: bool = True) -> Decision:
    """Promote the champion's recipe, fitted again, if that has taught it something.

    Args:
        challenger: the recipe's scores at the origins of this training.
        champion: the same scores, because the recipes and their settings are equal.
        n_new: rows that the champion has not learned.
        gate: the rules of the case.
        differs: whether the refitted graph answers otherwise than the champion's.
    """
    name, facts = challenger.candidate, {"challenger": asdict(challenger), "champion": asdict(champion), "n_new": n_new}
    if challenger.interval_fault is not None:
        reason = f"nothing is promoted, because {name} {challenger.interval_fault}"
        return Decision(Kind.PROMOTION, Action.KEEP, reason, facts)
    if not differs:
        reason = f"{name} serves already and, fitted again, it gives the same answers"
        return Decision(Kind.PROMOTION, Action.KEEP, reason, facts)
    if n_new == 0:
        reason = f"{name} serves already, and there are no rows that it has not learned"
        return Decision(Kind.PROMOTION, Action.KEEP, reason, facts)
    rows = f"{n_new} more row" + "s" * (n_new > 1)
    reason = f"{name} is still the best candidate; fitted again, it has learned {rows}"
    return Decision(Kind.PROMOTION, Action.PROMOTE, reason, facts)
