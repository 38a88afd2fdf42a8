"""An LSTM in PyTorch: the recipe and the fitted model. Torch is imported inside `fit` and `load` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from okawari.errors import InvalidInput
from okawari.models.fit_context import Progress, TrainingData, find_best_step
from okawari.models.network_model import NetworkModel

if TYPE_CHECKING:
    from okawari.models.networks import LstmNetwork
    from okawari.models.torch_training import Schedule


@dataclass(frozen=True, kw_only=True)
class Lstm:
    """Recipe of a stacked LSTM with small dense layers for each head of the answer, trained by Adam on the joint loss.

    With `warm`, training starts from the weights of the same recipe in the champion's training. With a patience of 0
    there is no early stopping: it runs for all epochs and reads no validation windows. Of more than `most_windows`
    windows to train on, it reads the newest, and a quarter as many to stop by.

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
    most_windows: int = 10_000

    def __post_init__(self) -> None:
        for field in ("hidden", "layers", "fc", "epochs", "batch_size", "most_windows"):
            if getattr(self, field) < 1:
                raise InvalidInput(f"Lstm.{field} is {getattr(self, field)}; it is a count of at least 1.")
        if self.patience < 0:
            raise InvalidInput(f"Lstm.patience is {self.patience}; it counts epochs. Use 0 for no early stopping.")
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"Lstm.dropout is {self.dropout}; it is a share from 0 to below 1.")
        if not self.learning_rate > 0:
            raise InvalidInput(f"Lstm.learning_rate is {self.learning_rate}; use a number above 0, such as 0.001.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"lstm_{self.layers}x{self.hidden}"

    def fit(self, data: TrainingData, progress: Progress) -> NetworkModel:
        """Fit on `data.train` with early stopping on `data.validation`; only the train part determines the scaling."""
        from okawari.models import torch_training

        data = data.keep_newest(self.most_windows)
        with torch_training.reproducible(seed=data.seed, threads=data.bench.threads):
            network = self.build(data.train.z_BSK.shape[2], _measure_heads(data))
            torch_training.start_from(network, data.bench.start if self.warm else None)
            network.standardise_by(
                *torch_training.to_tensors(data.train, torch_training.choose_device("cpu")), data.heads
            )
            history = torch_training.train_network(network, data, self.schedule(), progress)
        return NetworkModel(
            network=network, history=history, settled=self.fix_epochs(history), threads=data.bench.threads
        )

    def fix_epochs(self, history: Sequence[Mapping[str, float]]) -> Lstm:
        """The recipe without early stopping, for the epochs up to the best one of a training."""
        return replace(self, epochs=find_best_step(history), patience=0)

    def load(self, path: Path, *, threads: int = 1) -> NetworkModel:
        """A model from weights that `NetworkModel.save_weights` wrote for the same settings. The file has no number of
        epochs, so this model settles for none.

        Raises:
            InvalidInput: the weights belong to other settings.
        """
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        last_layers = [name for name in state if name.startswith("heads.") and name.endswith(".3.bias")]
        network = self.build(len(state["in_shift"]), [len(state[name]) for name in last_layers])
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InvalidInput(
                f"{path} holds weights of another network than {self}. Use the settings that made the file."
            ) from error
        return NetworkModel(network=network.eval(), history=(), settled=self, threads=threads)

    def build(self, n_features: int, widths: Sequence[int]) -> LstmNetwork:
        """An untrained network of these settings, with a head of each width; torch's generator draws its weights."""
        from okawari.models.networks import LstmNetwork

        return LstmNetwork(n_features, widths, hidden=self.hidden, layers=self.layers, fc=self.fc, dropout=self.dropout)

    def schedule(self) -> Schedule:
        """The part of the settings that the training loop takes."""
        from okawari.models.torch_training import Schedule

        return Schedule(
            epochs=self.epochs, patience=self.patience, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Lstm", **asdict(self)}


def _measure_heads(data: TrainingData) -> list[int]:
    """Columns of each head; all of them, where none is named."""
    return [head.stop - head.start for head in data.heads] or [data.train.r_BH.shape[1]]
