"""Decisions and verdicts, with their reasons.

Everything in `okawari.policy` is pure: no clock and no I/O. The caller gathers the facts and records the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any, Literal


class Kind(StrEnum):
    """What a verdict or a decision is about."""

    QUALITY = "quality"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    RETRAIN = "retrain"
    VARIANT = "variant"
    PROMOTION = "promotion"
    DEPLOYMENT = "deployment"
    REPAIR = "repair"


class Verdict(StrEnum):
    """The verdict on the data."""

    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted in part"
    REFUSED = "refused"
    STABLE = "stable"
    DRIFTED = "drifted"
    GOOD = "good"
    DEGRADED = "degraded"
    NOT_ENOUGH_DATA = "not enough data"
    NO_CHAMPION = "no champion"


class Action(StrEnum):
    """What is done after a decision."""

    TRAIN = "train"
    SKIP = "skip"
    PROMOTE = "promote"
    KEEP = "keep"
    DEPLOYED = "deployed"
    SET_CHAMPION = "set champion"
    PACKAGE = "package"
    MONITOR = "monitor"
    SERVES_AGAIN = "serves again"
    NEEDS_PERSON = "needs a person"


Cause = Literal["drift", "performance", "missing", "schedule", "asked"]


@dataclass(frozen=True)
class Decision:
    """An action or a verdict, its reason, and the numbers behind it."""

    kind: Kind
    action: Verdict | Action | str
    """For a decision about variants, the name of the chosen variant."""
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


_OUTCOMES: Mapping[tuple[str, str], str] = {
    (Kind.PROMOTION, Action.PROMOTE): "new champion promoted",
    (Kind.PROMOTION, Action.KEEP): "champion kept",
    (Kind.RETRAIN, Action.TRAIN): "training started",
    (Kind.RETRAIN, Action.SKIP): "training skipped",
    (Kind.DEPLOYMENT, Action.DEPLOYED): "version deployed",
    (Kind.REPAIR, Action.TRAIN): "training requested",
    (Kind.REPAIR, Action.SET_CHAMPION): "champion alias corrected",
    (Kind.REPAIR, Action.PACKAGE): "packaging requested",
    (Kind.REPAIR, Action.MONITOR): "monitoring requested",
    (Kind.REPAIR, Action.NEEDS_PERSON): "a person is needed",
}


def describe_outcome(kind: str, action: str) -> str:
    """The outcome of a decision as text, without repeating its kind.

    Verdicts and names of variants describe themselves.

    >>> describe_outcome("promotion", "promote"), describe_outcome("drift", "drifted")
    ('new champion promoted', 'drifted')
    """
    return _OUTCOMES.get((kind, action), str(action))


def measure_gain(new: float, old: float) -> float:
    """Share by which `new` is smaller than `old`; positive is better. If `old` is 0: 0 for an equal value, else -inf.

    >>> measure_gain(0.75, 1.0), measure_gain(0.0, 0.0), measure_gain(0.5, 0.0)
    (0.25, 0.0, -inf)
    """
    if old == 0:
        return 0.0 if new == 0 else -inf
    return 1 - new / old
