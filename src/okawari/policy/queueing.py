"""Decide which requested training may start: one training of a case at a time, and up to a limit in all.

The requests of a person come first, then all others in the order of their records. All requests of a case wait as one,
because one training answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from okawari.policy.decision import Action, Cause, Decision, Kind

_FIRST_WAIT_S, _LONGEST_WAIT_S = 600.0, 86_400.0
_FREE_ATTEMPTS = 2
"""Trainings that may die with their process, one after the other, before the next one has to wait."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The open requests of a case. `record` is the id of the first one to answer; None where no champion exists yet."""

    case: str
    cause: Cause
    record: str | None = None
    by_person: bool = False
    since: datetime = _LONG_AGO
    """When the oldest of these requests was recorded."""
    newest: datetime = _LONG_AGO
    """When the newest of these requests was recorded; its event may still be on its way."""
    due_in_s: float = 0.0
    """Seconds until an automatic training may start again after trainings without a result."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run of the flow `train` that runs now; `at` is its start according to the Prefect server, as ISO text."""

    id: str
    case: str
    at: str


def order_waiting(waiting: Sequence[Waiting]) -> list[Waiting]:
    """The requests in the order in which they start: those of a person first, then by their records."""
    return sorted(waiting, key=lambda each: (not each.by_person, each.since, each.case))


def list_next(waiting: Sequence[Waiting], training: Sequence[str], limit: int) -> list[Waiting]:
    """The requests that may start now, beside the cases in training."""
    may_start = [each for each in order_waiting(waiting) if each.case not in training and each.due_in_s <= 0]
    return may_start[: max(0, limit - len(training))]


def list_training(started: Sequence[Started], limit: int) -> list[str]:
    """The cases whose runs train; the other runs find their case or every slot taken, and end at once.

    Every run computes the same result from the same runs, so no two of them train for one slot.
    """
    cases: list[str] = []
    for run in sorted(started, key=lambda each: (each.at, each.id)):
        if run.case not in cases and len(cases) < limit:
            cases.append(run.case)
    return cases


def decide_turn(own: Waiting, waiting: Sequence[Waiting], training: Sequence[str], limit: int) -> Decision:
    """Whether the run of a request trains now; else a running training answers it (`join`), or a later one (`wait`).

    Args:
        own: the request of the run.
        waiting: the open requests of all cases; that of `own`'s case is left out.
        training: the cases in training.
        limit: how many trainings may run at a time.
    """
    others = [each for each in waiting if each.case != own.case]
    if own.case in training:
        action = Action.WAIT if own.by_person else Action.JOIN
        return Decision(Kind.REQUEST, action, f"{_START[action]} the training of {own.case} that runs now")
    if own in list_next([*others, own], training, limit):
        return Decision(Kind.REQUEST, Action.TRAIN, "a slot is free")
    if own.due_in_s > 0:
        reason = (
            f"the last trainings had no result; an automatic one may start in {own.due_in_s / 60:.0f} min, and one of "
            f"a person at any time: okawari run {own.case} --retrain"
        )
        return Decision(Kind.REQUEST, Action.WAIT, reason)
    return Decision(Kind.REQUEST, Action.WAIT, describe_position(own, others, training, limit))


def describe_position(own: Waiting, others: Sequence[Waiting], training: Sequence[str], limit: int) -> str:
    """What a request waits for, and its position among the waiting ones, from 1."""
    due = [each for each in others if each.due_in_s <= 0 and each.case not in training]
    ahead = order_waiting([*due, own]).index(own)
    behind = [f"the training of {case}" for case in training]
    if ahead:
        behind.append(f"{ahead} earlier request{'s' if ahead > 1 else ''}")
    return f"waits behind {' and '.join(behind)}; position {ahead + 1} in the queue (OKAWARI_TRAININGS={limit})"


def compute_wait_s(n_attempts: int, *, failed: bool) -> float:
    """Seconds between the last training without a result and the next automatic one.

    Args:
        n_attempts: trainings since the last one with a result.
        failed: whether the last one failed for its own reason; else it died with its process or with a server.

    >>> [compute_wait_s(n, failed=False) for n in (0, 1, 2, 3, 4)], compute_wait_s(1, failed=True)
    ([0.0, 0.0, 0.0, 600.0, 1200.0], 600.0)
    """
    n_paid = n_attempts - (0 if failed else _FREE_ATTEMPTS)
    return 0.0 if n_paid <= 0 else min(_FIRST_WAIT_S * 2 ** min(n_paid - 1, 10), _LONGEST_WAIT_S)


_START = {Action.WAIT: "waits for the end of", Action.JOIN: "joins"}
