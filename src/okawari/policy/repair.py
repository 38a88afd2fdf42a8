"""Decide what the loop of a case lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from okawari.policy.decision import Action, Cause

GRACE_S = 60.0
"""Time in seconds for an event to start its run; after that the event counts as lost."""


@dataclass(frozen=True)
class Unanswered:
    """A training request that no training followed: its cause, the id of its record, and the age of that record."""

    cause: Cause
    record: str
    age_s: float = inf


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
    unanswered: Unanswered | None
    active: frozenset[str] = frozenset()
    """Flows (`train`, `monitor`, `package`) that have a run of this case that waits or runs now."""
    may_train: bool = True
    """Whether a training may start now: a slot is free, and the wait after trainings without a result is over."""
    ingested_s: float = inf
    """Seconds since the newest snapshot was recorded."""
    promoted_s: float = inf
    """Seconds since the newest promotion was recorded."""


@dataclass(frozen=True)
class Repair:
    """One action that brings the loop to the state that the records describe."""

    action: Action
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def decide_repairs(loop: Loop, grace_s: float = GRACE_S) -> list[Repair]:
    """Decide the repairs of the loop of a case. All of them are idempotent.

    Records younger than `grace_s` seconds are skipped, because their event may still start the work.
    """
    if loop.snapshot is None:
        return []
    if loop.promoted is not None and loop.promoted != loop.champion:
        reason = f"version {loop.promoted} was promoted, but the alias points to {loop.champion}"
        return [Repair(Action.SET_CHAMPION, reason, {"version": loop.promoted})]
    return [*_repair_serving(loop, grace_s), *_repair_watch(loop, grace_s)]


def _repair_serving(loop: Loop, grace_s: float) -> list[Repair]:
    # A training packages the promoted version itself, and the service needs a moment to load it.
    is_on_its_way = bool(loop.active & {"train", "package"}) or loop.promoted_s < grace_s
    if loop.serving == loop.champion or loop.champion is None or is_on_its_way:
        return []
    reason = f"version {loop.champion} is the champion, but version {loop.serving} serves"
    return [Repair(Action.PACKAGE, reason, {"version": loop.champion})]


def _repair_watch(loop: Loop, grace_s: float) -> list[Repair]:
    """Start the requested training, or `monitor`, which may request one."""
    if (asked := loop.unanswered) is not None:
        reason = f"no training followed a request for one ({asked.cause})"
        return [] if asked.age_s < grace_s else _repair_training(loop, asked.cause, asked.record, reason)
    if "monitor" in loop.active or loop.ingested_s < grace_s:
        return []
    if loop.champion is None:
        return _repair_training(loop, "missing", None, f"snapshot {loop.snapshot} exists, but there is no champion")
    if loop.is_monitored:
        return []
    return [Repair(Action.MONITOR, f"snapshot {loop.snapshot} has no verdict against version {loop.champion}")]


def _repair_training(loop: Loop, cause: Cause, record: str | None, reason: str) -> list[Repair]:
    if "train" in loop.active or not loop.may_train:
        return []
    return [Repair(Action.TRAIN, reason, {"cause": cause, "reason": reason, "cause_id": record})]
