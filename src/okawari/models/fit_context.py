"""What a fit receives: the data that it may see, the bench that it works on, and a callback for progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from okawari.errors import InvalidInput
from okawari.schema.transforms import Learns

if TYPE_CHECKING:
    from okawari.schema.tasks import Head
from okawari.models.windows import WindowSet

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

    def require_forecast(self, recipe: str) -> Learns:
        """Refuse windows of records and of several targets, for a recipe that only knows moves from a last level.

        Returns:
            What is learnt of these moves.

        Raises:
            InvalidInput: the task is no forecast.
        """
        if self.train.learns is None:
            raise InvalidInput(
                f"{recipe} forecasts the next values of a series, and this case asks for something else; leave it out "
                "of the case's candidates."
            )
        return self.train.learns


def no_progress(done: int, planned: int, numbers: Mapping[str, float]) -> None:
    """A `Progress` that shows nothing."""
