"""When a program that has ended starts again: at once, then after growing pauses, then rarely. Pure; times are given.

A program that ran quietly for `QUIET_S` before it ended starts again at once. Otherwise the pauses grow: 0, 1, 2, 4 s
and so on, up to 120 s. A program that ended more often than `MAX_PER_HOUR` times within an hour is started only every
`RARE_S`, until it has run for `QUIET_S`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

QUIET_S = 600.0
MAX_PER_HOUR = 10
RARE_S = 600.0
_HOUR_S = 3600.0
_LONGEST_PAUSE_S = 120.0


@dataclass(frozen=True)
class Restart:
    """The next start of a program: after `pause_s`. `is_given_up` is true once, when only rare starts are left."""

    pause_s: float
    is_given_up: bool = False
    is_rare: bool = False


@dataclass
class RestartBudget:
    """The ends of one program within the last hour, and whether it is started rarely only.

    >>> budget = RestartBudget()
    >>> [budget.plan_restart(now, ran_s=1.0).pause_s for now in range(5)]
    [0.0, 1.0, 2.0, 4.0, 8.0]
    >>> budget.plan_restart(1000.0, ran_s=900.0).pause_s
    0.0
    """

    is_rare: bool = False
    _streak: int = 0
    _ends: list[float] = field(default_factory=list)

    def plan_restart(self, now: float, ran_s: float) -> Restart:
        """Record that the program ended at `now` after it ran for `ran_s`; returns when it starts again."""
        if ran_s >= QUIET_S:
            self.is_rare, self._streak = False, 0
        self._ends = [*(end for end in self._ends if end > now - _HOUR_S), now]
        was_rare, self._streak = self.is_rare, self._streak + 1
        self.is_rare = was_rare or len(self._ends) > MAX_PER_HOUR
        if self.is_rare:
            return Restart(RARE_S, is_given_up=not was_rare, is_rare=True)
        return Restart(0.0 if self._streak == 1 else min(2.0 ** (self._streak - 2), _LONGEST_PAUSE_S))

    def recover(self, ran_s: float) -> bool:
        """Whether a rarely started program has now run for `QUIET_S`; true once."""
        if not self.is_rare or ran_s < QUIET_S:
            return False
        self.is_rare, self._streak, self._ends = False, 0, []
        return True
