"""Train or skip?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from okawari.case import Retrain
from okawari.policy.decision import Action, Cause, Decision, Kind


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
    return Decision(Kind.RETRAIN, action, reason, asdict(facts))


def _ration(facts: RetrainFacts, rule: Retrain) -> tuple[str, str]:
    if not facts.has_champion:
        return Action.TRAIN, "the case has no champion yet"
    if facts.cause == "asked":
        return Action.TRAIN, "somebody asked for it"
    if facts.cause == "missing":
        return Action.SKIP, "the case has a champion by now"
    if facts.new_readings < rule.cooldown_readings:
        return Action.SKIP, (
            f"only {facts.new_readings} new rows since the last training; it takes {rule.cooldown_readings}"
        )
    if facts.trainings_today >= rule.daily_budget:
        return Action.SKIP, f"{facts.trainings_today} trainings today use up the budget of {rule.daily_budget}"
    if facts.rejections_in_a_row >= rule.max_rejections:
        return Action.SKIP, f"the last {facts.rejections_in_a_row} challengers were rejected; a person has to ask"
    return Action.TRAIN, f"{_CAUSES[facts.cause]}, with {facts.new_readings} new rows to learn from"


_CAUSES: Mapping[Cause, str] = {
    "drift": "the data has moved",
    "performance": "the champion does its job worse than promised",
    "missing": "the case has no champion yet",
    "schedule": "the schedule says so",
    "asked": "somebody asked for it",
}
