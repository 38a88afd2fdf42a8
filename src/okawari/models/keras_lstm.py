"""The same LSTM, trained by Keras 3 on its torch backend (imported inside `fit`).

Keras trains and predicts; for the graph, its weights are copied into our torch network, so both use one exporter.
Shapes: B windows, S feature steps, K features, H steps ahead, U hidden units.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from okawari.errors import InvalidInput, require
from okawari.models.cores import TorchCore
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.lstm import Lstm
from okawari.models.protocols import Recipe
from okawari.models.windows import Floats, WindowSet

if TYPE_CHECKING:
    from okawari.models.networks import LstmNetwork


@dataclass(frozen=True, kw_only=True)
class KerasLstm:
    """Recipe of the network of `Lstm` with the settings `lstm`, built and trained by Keras.

    Keras starts from other weights (Glorot and orthogonal, a forget bias of 1) and shuffles in another order, so its
    result differs as two trainings of one architecture do.

    Example:
        >>> KerasLstm(lstm=Lstm(hidden=32)).name
        'keras_lstm_2x32'
    """

    lstm: Lstm = field(default_factory=Lstm)

    def __post_init__(self) -> None:
        require(not self.lstm.warm, "KerasLstm.lstm is warm; only an Lstm recipe itself can be warm. Leave warm out.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"keras_{self.lstm.name}"

    def fit(self, data: TrainingData, progress: Progress) -> KerasLstmModel:
        """Fit on `data.train` with early stopping on `data.validation`; only the train part determines the scaling.

        Raises:
            InvalidInput: this process has loaded Keras on another backend, the training diverged, or the task is not a
                forecast.
        """
        from okawari.models import torch_training

        data.require_forecast("KerasLstm")
        if self.lstm.patience:
            data.require_validation("Early stopping")
        data, keras = data.keep_newest(self.lstm.most_windows), load_keras()
        device = torch_training.choose_device(data.bench.device).type
        with torch_training.reproducible(seed=data.seed, threads=data.bench.threads):
            network = self.lstm.build(data.train.z_BSK.shape[2], [data.train.r_BH.shape[1]])
            network.standardise_by(*torch_training.to_tensors(data.train, torch_training.choose_device("cpu")))
            with keras.device(device):
                trained = self._build(keras, data)
                history = self._train(keras, trained, network, data, progress)
            with keras.device("cpu"):
                model = self._build(keras, data)
                model.set_weights(trained.get_weights())
        copy_weights(model, network)
        return KerasLstmModel(
            keras_model=model, network=network.eval(), history=history,
            settled=replace(self, lstm=self.lstm.fix_epochs(history)), threads=data.bench.threads,
        )  # fmt: skip

    def _build(self, keras: Any, data: TrainingData) -> Any:
        """The Keras model [B, S, K] -> [B, H] on scaled numbers; every random generator in it has its own seed."""
        steps, n_features = data.train.z_BSK.shape[1:]
        seeds = iter(range(data.seed * 1000, data.seed * 1000 + 1000))
        layers = [keras.Input((steps, n_features))]
        for layer in range(self.lstm.layers):
            layers.append(
                keras.layers.LSTM(
                    self.lstm.hidden,
                    return_sequences=layer < self.lstm.layers - 1,
                    kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                    recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
                    seed=next(seeds),
                )
            )
            layers.append(keras.layers.Dropout(self.lstm.dropout, seed=next(seeds)))
        for size, activation in ((self.lstm.fc, "relu"), (data.train.r_BH.shape[1], None)):
            start = keras.initializers.GlorotUniform(next(seeds))
            layers.append(keras.layers.Dense(size, activation, kernel_initializer=start))
        return keras.Sequential(layers)

    def _train(
        self, keras: Any, model: Any, network: LstmNetwork, data: TrainingData, progress: Progress
    ) -> tuple[Mapping[str, float], ...]:
        from okawari.models.torch_training import Schedule, require_finite

        history: list[Mapping[str, float]] = []

        def note(epoch: int, logs: Mapping[str, float]) -> None:
            kept = {"train_loss": "loss", "valid_loss": "val_loss"}
            history.append({name: float(logs[own]) for name, own in kept.items() if own in logs})
            progress(epoch + 1, self.lstm.epochs, history[-1])
            require_finite(history[-1], epoch + 1, self.lstm.learning_rate)

        optimiser = keras.optimizers.Adam(self.lstm.learning_rate, global_clipnorm=Schedule.clip_norm)
        model.compile(optimizer=optimiser, loss="mean_squared_error")
        stopping = keras.callbacks.EarlyStopping(patience=self.lstm.patience, restore_best_weights=True)
        model.fit(
            *_scale(network, data.train),
            validation_data=_scale(network, data.validation) if self.lstm.patience else None,
            epochs=self.lstm.epochs,
            batch_size=self.lstm.batch_size,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_end=note),
                *([stopping] if self.lstm.patience else []),
            ],
            verbose=0,
        )
        return tuple(history)

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "KerasLstm", **asdict(self.lstm)}


def load_keras() -> Any:
    """Import Keras with its torch backend; files that it writes into its home folder go into a temporary one.

    Raises:
        InvalidInput: this process has loaded Keras on another backend, which cannot be changed later.
    """
    with tempfile.TemporaryDirectory() as folder, _environment(KERAS_BACKEND="torch", KERAS_HOME=folder):
        import keras

    if keras.backend.backend() != "torch":
        raise InvalidInput(
            f"Keras runs on {keras.backend.backend()!r} in this process; KerasLstm takes 'torch'. Set "
            "KERAS_BACKEND=torch before anything imports keras."
        )
    return keras


@contextmanager
def _environment(**wanted: str) -> Iterator[None]:
    """Set these environment variables during the block and restore them afterwards."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _scale(network: LstmNetwork, windows: WindowSet) -> tuple[Floats, Floats]:
    """Features and `r_BH`, standardised by the buffers of the network."""
    z_shift, z_scale, r_shift, r_scale = _list_scaling(network)
    return (windows.z_BSK - z_shift) / z_scale, (windows.r_BH - r_shift) / r_scale


