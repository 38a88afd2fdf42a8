"""An LSTM in PyTorch: the recipe and the fitted model. Torch is imported inside `fit` and `load` only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from okawari.errors import InvalidInput
from okawari.models.network_model import NetworkModel
from okawari.models.recipe import Progress, TrainingData

if TYPE_CHECKING:
    from okawari.models.networks import LstmNetwork
    from okawari.models.training import Schedule


@dataclass(frozen=True, kw_only=True)
class Lstm:
    """Recipe of a stacked LSTM with a small dense head, trained by Adam on standardised log returns.

    When `warm`, it begins with the weights that it had in the champion's training.

    Sources: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Kingma and Ba, Adam, 2015.

    Example:
        >>> Lstm(hidden=32).name
        'lstm_2x32'
    """

    hidden: int = 64
    layers: int = 2
    dropout: float = 0.2
    fc: int = 16
    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    warm: bool = False

    def __post_init__(self) -> None:
        for field in ("hidden", "layers", "fc", "epochs", "patience", "batch_size"):
            if getattr(self, field) < 1:
                raise InvalidInput(f"Lstm.{field} is {getattr(self, field)}; it is a count of at least 1.")
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"Lstm.dropout is {self.dropout}; it is a share from 0 to below 1.")
        if not self.learning_rate > 0:
            raise InvalidInput(f"Lstm.learning_rate is {self.learning_rate}; use a number above 0, such as 0.001.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"lstm_{self.layers}x{self.hidden}"

    def fit(self, data: TrainingData, progress: Progress) -> NetworkModel:
        """Fit on `data.train`, stop early by `data.validation`; scaling comes from the train part alone."""
        from okawari.models import training

        with training.reproducible(seed=data.seed, threads=data.threads):
            network = self.build(data.train.z_BSK.shape[2], data.train.r_BH.shape[1])
            training.start_from(network, data.start if self.warm else None)
            network.standardise_by(*training.to_tensors(data.train, training.choose_device("cpu")), data.heads)
            history = training.train_network(network, data, self.schedule(), progress)
        return NetworkModel(network=network, history=history, threads=data.threads)

    def load(self, path: Path, *, threads: int = 1) -> NetworkModel:
        """A model from weights that `NetworkModel.save_weights` wrote for the same settings.

        Raises:
            InvalidInput: the weights belong to other settings.
        """
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        network = self.build(len(state["in_shift"]), len(state["out_shift"]))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InvalidInput(f"{path} holds weights of another network than {self}. Use its settings.") from error
        return NetworkModel(network=network.eval(), history=(), threads=threads)

    def build(self, n_features: int, horizon: int) -> LstmNetwork:
        """An untrained network of these settings; torch's generator gives its first weights."""
        from okawari.models.networks import LstmNetwork

        return LstmNetwork(
            n_features, horizon, hidden=self.hidden, layers=self.layers, fc=self.fc, dropout=self.dropout
        )

    def schedule(self) -> Schedule:
        """The part of the settings that the training loop takes."""
        from okawari.models.training import Schedule

        return Schedule(
            epochs=self.epochs, patience=self.patience, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Lstm", **asdict(self)}
