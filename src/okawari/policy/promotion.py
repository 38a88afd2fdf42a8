"""Choose the challenger, and decide whether it replaces the champion.

Two rules, because two errors cost differently. Against the baseline, a wrong promotion costs about half a percent of
the loss (what served by luck is nearly as good) and a wrong refusal tens of percent, so the best candidate serves
unless its gain is probably luck: its p-value is at most `Gate.floor_level`. A champion has earned its place, and a
change of what serves costs trust, so a challenger has to be better at `Gate.alpha`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from okawari.case import Gate
from okawari.formats import format_gain, format_number, format_share, start_sentence
from okawari.policy.comparison import Comparison, describe_basis, describe_doubt, describe_gain
from okawari.policy.decision import Action, Decision, Kind, measure_gain

_BASELINES, _CHAMPIONS = "the baseline's", "the champion's"


@dataclass(frozen=True, kw_only=True)
class Card:
    """The scores of one candidate on the judged rows. A lower `loss` is better.

    `loss_name` is "RMSE" (of the first step, in the unit of the target), "log loss" or "joint loss". `interval_score`
    is the mean Winkler score (lower is better); None without an interval.
    """

    candidate: str
    loss: float
    loss_name: str = "RMSE"
    over_floor: Comparison | None = None
    """The comparison with the baseline over the whole horizon; None for the baseline, and where none was made."""
    interval_score: float | None = None
    coverage_share: float | None = None
    interval_fault: str | None = None
    """Why its intervals must not be promoted, as the end of a sentence about the candidate; None if they may be."""

    @property
    def p_value(self) -> float | None:
        """One-sided p-value of the gain over the baseline, corrected for the candidates; None where not tested."""
        return None if self.over_floor is None else self.over_floor.p_value

    @property
    def relative_loss(self) -> float | None:
        """The loss of the whole horizon in units of the baseline's; None where it was not compared."""
        return None if self.over_floor is None else self.over_floor.relative_loss


def choose_challenger(baseline: Card, others: Sequence[Card], gate: Gate) -> Card:
    """The candidate with the lowest loss of those that are better than the baseline and probably not by luck.

    That is: a gain of at least `min_gain_share`, and a p-value, corrected for all candidates, of at most `floor_level`.
    A candidate whose intervals have a fault is left out. Returns the baseline if no candidate remains.
    """
    better = [card for card in others if _beats_floor(card, baseline, gate)]
    return min(better, key=lambda card: 1 - _measure_gain(card, baseline), default=baseline)


def _beats_floor(card: Card, baseline: Card, gate: Gate) -> bool:
    if card.interval_fault is not None or not _measure_gain(card, baseline) >= gate.min_gain_share:
        return False
    return card.over_floor is None or (card.over_floor.is_better and card.over_floor.p_value <= gate.floor_level)


def _measure_gain(card: Card, baseline: Card) -> float:
    """The gain over the baseline; by the losses alone where the rows were not compared."""
    return measure_gain(card.loss, baseline.loss) if card.over_floor is None else card.over_floor.gain_share


def decide_promotion(
    challenger: Card,
    champion: Card | None,
    baseline: Card,
    gate: Gate,
    comparison: Comparison | None = None,
    *,
    intervals: Comparison | None = None,
    others: Sequence[Card] = (),
    hindrance: str = "",
) -> Decision:
    """Promote or keep, from losses of the challenger's and the champion's recipes at the same origins.

    A challenger is promoted if its point forecast is better or, at equal point forecasts, if its intervals are better.
    The baseline is a challenger too, so it replaces a champion that has become worse than the baseline. A challenger
    whose intervals have a fault is never promoted, not even where there is no champion.

    Args:
        challenger: the result of `choose_challenger`.
        champion: what serves; None if nothing does.
        baseline: the floor.
        gate: the rule.
        comparison: the challenger's losses against the champion's; None if they cannot be compared in pairs.
        intervals: the challenger's interval scores against the champion's; None without intervals.
        others: the cards of all candidates, so that a refusal names the best.
        hindrance: why there is no comparison, as a sentence without a full stop.
    """
    facts: dict[str, Any] = {
        "challenger": asdict(challenger),
        "champion": None if champion is None else asdict(champion),
        "baseline": asdict(baseline),
        "comparison": None if comparison is None else asdict(comparison),
        "intervals": None if intervals is None else asdict(intervals),
    }
    if (refusal := _find_refusal(challenger, baseline)) is not None:
        return _conclude(Action.KEEP, refusal, facts)
    if champion is None:
        first = _describe_first(challenger, baseline, others, gate)
        return _conclude(Action.PROMOTE, f"{first}; there was no champion", facts)
    if not isfinite(champion.loss):
        reason = f"the {champion.loss_name} of the champion {champion.candidate} is not finite on the held-out rows"
        return _conclude(Action.PROMOTE, f"{challenger.candidate} replaces it, because {reason}", facts)
    if comparison is None:
        return _conclude(Action.KEEP, _describe_incomparable(challenger, champion, hindrance), facts)
    return _conclude(*_compare(challenger, champion, comparison, intervals, gate), facts)


