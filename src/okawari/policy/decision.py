"""A decision: what is to be done, or what the data says, and why.

Everything in `okawari.policy` is pure: no clock and no I/O. The caller gathers the facts and records the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["quality", "drift", "performance", "retrain", "variant", "promotion", "deployment", "repair"]


Cause = Literal["drift", "performance", "missing", "schedule", "asked"]


@dataclass(frozen=True)
class Decision:
    """What is to be done (or what the data says) and why, with the numbers it rests on."""

    kind: Kind
    action: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def measure_gain(new: float, old: float) -> float:
    """Share by which `new` is smaller than `old`; positive is better."""
    return 1 - new / old if old else 0.0
