"""The lines of `okawari status` about a person's decisions."""

from __future__ import annotations

from collections.abc import Iterator

from okawari.loop.status import LoopState
from okawari.policy.decision import describe_outcome
from okawari.policy.standing import Ruling


def list_standing(state: LoopState) -> Iterator[str]:
    """One line for the pin, the challenger that waits, each bar, the last person's decision and an alias put back."""
    standing, case = state.standing, state.case
    if standing.pin is not None:
        yield f"pinned: version {standing.pin.version}, {_sign(standing.pin)}"
    if (waiting := standing.waiting) is not None:
        when = "" if waiting.at is None else f" ({waiting.at:%Y-%m-%d %H:%M} UTC)"
        yield f"waiting for approval: version {waiting.version}{when}: {waiting.reason}"
    for bar in standing.bars:
        yield f"barred: version {bar.identity.version} ({bar.identity.candidate}), {_sign(bar.ruling)}"
    if standing.person is not None:
        yield f"person: {describe_outcome(standing.person.kind, standing.person.action)}, {_sign(standing.person)}"
    if (row := state.put_back) is not None:
        outcome = describe_outcome(row["kind"], row["action"])
        yield f"alias of {case}: {outcome} ({row['at']:%Y-%m-%d %H:%M} UTC): {row['reason']}"


def _sign(ruling: Ruling) -> str:
    """Who, when and why."""
    when = "" if ruling.at is None else f" ({ruling.at:%Y-%m-%d %H:%M} UTC)"
    return f"by {ruling.by}{when}: {ruling.reason}"