def decide_refresh(
    challenger: Card, champion: Card, n_new: int, gate: Gate, *, differs: bool = True, fresh: Comparison | None = None
) -> Decision:
    """Promote the champion's recipe, fitted again, if that has taught it something and nothing speaks against it.

    The same recipe makes no claim to be better, so nothing is tested at `alpha` in its favour: newer rows teach. What
    the champion itself answered on rows that came after its training is evidence against a refresh: a recipe that is
    worse there, with 95 % confidence, is not promoted.

    Args:
        challenger: the recipe's scores at the origins of this training.
        champion: the same scores, because the recipes and their settings are equal.
        n_new: rows that the champion has not learned.
        gate: the rules of the case.
        differs: whether the refitted graph answers otherwise than the champion's.
        fresh: the recipe's losses against those of the champion's own graph on rows that neither had learned from; None
            if they are too few.
    """
    name = challenger.candidate
    facts = {
        "challenger": asdict(challenger),
        "champion": asdict(champion),
        "n_new": n_new,
        "fresh": None if fresh is None else asdict(fresh),
    }
    if challenger.interval_fault is not None:
        return _conclude(Action.KEEP, f"nothing is promoted, because {name} {challenger.interval_fault}", facts)
    if not differs:
        return _conclude(Action.KEEP, f"{name} serves already and, fitted again, it gives the same answers", facts)
    if n_new == 0:
        return _conclude(Action.KEEP, f"{name} serves already, and there are no rows that it has not learned", facts)
    learned = f"{name} is still the best candidate; fitted again, it has learned {n_new} more row{'s' * (n_new > 1)}"
    if fresh is None:
        return _conclude(Action.PROMOTE, learned, facts)
    shown = f"{describe_gain(fresh, _CHAMPIONS)}, over {describe_basis(fresh)}"
    if fresh.is_surely_worse and fresh.gain_share <= -gate.min_gain_share:
        return _conclude(Action.KEEP, f"{name}, fitted again, is worse than the champion's own answers: {shown}", facts)
    return _conclude(Action.PROMOTE, f"{learned}, and it is not worse: {shown}", facts)


def _conclude(action: str, reason: str, facts: Mapping[str, Any]) -> Decision:
    return Decision(Kind.PROMOTION, action, reason, facts)


def _find_refusal(challenger: Card, baseline: Card) -> str | None:
    """Why nothing is promoted, whatever the champion is; None if nothing stands against it."""
    if not isfinite(challenger.loss):
        return f"{challenger.candidate} has no finite {challenger.loss_name} on the held-out rows"
    if challenger.interval_fault is None:
        return None
    is_floor = "the baseline " if challenger.candidate == baseline.candidate else ""
    return f"nothing is promoted, because {is_floor}{challenger.candidate} {challenger.interval_fault}"


def _compare(
    challenger: Card, champion: Card, comparison: Comparison, intervals: Comparison | None, gate: Gate
) -> tuple[str, str]:
    gain, who = comparison.gain_share, f"{challenger.candidate} against the champion {champion.candidate}"
    point = f"{who} over {describe_basis(comparison)}: {describe_gain(comparison, _CHAMPIONS)}"
    if abs(gain) < gate.min_gain_share:
        return _compare_intervals(challenger, champion, f"{point}, which is as good", intervals, gate)
    if gain < 0:
        return Action.KEEP, f"{point}, which is worse"
    if not comparison.is_better:
        return Action.KEEP, f"{point}, {_describe_heavy(comparison)}"
    if comparison.p_value <= gate.alpha:
        return Action.PROMOTE, f"{point}, which is better"
    return Action.KEEP, (
        f"{point}. That can be luck: a champion is replaced where p is at most {gate.alpha:g}. "
        f"If the gain is real, waiting for more rows costs {format_share(gain, 1)}"
    )


