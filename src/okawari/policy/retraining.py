"""Decide whether to train or to skip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from okawari.case import Retrain
from okawari.policy.decision import Action, Cause, Decision, Kind


@dataclass(frozen=True, kw_only=True)
class RetrainFacts:
    """The facts known when a training is requested."""

    cause: Cause
    has_champion: bool
    new_readings: int
    """Readings newer than the snapshot of the last finished training."""
    trainings_today: int
    """Trainings that began today, with or without a result."""
    rejections_in_a_row: int
    awaits_approval: bool = False
    """Whether a challenger waits for a person's approval."""


def decide_retrain(facts: RetrainFacts, rule: Retrain) -> Decision:
    """Train or skip. A request by a person always trains; the other causes have limits.

    Without a champion only the daily limit holds.
    """
    action, reason = _apply_limits(facts, rule)
    return Decision(Kind.RETRAIN, action, reason, asdict(facts))


def _apply_limits(facts: RetrainFacts, rule: Retrain) -> tuple[str, str]:
    may_be_first = not facts.has_champion and not facts.awaits_approval
    if may_be_first and (facts.cause == "asked" or facts.trainings_today < rule.daily_budget):
        return Action.TRAIN, "the case has no champion yet"
    if may_be_first:
        return Action.SKIP, (
            f"{facts.trainings_today} trainings today brought no champion and reach the daily limit of "
            f"{rule.daily_budget}; a person may start another one with --retrain"
        )
    if facts.cause == "asked":
        return Action.TRAIN, "a person requested it"
    if facts.cause == "missing":
        return Action.SKIP, f"the case already has a {'champion' if facts.has_champion else 'challenger that waits'}"
    if facts.new_readings < rule.cooldown_readings:
        return Action.SKIP, (
            f"only {facts.new_readings} new rows since the last training; at least {rule.cooldown_readings} are needed"
        )
    if facts.trainings_today >= rule.daily_budget:
        return Action.SKIP, f"{facts.trainings_today} trainings today reach the daily limit of {rule.daily_budget}"
    if facts.rejections_in_a_row >= rule.max_rejections:
        return (
            Action.SKIP,
            f"the last {facts.rejections_in_a_row} challengers were rejected; a person has to request the next one",
        )
    return Action.TRAIN, f"{_CAUSES[facts.cause]}; there are {facts.new_readings} new rows"


_CAUSES: Mapping[Cause, str] = {
    "drift": "the data has drifted",
    "performance": "the performance of the champion is worse than promised",
    "missing": "the case has no champion yet",
    "schedule": "a scheduled training",
    "asked": "a person requested it",
}
