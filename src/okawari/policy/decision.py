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
    REQUEST = "request"
    PERSON = "person"
    """A person's decision about versions; `facts["by"]` names the person."""
    DELIVERY = "delivery"
    """A person's decision about a held delivery; `facts["by"]` names the person."""


class Verdict(StrEnum):
    """The verdict on the data."""

    ACCEPTED = "accepted"
    ACCEPTED_IN_PART = "accepted in part"
    HELD = "held"
    """Nothing of the delivery is stored as readings until a person decides."""
    WAITS = "waits"
    """Another delivery is held; this one is judged after it."""
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
    FAIL = "fail"
    WAIT = "wait"
    JOIN = "join"
    SERVES_AGAIN = "serves again"
    NEEDS_PERSON = "needs a person"
    AWAIT_APPROVAL = "await approval"
    """The challenger passed the gate and waits for a person's approval."""
    HOLD = "hold"
    """The challenger passed the gate, but a person has pinned another version."""
    ROLL_BACK = "roll back"
    PIN = "pin"
    UNPIN = "unpin"
    APPROVE = "approve"
    REJECT = "reject"
    UNBAR = "unbar"
    ACCEPT = "accept"
    DISCARD = "discard"
    ADOPT = "adopt"
    """The alias was moved by hand, and the decision log takes that over as a person's decision."""
    PUT_BACK = "put back"
    """The alias was moved by hand to a version that cannot serve, or was deleted, and is set again."""


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
    (Kind.PROMOTION, Action.AWAIT_APPROVAL): "challenger awaits approval",
    (Kind.PROMOTION, Action.HOLD): "not promoted, because a version is pinned",
    (Kind.RETRAIN, Action.TRAIN): "training started",
    (Kind.RETRAIN, Action.SKIP): "training skipped",
    (Kind.RETRAIN, Action.FAIL): "training failed",
    (Kind.REQUEST, Action.TRAIN): "training requested",
    (Kind.DEPLOYMENT, Action.DEPLOYED): "version deployed",
    (Kind.REPAIR, Action.TRAIN): "training requested",
    (Kind.REPAIR, Action.SET_CHAMPION): "champion alias corrected",
    (Kind.REPAIR, Action.PACKAGE): "packaging requested",
    (Kind.REPAIR, Action.MONITOR): "monitoring requested",
    (Kind.REPAIR, Action.NEEDS_PERSON): "a person is needed",
    (Kind.REPAIR, Action.PUT_BACK): "champion alias put back",
    (Kind.PERSON, Action.PROMOTE): "version promoted",
    (Kind.PERSON, Action.ROLL_BACK): "rolled back",
    (Kind.PERSON, Action.PIN): "version pinned",
    (Kind.PERSON, Action.UNPIN): "pin removed",
    (Kind.PERSON, Action.APPROVE): "challenger approved",
    (Kind.PERSON, Action.REJECT): "challenger rejected",
    (Kind.PERSON, Action.UNBAR): "bar lifted",
    (Kind.PERSON, Action.ADOPT): "champion set by hand in MLflow",
    (Kind.DELIVERY, Action.ACCEPT): "delivery accepted",
    (Kind.DELIVERY, Action.DISCARD): "delivery discarded",
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
