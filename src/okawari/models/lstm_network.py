"""The LSTM itself, and what turns one that answers levels into log returns. Imports torch, so only a fit or a load
imports this module.

Shapes: B windows, S steps, K numbers a step, H steps ahead, U hidden units, T readings of a window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_SHARE = 0.01
"""A level ahead counts as at least this share of the last one: a network may say a price below 0, which has no log."""
_TINY = 1e-12
"""Floor under the last level, as in the reading stage: it keeps the ratio finite."""


class LstmNetwork(nn.Module):
    """Numbers [B, S, K] to numbers [B, H]: scale, LSTM, two dense layers on the last state, scale back.

    All scaling is inside, as buffers that the training part alone has set, so that the module's border is raw: features
    and log returns, or levels and levels. Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
    """

    def __init__(self, n_features: int, horizon: int, *, hidden: int, layers: int, fc: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(n_features, hidden, layers, batch_first=True, dropout=between)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, fc), nn.ReLU(), nn.Linear(fc, horizon))
        for name, size in (("in", n_features), ("out", horizon)):
            self.register_buffer(f"{name}_shift", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))

    def standardise_by(self, in_BSK: Tensor, out_BH: Tensor) -> None:
        """Scale by means and standard deviations of the training part; a constant column is only centred."""
        for name, rows in (("in", in_BSK.flatten(0, 1)), ("out", out_BH)):
            self._set_scaling(name, rows.mean(dim=0), rows.std(dim=0))

    def squeeze_by(self, in_BSK: Tensor, out_BH: Tensor) -> None:
        """Scale all numbers of the training part, in and out alike, from their range to 0..1 (MinMax)."""
        both = torch.cat([in_BSK.flatten(), out_BH.flatten()])
        for name in ("in", "out"):
            self._set_scaling(name, both.min(), both.max() - both.min())

    def _set_scaling(self, name: str, shift: Tensor, scale: Tensor) -> None:
        self.get_buffer(f"{name}_shift").copy_(shift)
        self.get_buffer(f"{name}_scale").copy_(torch.where(scale > 0, scale, 1.0))

    def forward(self, in_BSK: Tensor) -> Tensor:
        """What is learnt, [B, H], in its own unit."""
        scaled_BSK = (in_BSK - self.get_buffer("in_shift")) / self.get_buffer("in_scale")
        states_BSU, _ = self.lstm(scaled_BSK)
        out_BH: Tensor = self.head(states_BSU[:, -1])
        return out_BH * self.get_buffer("out_scale") + self.get_buffer("out_shift")


class LevelNetwork(nn.Module):
    """Levels `levels_BT` to log returns `r_BH`, by a network that answers levels ahead.

    `r = log(max(ahead, SMALLEST_SHARE * last) / last)`, so that any answer of the network has a finite log.
    """

    def __init__(self, ahead: LstmNetwork) -> None:
        super().__init__()
        self.ahead = ahead

    def forward(self, levels_BT: Tensor) -> Tensor:
        """Log returns `r_BH` against the last level."""
        last_B1 = levels_BT[:, -1:].clamp_min(_TINY)
        ahead_BH = torch.maximum(self.ahead(levels_BT.unsqueeze(2)), SMALLEST_SHARE * last_B1)
        return torch.log(ahead_BH / last_B1)
