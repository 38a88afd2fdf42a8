"""An LSTM that learns prices instead of returns: what many do, and why this case does not.

Shapes: B windows, T readings, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from okawari.errors import require
from okawari.models.lstm import Lstm
from okawari.models.recipe import Floats, Progress, TorchCore, TrainingData, WindowSet

if TYPE_CHECKING:
    from okawari.models.networks import LevelNetwork


@dataclass(frozen=True, kw_only=True)
class PriceLevelLstm:
    """Recipe of an LSTM from MinMax-scaled levels to MinMax-scaled levels ahead; `lstm` holds its settings.

    The range of the scaling is that of the train part, so where prices leave it the network answers from where it has
    learnt nothing. It is a candidate so that anyone can see that beside the same network on returns. The graph takes a
    level ahead below one percent of the last level for that one percent, because a price of 0 or less has no log.

    Example:
        >>> PriceLevelLstm(lstm=Lstm(hidden=32)).name
        'price_level_lstm_2x32'
    """

    lstm: Lstm = field(default_factory=Lstm)

    def __post_init__(self) -> None:
        require(
            not self.lstm.warm,
            "PriceLevelLstm.lstm is warm; only an Lstm of its own starts from weights. Leave warm out.",
        )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"price_level_{self.lstm.name}"

    def fit(self, data: TrainingData, progress: Progress) -> PriceLevelLstmModel:
        """Fit levels on `data.train`, stop early by `data.validation`; the range comes from the train part alone."""
        from okawari.models import training
        from okawari.models.networks import LevelNetwork

        with training.reproducible(seed=data.seed, threads=data.threads):
            ahead = self.lstm.build(1, data.train.r_BH.shape[1])
            ahead.squeeze_by(*training.to_tensors(data.train, training.choose_device("cpu"), "levels"))
            history = training.train_network(ahead, data, self.lstm.schedule(), progress, reads="levels")
        return PriceLevelLstmModel(network=LevelNetwork(ahead).eval(), history=history, threads=data.threads)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "PriceLevelLstm", **asdict(self.lstm)}


@dataclass(frozen=True, kw_only=True)
class PriceLevelLstmModel:
    """A fitted network on levels with its numbers per epoch (losses in squared training ranges)."""

    network: LevelNetwork
    history: tuple[Mapping[str, float], ...]
    threads: int = 1

    def predict(self, windows: WindowSet) -> Floats:
        """Log returns `r_BH` by torch."""
        from okawari.models.training import predict_network

        return predict_network(self.network, windows.levels_BT, threads=self.threads)

    def core(self) -> TorchCore:
        """The network, scaling and logarithm included."""
        return TorchCore(self.network, reads="levels")
