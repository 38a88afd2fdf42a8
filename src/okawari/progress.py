"""Progress of long work: one typed value for fits, scoring, flow runs and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Progress of one piece of work: its name, the share that is done (0 to 1), and a text with numbers."""

    what: str
    share: float
    text: str = ""


Watch = Callable[[Step], None]
"""Called with each step of a piece of work."""


def count_step(what: str, done: int, planned: int, numbers: Mapping[str, float]) -> Step:
    """A step of work with a known number of parts.

    >>> count_step("lstm_2x64", 3, 12, {"train_loss": 0.12345})
    Step(what='lstm_2x64', share=0.25, text='3 of 12, train_loss 0.1235')
    """
    words = [f"{done} of {planned}", *(f"{name} {value:.4g}" for name, value in numbers.items())]
    return Step(what, min(1.0, done / max(1, planned)), ", ".join(words))


def ignore_step(step: Step) -> None:
    """A `Watch` that shows nothing."""
