"""The baseline for records: it always predicts the mean of the training part, for labels their frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.models.cores import ConstantCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.losses import to_logits
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import mark_shares


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Recipe of a constant prediction: the mean of the number, or the shares of the labels.

    No other constant has a smaller squared error or log loss on the training part.
    """

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "constant"

    def fit(self, data: TrainingData, progress: Progress) -> ConstantModel:
        """Compute the means of the train part."""
        mean_H = data.train.r_BH.mean(axis=0, dtype=np.float64)
        return ConstantModel(r_H=to_logits(mean_H, mark_shares(data.heads, len(mean_H))))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Constant"}


@dataclass(frozen=True, kw_only=True)
class ConstantModel:
    """A constant prediction `r_H`, labels as logits."""

    r_H: NDArray[np.float64]
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH`, all rows equal."""
        return np.tile(self.r_H.astype(np.float32), (len(windows), 1))

    def core(self) -> ConstantCore:
        """The constant."""
        return ConstantCore(self.r_H)
