"""Decide what the loop of a case lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from okawari.policy.decision import Action, Cause

GRACE_S = 60.0
"""Time in seconds for an event to start its run; after that the event counts as lost."""


LOADING_S = 10.0
"""Time in seconds for the service to load what was deployed."""
MAX_PACKAGINGS = 3
"""Packagings of one graph without effect after which a person is needed: each may build a Bento."""


@dataclass(frozen=True)
class Serving:
    """What the service serves of a case. None as version: it answered, and serves nothing."""

    version: str | None
    graph_sha256: str | None = None
    """None where it is not known, because the service did not answer and its last deployment is on record."""
    refused: str | None = None
    """Why it refuses the newest entry of the model store."""


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
    serving: Serving
    """As the service answered; the last recorded deployment, if it did not answer."""
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
    """Seconds since the decision on the champion was recorded by a process that also packages the version."""
    deployed_s: float = inf
    """Seconds since the newest deployment was recorded."""
    champion_sha256: str | None = None
    """Digest of the champion's graph."""
    packagings: int = 0
    """Packagings that repairs have started for this champion since it last served."""
    needs_person: bool = False
    """Whether it is recorded that a person is needed, and nothing has been deployed since."""
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
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What is recorded with it beside its parameters."""


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


def decide_repairs(loop: Loop, grace_s: float = GRACE_S, *, asked: bool = False) -> list[Repair]:
    """Decide the repairs of the loop of a case. All of them are idempotent.

    Records younger than `grace_s` seconds are skipped, because their event may still start the work. If a person has
    `asked`, the champion is packaged again even after packagings without effect.
    """
    if loop.snapshot is None:
        return []
    if (move := decide_alias(loop.alias)) is not None:
        return [move]
    return [*_repair_serving(loop, grace_s, asked=asked), *_repair_watch(loop, grace_s)]


def _repair_serving(loop: Loop, grace_s: float, *, asked: bool) -> list[Repair]:
    """Package the champion where the service does not serve exactly its graph, but not for ever."""
    if loop.champion is None:
        return []
    facts = {"version": loop.champion, "graph_sha256": loop.champion_sha256}
    if (fault := _find_fault(loop)) is None:
        return _record_recovery(loop, facts)
    if _is_on_its_way(loop, grace_s) or (loop.needs_person and not asked):
        return []
    if loop.packagings >= MAX_PACKAGINGS and not asked:
        cure = "Read the service's log, remove the cause, and run `okawari run` for this case."
        reason = f"{fault}, also after {loop.packagings} packagings. {cure}"
        return [Repair(Action.NEEDS_PERSON, reason, facts=facts)]
    number = 1 if asked else loop.packagings + 1
    reason = f"{fault} (packaging {number} of {MAX_PACKAGINGS})"
    return [Repair(Action.PACKAGE, reason, {"version": loop.champion}, facts)]


def _find_fault(loop: Loop) -> str | None:
    """How the service differs from serving the champion; None where it does not."""
    serving, champion = loop.serving, f"version {loop.champion} is the champion"
    because = f": {serving.refused}" if serving.refused else ""
    if serving.version is None:
        return f"{champion}, but nothing serves{because}"
    if serving.version != loop.champion:
        return f"{champion}, but version {serving.version} serves{because}"
    known = (serving.graph_sha256, loop.champion_sha256)
    if None not in known and serving.graph_sha256 != loop.champion_sha256:
        return f"{champion}, but another graph of that version serves ({str(serving.graph_sha256)[:12]}){because}"
    return f"{champion} and serves, but its entry in the model store is damaged{because}" if because else None


def _is_on_its_way(loop: Loop, grace_s: float) -> bool:
    """A training packages the promoted version itself, and the service needs a moment to load it."""
    is_young = loop.promoted_s < grace_s or loop.deployed_s < min(grace_s, LOADING_S)
    return is_young or bool(loop.active & {"train", "package"})


def _record_recovery(loop: Loop, facts: Mapping[str, Any]) -> list[Repair]:
    """Record that the service serves the champion again, so that later packagings are counted from here."""
    if not loop.packagings or loop.serving.graph_sha256 is None:
        return []
    reason = f"version {loop.champion} serves again (repairs: {loop.packagings})"
    return [Repair(Action.SERVES_AGAIN, reason, facts=facts)]


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
    if "train" in loop.active or not loop.may_train:
        return []
    return [Repair(Action.TRAIN, reason, {"cause": cause, "reason": reason, "cause_id": record})]
