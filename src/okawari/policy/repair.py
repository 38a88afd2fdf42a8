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


@dataclass(frozen=True)
class HandMove:
    """A person has moved the alias, or deleted it; and why the version that it points to now cannot serve, if so."""

    hindrance: str | None = None


@dataclass(frozen=True, kw_only=True)
class AliasFacts:
    """The version that the alias points to, and the one that the recorded decisions make the champion."""

    champion: str | None
    promoted: str | None
    moved: HandMove | None = None
    """None if the two are equal, or if a move by Okawari is unfinished."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The state of the loop of a case. None means that something does not exist, or that its server did not answer."""

    snapshot: int | None
    champion: str | None
    """Version that the alias `champion` points to."""
    promoted: str | None
    """Version that the recorded decisions of the gate and of persons make the champion."""
    serving: str | None
    is_monitored: bool
    """Whether the newest snapshot has a drift verdict against the champion."""
    unanswered: Unanswered | None
    active: frozenset[str] = frozenset()
    """Flows (`train`, `monitor`, `package`) that have a run of this case that waits or runs now."""
    ingested_s: float = inf
    """Seconds since the newest snapshot was recorded."""
    promoted_s: float = inf
    """Seconds since the decision on the champion was recorded by a process that also packages the version."""
    moved: HandMove | None = None
    """A person's move of the alias from `promoted` to `champion`."""
    awaits_approval: bool = False
    """Whether a challenger waits for a person's approval."""

    @property
    def alias(self) -> AliasFacts:
        """The facts for `decide_alias`."""
        return AliasFacts(champion=self.champion, promoted=self.promoted, moved=self.moved)


@dataclass(frozen=True)
class Repair:
    """One action that brings the loop to the state that the records describe."""

    action: Action
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def decide_alias(alias: AliasFacts) -> Repair | None:
    """Finish a recorded move of the alias, adopt a person's move, or put the alias back; None if nothing is to be done.

    A version that a person has set is adopted if it can serve. An alias that was deleted is put back, because a case
    without a champion would only train one.
    """
    now, promoted, moved = alias.champion, alias.promoted, alias.moved
    if now == promoted or (promoted is None and moved is None):
        return None
    if moved is None:
        reason = f"version {promoted} was promoted, but the alias points to {now}"
        return Repair(Action.SET_CHAMPION, reason, {"version": promoted})
    if now is None:
        reason = f"the alias was deleted by hand, and version {promoted} is the champion"
        return Repair(Action.PUT_BACK, reason, {"version": promoted})
    if moved.hindrance is not None:
        reason = f"the alias was moved by hand to version {now}, which cannot serve: {moved.hindrance}"
        return Repair(Action.PUT_BACK, reason, {"version": promoted})
    reason = f"the alias was moved by hand from version {promoted} to version {now}"
    return Repair(Action.ADOPT, reason, {"version": now})


def decide_repairs(loop: Loop, grace_s: float = GRACE_S) -> list[Repair]:
    """Decide the repairs of the loop of a case. All of them are idempotent.

    Records younger than `grace_s` seconds are skipped, because their event may still start the work.
    """
    if loop.snapshot is None:
        return []
    if (move := decide_alias(loop.alias)) is not None:
        return [move]
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
    if loop.champion is None and loop.awaits_approval:
        return []
    if loop.champion is None:
        return _repair_training(loop, "missing", None, f"snapshot {loop.snapshot} exists, but there is no champion")
    if loop.is_monitored:
        return []
    return [Repair(Action.MONITOR, f"snapshot {loop.snapshot} has no verdict against version {loop.champion}")]


def _repair_training(loop: Loop, cause: Cause, record: str | None, reason: str) -> list[Repair]:
    if "train" in loop.active:
        return []
    return [Repair(Action.TRAIN, reason, {"cause": cause, "reason": reason, "cause_id": record})]
