"""Pure decisions: retrain? which challenger? which variant? promote? Frozen facts in, a `Decision` with its reason out.

No clock and no I/O in here: whoever calls gathers the facts and records the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from okawari.case import Gate, Retrain

Kind = Literal["quality", "drift", "performance", "retrain", "variant", "promotion", "deployment", "repair"]
Cause = Literal["drift", "performance", "missing", "schedule", "asked"]


@dataclass(frozen=True)
class Decision:
    """What is to be done (or what the data says) and why, with the numbers it rests on."""

    kind: Kind
    action: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


# --- retrain? -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RetrainFacts:
    """What is known when a training is asked for."""

    cause: Cause
    has_champion: bool
    new_readings: int
    """Readings that came after the snapshot of the last finished training."""
    trainings_today: int
    rejections_in_a_row: int


def decide_retrain(facts: RetrainFacts, rule: Retrain) -> Decision:
    """Train or skip. A person who asks, and a case without champion, are never refused; all else is rationed."""
    action, reason = _ration(facts, rule)
    return Decision("retrain", action, reason, asdict(facts))


def _ration(facts: RetrainFacts, rule: Retrain) -> tuple[str, str]:
    if not facts.has_champion:
        return "train", "the case has no champion yet"
    if facts.cause == "asked":
        return "train", "somebody asked for it"
    if facts.cause == "missing":
        return "skip", "the case has a champion by now"
    if facts.new_readings < rule.cooldown_readings:
        return "skip", (
            f"only {facts.new_readings} new readings since the last training; it takes {rule.cooldown_readings}"
        )
    if facts.trainings_today >= rule.daily_budget:
        return "skip", f"{facts.trainings_today} trainings today use up the budget of {rule.daily_budget}"
    if facts.rejections_in_a_row >= rule.max_rejections:
        return "skip", f"the last {facts.rejections_in_a_row} challengers were rejected; a person has to ask"
    return "train", f"{_CAUSES[facts.cause]}, with {facts.new_readings} new readings to learn from"


_CAUSES: Mapping[Cause, str] = {
    "drift": "the data has moved",
    "performance": "the champion does its job worse than promised",
    "missing": "the case has no champion yet",
    "schedule": "the schedule says so",
    "asked": "somebody asked for it",
}


# --- which challenger? --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Card:
    """How one candidate did on the held-out rows: its loss (lower is better), named as a person says it.

    `loss_name` is "RMSE" (in the target's unit, of the first step) or "log loss". `interval_score` is the mean
    Winkler score (lower is better); None without an interval.
    """

    candidate: str
    loss: float
    loss_name: str = "RMSE"
    p_value: float | None = None
    """Chance of such a gain over the baseline by luck alone, adjusted for all candidates; None where not asked."""
    interval_score: float | None = None
    coverage_share: float | None = None


def choose_challenger(baseline: Card, others: Sequence[Card], gate: Gate) -> Card:
    """The best of those that beat the baseline by `min_gain_share`, and not by luck; if none does, the baseline."""
    better = [
        card
        for card in others
        if _gain(card.loss, baseline.loss) >= gate.min_gain_share and (card.p_value or 0.0) <= gate.alpha
    ]
    return min(better, key=lambda card: card.loss, default=baseline)


# --- which variant? -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VariantFacts:
    """One precision of a graph as measured on this machine."""

    variant: str
    bytes: int
    latency_ms: float
    loss: float


def decide_variant(fp32: VariantFacts, quantized: Sequence[VariantFacts], gate: Gate) -> Decision:
    """Quantize only where it is equivalent and pays: its loss grows by at most `quantized_loss_share`, it is at most
    `max_slowdown_share` slower, and saves `quantized_saving_share` of size or time. The smallest such one wins.
    """
    verdicts = {each.variant: _judge_variant(fp32, each, gate) for each in quantized}
    passed = [each for each in quantized if verdicts[each.variant] is None]
    chosen = min(passed, key=lambda each: each.bytes, default=fp32)
    refused = [f"{name} {why}" for name, why in verdicts.items() if why is not None]
    if chosen is fp32:
        reason = "; ".join(refused) or "the graph has no weights worth quantizing"
    else:
        reason = (
            f"{chosen.variant} is {chosen.bytes / fp32.bytes:.0%} of the size at {_gain(chosen.loss, fp32.loss):+.2%} "
            f"gain and {chosen.latency_ms / fp32.latency_ms:.2f} of the time"
        )
    return Decision("variant", chosen.variant, reason, {"fp32": asdict(fp32), "quantized": [*map(asdict, quantized)]})


def _judge_variant(fp32: VariantFacts, each: VariantFacts, gate: Gate) -> str | None:
    """Why a variant is refused; None if it passes."""
    loss = -_gain(each.loss, fp32.loss)
    if loss > gate.quantized_loss_share:
        return f"loses {loss:.2%} (at most {gate.quantized_loss_share:.2%})"
    if each.latency_ms > fp32.latency_ms * (1 + gate.max_slowdown_share):
        return f"takes {each.latency_ms / fp32.latency_ms:.2f} times as long"
    size_gain, time_gain = _gain(each.bytes, fp32.bytes), _gain(each.latency_ms, fp32.latency_ms)
    if max(size_gain, time_gain) < gate.quantized_saving_share:
        return f"saves only {size_gain:.0%} of size and {time_gain:.0%} of time"
    return None


# --- promote? -----------------------------------------------------------------------------------------------------


def decide_promotion(challenger: Card, champion: Card | None, baseline: Card, gate: Gate) -> Decision:
    """Promote or keep, from scores on the same held-out rows.

    A challenger wins by a better point forecast, by becoming the floor where the champion has fallen below the
    baseline, or, at an equal point forecast, by better intervals.
    """
    action, reason = _compare_cards(challenger, champion, baseline, gate)
    facts = {
        "challenger": asdict(challenger),
        "champion": None if champion is None else asdict(champion),
        "baseline": asdict(baseline),
    }
    return Decision("promotion", action, reason, facts)


def _compare_cards(challenger: Card, champion: Card | None, baseline: Card, gate: Gate) -> tuple[str, str]:
    if champion is None:
        return "promote", f"{_introduce(challenger, baseline)}; there was no champion"
    name, gain = challenger.loss_name, _gain(challenger.loss, champion.loss)
    if gain >= gate.min_gain_share:
        return "promote", f"{name} {challenger.loss:.4g} against the champion's {champion.loss:.4g} ({gain:+.1%})"
    if gain <= -gate.min_gain_share:
        return "keep", f"{name} {challenger.loss:.4g} is worse than the champion's {champion.loss:.4g} ({gain:+.1%})"
    return _compare_intervals(challenger, champion, gain, gate)


def _compare_intervals(challenger: Card, champion: Card, gain: float, gate: Gate) -> tuple[str, str]:
    point = f"{challenger.loss_name} as good as the champion's ({gain:+.1%})"
    if challenger.interval_score is None or champion.interval_score is None:
        return "keep", f"{point}, and no interval to compare"
    interval_gain = _gain(challenger.interval_score, champion.interval_score)
    numbers = (
        f"interval score {challenger.interval_score:.4g} against {champion.interval_score:.4g} ({interval_gain:+.1%}), "
        f"coverage {challenger.coverage_share:.0%} against {champion.coverage_share:.0%}"
    )
    if interval_gain >= gate.min_interval_gain_share:
        return "promote", f"{point}, with better intervals: {numbers}"
    return "keep", f"{point}, and intervals no better by {gate.min_interval_gain_share:.0%}: {numbers}"


def _introduce(challenger: Card, baseline: Card) -> str:
    if challenger.candidate == baseline.candidate:
        return (
            f"no candidate beat the baseline, so {baseline.candidate} serves ({baseline.loss_name} {baseline.loss:.4g})"
        )
    gain = _gain(challenger.loss, baseline.loss)
    scored = f"{challenger.loss_name} {challenger.loss:.4g}, {gain:+.1%}"
    return f"{challenger.candidate} beats {baseline.candidate}: {scored}"


def _gain(new: float, old: float) -> float:
    """Share by which `new` is smaller than `old`; positive is better."""
    return 1 - new / old if old else 0.0


# --- repair? ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Where a case's loop stands; None where something does not exist (or cannot be asked)."""

    snapshot: int | None
    champion: str | None
    """Version that the alias points at."""
    promoted: str | None
    """Version of the newest recorded promotion."""
    serving: str | None
    is_monitored: bool
    """Whether the newest snapshot has its drift verdict against the champion."""
    unanswered: tuple[Cause, str] | None
    """A request for a training that led to none: its cause and the id of its record."""
    training_active: bool


@dataclass(frozen=True)
class Repair:
    """One thing to be done so that what is becomes what should be."""

    action: Literal["train", "set champion", "package", "monitor"]
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def decide_repairs(loop: Loop) -> list[Repair]:
    """What a case's loop lacks. Doing it once, twice or after somebody else did it comes to the same."""
    if loop.snapshot is None:
        return []
    if loop.promoted is not None and loop.promoted != loop.champion:
        reason = f"version {loop.promoted} was promoted, but the alias points at {loop.champion}"
        return [Repair("set champion", reason, {"version": loop.promoted})]
    if loop.champion is None:
        return _repair_training(loop, "missing", None, f"snapshot {loop.snapshot} is there, but no champion")
    repairs = []
    if loop.serving != loop.champion and not loop.training_active:  # a training packages what it promotes by itself
        reason = f"version {loop.champion} is the champion, but {loop.serving} serves"
        repairs.append(Repair("package", reason, {"version": loop.champion}))
    if loop.unanswered is not None:
        cause, verdict = loop.unanswered
        repairs += _repair_training(loop, cause, verdict, f"a request for a training ({cause}) led to none")
    elif not loop.is_monitored:
        repairs.append(Repair("monitor", f"snapshot {loop.snapshot} has no verdict against version {loop.champion}"))
    return repairs


def _repair_training(loop: Loop, cause: Cause, verdict: str | None, reason: str) -> list[Repair]:
    if loop.training_active:
        return []
    return [Repair("train", reason, {"cause": cause, "reason": reason, "cause_id": verdict})]
