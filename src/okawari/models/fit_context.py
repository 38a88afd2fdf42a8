"""Arguments of a fit: training data, compute resources and files, and a callback for progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from okawari.errors import InvalidInput
from okawari.models.windows import WindowSet
from okawari.schema.heads import Head, name_heads
from okawari.schema.transforms import Transform

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each step of a fit: steps done, steps planned, the numbers of this step (`train_loss`, `valid_loss`)."""


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """Resources of a fit: the `device` on which a torch model trains (auto, cpu or cuda), and the number of `threads`.

    `study` is the file in which a search stores its trials, so that a killed training can resume; None to store
    nothing. `start` is a file of initial weights, for warm recipes.
    """

    device: str = "cpu"
    threads: int = 1
    study: Path | None = None
    start: Path | None = None


PLAIN_BENCH = Workbench()
"""One CPU thread and no files."""


_FEWEST_STOPPING = 1000
"""Windows for early stopping that are never left out."""


@dataclass(frozen=True)
class TrainingData:
    """The data of a fit: windows to train on and windows for early stopping, but not the holdout.

    `heads` name the columns of `r_BH`; without heads, all columns are numbers.
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

    def keep_newest(self, most: int) -> TrainingData:
        """The same data with the newest `most` windows to train on, and a quarter as many, but at least 1,000, to stop
        by. Records are in the order of a digest, so that the last ones are a sample of all.
        """
        n_stopping = max(_FEWEST_STOPPING, most // 4)
        return replace(self, train=_keep_last(self.train, most), validation=_keep_last(self.validation, n_stopping))

    def require_validation(self, recipe: str) -> None:
        """Check that there are windows for early stopping or another choice of a recipe.

        Raises:
            InvalidInput: there are none.
        """
        if not len(self.validation):
            raise InvalidInput(
                f"{recipe} chooses on the validation part, which has no windows. Fit the recipe that `settle` of a "
                "fitted model returns, or set patience=0 to stop at a fixed number."
            )

    def require_forecast(self, recipe: str) -> Transform:
        """The transform of the forecast's moves, for a recipe that only predicts moves from a last level.

        Raises:
            InvalidInput: the task is not a forecast: windows of records or of several targets.
        """
        return self.train.transform.require_moves(recipe)


def find_best_step(history: Sequence[Mapping[str, float]]) -> int:
    """The round or epoch with the lowest validation loss, counted from 1; the first of equals. The last one where
    nothing was measured on the validation part.
    """
    losses = [numbers["valid_loss"] for numbers in history if "valid_loss" in numbers]
    return 1 + losses.index(min(losses)) if losses else len(history)


def no_progress(done: int, planned: int, numbers: Mapping[str, float]) -> None:
    """A `Progress` that shows nothing."""


def _keep_last(windows: WindowSet, most: int) -> WindowSet:
    return windows[max(0, len(windows) - most) :]