def _compare_intervals(
    challenger: Card, champion: Card, point: str, intervals: Comparison | None, gate: Gate
) -> tuple[str, str]:
    if challenger.interval_score is None or champion.interval_score is None or intervals is None:
        return Action.KEEP, f"{point}, and there are no intervals to compare"
    numbers = (
        f"{describe_gain(intervals, _CHAMPIONS)}, "
        f"coverage {_format_coverage(challenger)} against {_format_coverage(champion)}"
    )
    is_large = intervals.gain_share >= gate.min_interval_gain_share
    if is_large and intervals.is_better and intervals.p_value <= gate.alpha:
        return Action.PROMOTE, f"{point}, with better intervals: {numbers}"
    needed = f"by {format_share(gate.min_interval_gain_share)} with p of at most {gate.alpha:g}"
    return Action.KEEP, f"{point}, and the intervals are not better {needed}: {numbers}"


def _format_coverage(card: Card) -> str:
    return "unknown" if card.coverage_share is None else format_share(card.coverage_share)


def _describe_incomparable(challenger: Card, champion: Card, hindrance: str) -> str:
    why = f", because {hindrance}" if hindrance else ""
    return (
        f"{challenger.candidate} cannot be compared with the champion {champion.candidate} at the same origins{why}; "
        "what serves stays"
    )


def _describe_heavy(comparison: Comparison) -> str:
    plain = format_gain(comparison.plain_gain_share, than=_CHAMPIONS)
    return f"but with its heaviest {comparison.noun}s counted in full it is {plain}"


def _describe_first(challenger: Card, baseline: Card, others: Sequence[Card], gate: Gate) -> str:
    if challenger.candidate == baseline.candidate:
        loss = f"{baseline.loss_name} {format_number(baseline.loss, 4)}"
        served = f"no candidate beat the baseline, so {baseline.candidate} serves ({loss})"
        best = _find_best(baseline, others)
        return served if best is None else f"{served}. {_describe_refused(best, baseline, gate)}"
    if challenger.over_floor is None:
        gain = format_gain(measure_gain(challenger.loss, baseline.loss))
        loss = f"{challenger.loss_name} {format_number(challenger.loss, 4)}"
        return f"{challenger.candidate} beats {baseline.candidate}: {loss}, {gain}"
    found = challenger.over_floor
    basis, gain = describe_basis(found), describe_gain(found, _BASELINES)
    beats = f"{challenger.candidate} beats {baseline.candidate} over {basis}: {gain}"
    if found.p_value <= gate.alpha:
        return beats
    return (
        f"{beats}. That may be luck, but then it serves about as well as {baseline.candidate}, and to refuse a real "
        f"gain would cost {format_share(found.gain_share, 1)}"
    )


def _find_best(baseline: Card, others: Sequence[Card]) -> Card | None:
    """The candidate with the lowest loss; None if none was compared with the baseline, or all have a fault."""
    compared = [card for card in others if card.over_floor is not None and card.interval_fault is None]
    return min(compared, key=lambda card: 1 - _measure_gain(card, baseline), default=None)


def _describe_refused(best: Card, baseline: Card, gate: Gate) -> str:
    found = best.over_floor
    assert found is not None, "the best of the compared candidates was compared"
    if not found.gain_share >= gate.min_gain_share:
        gain = format_gain(found.gain_share, than=_BASELINES)
        return (
            f"{start_sentence(found.loss_name)} of the best, {best.candidate}, is {gain} over {describe_basis(found)}; "
            f"at least {format_share(gate.min_gain_share, 1)} lower is needed"
        )
    gain = f"{best.candidate} is {format_share(found.gain_share, 1)} better over {describe_basis(found)}"
    if not found.is_better:
        return f"{gain}, but only because heavy rows count less; counted in full, it is not better"
    return (
        f"{gain}, but that is probably luck ({describe_doubt(found)}; at most {gate.floor_level:g} is needed). "
        f"If the gain is real, waiting for more rows costs {format_share(found.gain_share, 1)}"
    )
