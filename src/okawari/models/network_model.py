"""A fitted torch network as a model. Torch is imported inside its methods only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from okawari.models.cores import Reads, TorchCore
from okawari.models.protocols import Recipe
from okawari.models.windows import Floats, WindowSet

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class NetworkModel:
    """A fitted network, scaling included, with the losses of each epoch (`train_loss`, `valid_loss`).

    `settled` is its recipe without early stopping, for as many epochs as the kept weights were trained.
    """

    network: nn.Module
    history: tuple[Mapping[str, float], ...]
    settled: Recipe
    threads: int = 1
    reads: Reads = "z"

    def predict(self, windows: WindowSet) -> Floats:
        """`r_BH`, predicted by torch."""
        from okawari.models.torch_training import predict_network

        taken = windows.z_BSK if self.reads == "z" else windows.levels_BT
        return predict_network(self.network, taken, threads=self.threads)

    def core(self) -> TorchCore:
        """The network itself."""
        return TorchCore(self.network, reads=self.reads)

    def settle(self) -> Recipe:
        """The recipe with the number of epochs fixed."""
        return self.settled

    def save_weights(self, path: Path) -> None:
        """Write the `state_dict`, which is read back with `weights_only=True`."""
        import torch

        torch.save(self.network.state_dict(), path)
