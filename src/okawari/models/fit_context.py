"""What a fit receives: the data that it may see, the bench that it works on, and a callback for progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from okawari.models.windows import WindowSet
from okawari.schema.heads import Head, name_heads
from okawari.schema.transforms import Transform

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each step of a fit: steps done, steps planned, the numbers of this step (`train_loss`, `valid_loss`)."""


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """What a fit works with: `device`, where a torch model trains (auto, cpu or cuda), and its number of threads.

    `study` is the file where a search keeps its trials, so that a training that was killed goes on; None where nothing
    is to be kept. `start` is a file of weights to begin with, for recipes that are warm.
    """

    device: str = "cpu"
    threads: int = 1
    study: Path | None = None
    start: Path | None = None


PLAIN_BENCH = Workbench()
"""One thread of the CPU, and nothing is kept."""


@dataclass(frozen=True)
class TrainingData:
    """What a recipe may see: windows to learn from, others to stop early by, and nothing that judges.

    `heads` name the columns of `r_BH`; without any, all of them are numbers.
    """

    train: WindowSet
    validation: WindowSet
    seed: int
    heads: tuple[Head, ...] = ()
    bench: Workbench = PLAIN_BENCH

    @property
    def named_heads(self) -> Sequence[Head]:
        """The heads, or one number head over all columns where none are named."""
        return name_heads(self.heads, self.train.r_BH.shape[1])

    def require_forecast(self, recipe: str) -> Transform:
        """Refuse windows of records and of several targets, for a recipe that only knows moves from a last level.

        Returns:
            The transform that makes these moves.

        Raises:
            InvalidInput: the task is no forecast.
        """
        return self.train.transform.require_moves(recipe)


def no_progress(done: int, planned: int, numbers: Mapping[str, float]) -> None:
    """A `Progress` that shows nothing."""