def _list_scaling(network: LstmNetwork) -> list[Floats]:
    return [network.get_buffer(name).numpy() for name in ("in_shift", "in_scale", "out_shift", "out_scale")]


def copy_weights(keras_model: Any, network: LstmNetwork) -> None:
    """Copy the weights of a Keras model into a torch network of the same settings.

    Both store the four gates in the order input, forget, cell, output. Keras stores matrices transposed, and one bias
    where torch has two, so the second one is zero.
    """
    import torch

    weighted = [each for each in (layer.get_weights() for layer in keras_model.layers) if each]
    *recurrent, first, second = weighted
    state = dict(network.state_dict())
    for layer, (kernel, recurrent_kernel, bias) in enumerate(recurrent):
        state[f"lstm.weight_ih_l{layer}"] = torch.tensor(kernel.T)
        state[f"lstm.weight_hh_l{layer}"] = torch.tensor(recurrent_kernel.T)
        state[f"lstm.bias_ih_l{layer}"] = torch.tensor(bias)
        state[f"lstm.bias_hh_l{layer}"] = torch.zeros(len(bias))
    for number, (kernel, bias) in ((1, first), (3, second)):  # the linear layers of the head
        state[f"heads.0.{number}.weight"], state[f"heads.0.{number}.bias"] = torch.tensor(kernel.T), torch.tensor(bias)
    network.load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class KerasLstmModel:
    """A fitted Keras model, its copy `network` in torch, and the losses of each epoch (`train_loss`, `valid_loss`).
    `settled` as in `NetworkModel`.
    """

    keras_model: Any
    network: LstmNetwork
    history: tuple[Mapping[str, float], ...]
    settled: Recipe
    threads: int = 1

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`, predicted by Keras."""
        from okawari.models import torch_training

        keras, (z_shift, z_scale, r_shift, r_scale) = load_keras(), _list_scaling(self.network)
        with torch_training.reproducible(seed=0, threads=self.threads), keras.device("cpu"):
            predicted_BH = self.keras_model.predict((windows.z_BSK - z_shift) / z_scale, batch_size=256, verbose=0)
        return np.asarray(predicted_BH * r_scale + r_shift, dtype=np.float32)

    def settle(self) -> Recipe:
        """The recipe with the number of epochs fixed."""
        return self.settled

    def core(self) -> TorchCore:
        """The copy in torch, scaling included."""
        return TorchCore(self.network)
