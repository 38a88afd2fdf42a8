"""Decide what the loop of a case lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from okawari.policy.decision import Action, Cause


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The state of the loop of a case. None means that something does not exist, or that its server did not answer."""

    snapshot: int | None
    champion: str | None
    """Version that the alias `champion` points to."""
    promoted: str | None
    """Version of the newest recorded promotion."""
    serving: str | None
    is_monitored: bool
    """Whether the newest snapshot has a drift verdict against the champion."""
    unanswered: tuple[Cause, str] | None
    """The cause and record id of a training request that no training followed; None if there is none."""
    training_active: bool


@dataclass(frozen=True)
class Repair:
    """One action that brings the loop to the state that the records describe."""

    action: Action
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def decide_repairs(loop: Loop) -> list[Repair]:
    """Decide the repairs of the loop of a case. All of them are idempotent."""
    if loop.snapshot is None:
        return []
    if loop.promoted is not None and loop.promoted != loop.champion:
        reason = f"version {loop.promoted} was promoted, but the alias points to {loop.champion}"
        return [Repair(Action.SET_CHAMPION, reason, {"version": loop.promoted})]
    if loop.champion is None:
        return _repair_training(loop, "missing", None, f"snapshot {loop.snapshot} exists, but there is no champion")
    repairs = []
    if loop.serving != loop.champion and not loop.training_active:  # a training packages the version that it promotes
        reason = f"version {loop.champion} is the champion, but version {loop.serving} serves"
        repairs.append(Repair(Action.PACKAGE, reason, {"version": loop.champion}))
    if loop.unanswered is not None:
        cause, verdict = loop.unanswered
        repairs += _repair_training(loop, cause, verdict, f"no training followed a request for one ({cause})")
    elif not loop.is_monitored:
        repairs.append(
            Repair(Action.MONITOR, f"snapshot {loop.snapshot} has no verdict against version {loop.champion}")
        )
    return repairs


def _repair_training(loop: Loop, cause: Cause, verdict: str | None, reason: str) -> list[Repair]:
    if loop.training_active:
        return []
    return [Repair(Action.TRAIN, reason, {"cause": cause, "reason": reason, "cause_id": verdict})]
