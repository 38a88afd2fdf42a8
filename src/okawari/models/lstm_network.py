"""The LSTM itself. Imports torch, so only a fit or a load imports this module.

Shapes: B windows, S feature steps, K features, H steps ahead, U hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LstmNetwork(nn.Module):
    """Features `z_BSK` to log returns `r_BH`: scale, LSTM, two dense layers on the last state, scale back.

    All scaling is inside, as buffers that the training part alone has set, so that the module's border is raw
    features and log returns. Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
    """

    def __init__(self, n_features: int, horizon: int, *, hidden: int, layers: int, fc: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(n_features, hidden, layers, batch_first=True, dropout=between)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, fc), nn.ReLU(), nn.Linear(fc, horizon))
        for name, size in (("z", n_features), ("r", horizon)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def set_scaling(self, z_BSK: Tensor, r_BH: Tensor) -> None:
        """Take means and standard deviations from the training part; a constant column is only centred."""
        for name, rows in (("z", z_BSK.flatten(0, 1)), ("r", r_BH)):
            std = rows.std(dim=0)
            self.get_buffer(f"{name}_mean").copy_(rows.mean(dim=0))
            self.get_buffer(f"{name}_std").copy_(torch.where(std > 0, std, 1.0))

    def forward(self, z_BSK: Tensor) -> Tensor:
        """Log returns `r_BH` in their own unit."""
        scaled_BSK = (z_BSK - self.get_buffer("z_mean")) / self.get_buffer("z_std")
        states_BSU, _ = self.lstm(scaled_BSK)
        out_BH: Tensor = self.head(states_BSU[:, -1])
        return out_BH * self.get_buffer("r_std") + self.get_buffer("r_mean")
