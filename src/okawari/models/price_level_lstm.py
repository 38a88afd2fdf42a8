"""An LSTM that learns prices instead of returns, for comparison with the same network on returns.

Shapes: B windows, T readings, H steps ahead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from okawari.errors import require
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lstm import Lstm
from okawari.models.network_model import NetworkModel


@dataclass(frozen=True, kw_only=True)
class PriceLevelLstm:
    """Recipe of an LSTM from MinMax-scaled levels to MinMax-scaled levels ahead; `lstm` holds its settings.

    The scaling uses the range of the train part, so for prices outside of that range the network has no training data.
    This candidate shows the effect beside the same network on returns. The graph raises predicted levels below one
    percent of the last level to that one percent, because a price of 0 or less has no logarithm. So the recipe is not
    available for cases that learn differences.

    Example:
        >>> PriceLevelLstm(lstm=Lstm(hidden=32)).name
        'price_level_lstm_2x32'
    """

    lstm: Lstm = field(default_factory=Lstm)

    def __post_init__(self) -> None:
        require(
            not self.lstm.warm,
            "PriceLevelLstm.lstm is warm; only an Lstm recipe itself can be warm. Leave warm out.",
        )

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"price_level_{self.lstm.name}"

    def fit(self, data: TrainingData, progress: Progress) -> NetworkModel:
        """Fit levels on `data.train` with early stopping on `data.validation`; the range is that of the train part."""
        from okawari.models import torch_training
        from okawari.models.networks import LevelNetwork

        require(
            data.require_forecast("PriceLevelLstm").needs_positive,
            "PriceLevelLstm forecasts levels that are above 0, and this case learns differences; leave it out of the "
            "case's candidates.",
        )
        data = data.keep_newest(self.lstm.most_windows)
        with torch_training.reproducible(seed=data.seed, threads=data.bench.threads):
            ahead = self.lstm.build(1, [data.train.r_BH.shape[1]])
            ahead.squeeze_by(*torch_training.to_tensors(data.train, torch_training.choose_device("cpu"), "levels"))
            history = torch_training.train_network(ahead, data, self.lstm.schedule(), progress, reads="levels")
        return NetworkModel(
            network=LevelNetwork(ahead).eval(),
            history=history,
            settled=replace(self, lstm=self.lstm.fix_epochs(history)),
            threads=data.bench.threads,
            reads="levels",
        )

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "PriceLevelLstm", **asdict(self.lstm)}
