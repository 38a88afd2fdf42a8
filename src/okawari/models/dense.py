"""Feed-forward networks in PyTorch: a multi-layer perceptron, and a small convolutional network for pictures.

Torch is imported inside `fit` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from okawari.errors import InvalidInput, require
from okawari.models.fit_context import Progress, TrainingData, find_best_step
from okawari.models.network_model import NetworkModel

if TYPE_CHECKING:
    from okawari.models.networks import ScaledNetwork
    from okawari.models.torch_training import Schedule


@dataclass(frozen=True, kw_only=True)
class Mlp:
    """Recipe of a multi-layer perceptron with one layer for each entry of `hidden`, trained by Adam.

    With `warm`, training starts from the weights of the same recipe in the champion's training. With a patience of 0
    there is no early stopping: it runs for all epochs and reads no validation windows. Of more than `most_windows`
    windows to train on, it reads the newest, and a quarter as many to stop by; for records, these are a sample.

    Example:
        >>> Mlp(hidden=(64, 32)).name
        'mlp_64_32'
    """

    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.1
    epochs: int = 60
    patience: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    warm: bool = False
    most_windows: int = 20_000

    def __post_init__(self) -> None:
        require(bool(self.hidden), "Mlp.hidden is empty; name at least one layer's size, such as (64,).")
        require(min(self.hidden) >= 1, f"Mlp.hidden is {self.hidden}; each layer has at least 1 unit.")
        _check_training("Mlp", self)

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return "mlp_" + "_".join(map(str, self.hidden))

    def fit(self, data: TrainingData, progress: Progress) -> NetworkModel:
        """Fit on `data.train` with early stopping on `data.validation`; only the train part determines the scaling."""

        def build() -> ScaledNetwork:
            from okawari.models.networks import MlpNetwork

            _, steps, n_features = data.train.z_BSK.shape
            width = data.train.r_BH.shape[1]
            return MlpNetwork(steps, n_features, width, hidden=self.hidden, dropout=self.dropout)

        return _fit_network(build, data, self, progress)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Mlp", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Cnn:
    """Recipe of a small convolutional network over records whose columns are the pixels of a picture, row by row.

    `height` counts the picture's rows; 0 stands for a square picture. The other settings are those of `Mlp`.

    Example:
        >>> Cnn(channels=16).name
        'cnn_16'
    """

    height: int = 0
    channels: int = 32
    fc: int = 64
    dropout: float = 0.25
    epochs: int = 40
    patience: int = 10
    batch_size: int = 32
    learning_rate: float = 2e-3
    warm: bool = False
    most_windows: int = 20_000

    def __post_init__(self) -> None:
        for name in ("channels", "fc"):
            require(getattr(self, name) >= 1, f"Cnn.{name} is {getattr(self, name)}; it is a count of at least 1.")
        require(self.height >= 0, f"Cnn.height is {self.height}; it counts rows of pixels, or is 0 for a square.")
        _check_training("Cnn", self)

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"cnn_{self.channels}"

    def fit(self, data: TrainingData, progress: Progress) -> NetworkModel:
        """Fit as `Mlp` does.

        Raises:
            InvalidInput: the record's columns do not form a picture of at least 4 by 4 pixels.
        """
        n_pixels, width = data.train.z_BSK.shape[2], data.train.r_BH.shape[1]
        height = self._measure_height(n_pixels)

        def build() -> ScaledNetwork:
            from okawari.models.networks import CnnNetwork

            return CnnNetwork(height, n_pixels, width, channels=self.channels, fc=self.fc, dropout=self.dropout)

        return _fit_network(build, data, self, progress)

    def _measure_height(self, n_pixels: int) -> int:
        height = self.height or math.isqrt(n_pixels)
        if n_pixels % height or min(height, n_pixels // height) < 4:
            raise InvalidInput(
                f"{n_pixels} pixels do not form a picture of {height} rows; a Cnn takes full rows and at least 4 by 4 "
                "pixels. Set Cnn.height."
            )
        return height

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Cnn", **asdict(self)}


def _check_training(kind: str, recipe: Mlp | Cnn) -> None:
    for name in ("epochs", "batch_size", "most_windows"):
        require(getattr(recipe, name) >= 1, f"{kind}.{name} is {getattr(recipe, name)}; it is a count of at least 1.")
    require(
        recipe.patience >= 0,
        f"{kind}.patience is {recipe.patience}; it counts epochs. Use 0 for no early stopping.",
    )
    require(0 <= recipe.dropout < 1, f"{kind}.dropout is {recipe.dropout}; it is a share from 0 to below 1.")
    require(recipe.learning_rate > 0, f"{kind}.learning_rate is {recipe.learning_rate}; use a number above 0.")


def _fit_network(
    build: Callable[[], ScaledNetwork], data: TrainingData, recipe: Mlp | Cnn, progress: Progress
) -> NetworkModel:
    from okawari.models import torch_training

    data = data.keep_newest(recipe.most_windows)
    schedule: Schedule = torch_training.Schedule(
        epochs=recipe.epochs,
        patience=recipe.patience,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
    )
    with torch_training.reproducible(seed=data.seed, threads=data.bench.threads):
        network = build()
        torch_training.start_from(network, data.bench.start if recipe.warm else None)
        network.standardise_by(*torch_training.to_tensors(data.train, torch_training.choose_device("cpu")), data.heads)
        history = torch_training.train_network(network, data, schedule, progress)
    settled = replace(recipe, epochs=find_best_step(history), patience=0)
    return NetworkModel(network=network, history=history, settled=settled, threads=data.bench.threads)
