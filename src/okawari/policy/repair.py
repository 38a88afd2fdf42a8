"""What does a case's loop lack?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okawari.policy.decision import Action, Cause


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

    action: Action
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def decide_repairs(loop: Loop) -> list[Repair]:
    """Decide the repairs of a case's loop. They are idempotent."""
    if loop.snapshot is None:
        return []
    if loop.promoted is not None and loop.promoted != loop.champion:
        reason = f"version {loop.promoted} was promoted, but the alias points at {loop.champion}"
        return [Repair(Action.SET_CHAMPION, reason, {"version": loop.promoted})]
    if loop.champion is None:
        return _repair_training(loop, "missing", None, f"snapshot {loop.snapshot} is there, but no champion")
    repairs = []
    if loop.serving != loop.champion and not loop.training_active:  # a training packages what it promotes by itself
        reason = f"version {loop.champion} is the champion, but {loop.serving} serves"
        repairs.append(Repair(Action.PACKAGE, reason, {"version": loop.champion}))
    if loop.unanswered is not None:
        cause, verdict = loop.unanswered
        repairs += _repair_training(loop, cause, verdict, f"a request for a training ({cause}) led to none")
    elif not loop.is_monitored:
        repairs.append(
            Repair(Action.MONITOR, f"snapshot {loop.snapshot} has no verdict against version {loop.champion}")
        )
    return repairs


def _repair_training(loop: Loop, cause: Cause, verdict: str | None, reason: str) -> list[Repair]:
    if loop.training_active:
        return []
    return [Repair(Action.TRAIN, reason, {"cause": cause, "reason": reason, "cause_id": verdict})]
