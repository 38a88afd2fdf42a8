"""Torch networks. Imports torch, so only a fit or a load imports this module.

Shapes: B windows, S feature steps, K features, T readings, H columns of an answer, U hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from okawari.schema.heads import Head, mark_shares

SMALLEST_LEVEL_SHARE = 0.01
"""Smallest predicted level of a network on levels, as a share of the last level; a price of 0 has no logarithm."""
SMALLEST_LEVEL = 1e-12
"""Smallest last level; it keeps the ratio finite in float32 (1e26 / 1e-12 is still below 3.4e38)."""


class ScaledNetwork(nn.Module):
    """Features [B, S, K] to `r_BH`: scales the input, applies the network of a subclass, scales the output back.

    The scaling is inside, as buffers computed from the training part alone, so inputs and outputs of the module are not
    scaled. Labels are predicted as logits and have no scale.
    """

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        for name, size in (("in", n_features), ("out", width)):
            self.register_buffer(f"{name}_shift", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))

    def standardise_by(self, in_BSK: Tensor, out_BH: Tensor, heads: Sequence[Head] = ()) -> None:
        """Scale by means and standard deviations of the training part; a constant column is only centred."""
        for name, rows in (("in", in_BSK.flatten(0, 1)), ("out", out_BH)):
            self._set_scaling(name, rows.mean(dim=0), rows.std(dim=0))
        is_share_H = torch.from_numpy(mark_shares(heads, out_BH.shape[1])).to(out_BH.device)
        self.get_buffer("out_shift").masked_fill_(is_share_H, 0.0)
        self.get_buffer("out_scale").masked_fill_(is_share_H, 1.0)

    def squeeze_by(self, in_BSK: Tensor, out_BH: Tensor) -> None:
        """Scale inputs and outputs from their common range in the training part to 0..1 (MinMax)."""
        both = torch.cat([in_BSK.flatten(), out_BH.flatten()])
        for name in ("in", "out"):
            self._set_scaling(name, both.min(), both.max() - both.min())

    def _set_scaling(self, name: str, shift: Tensor, scale: Tensor) -> None:
        self.get_buffer(f"{name}_shift").copy_(shift)
        self.get_buffer(f"{name}_scale").copy_(torch.where(scale > 0, scale, 1.0))

    def forward(self, in_BSK: Tensor) -> Tensor:
        """`r_BH` in the unit of the learning target."""
        scaled_BSK = (in_BSK - self.get_buffer("in_shift")) / self.get_buffer("in_scale")
        return self.answer(scaled_BSK) * self.get_buffer("out_scale") + self.get_buffer("out_shift")

    def answer(self, scaled_BSK: Tensor) -> Tensor:
        """The network itself: scaled inputs [B, S, K] to scaled outputs [B, H]."""
        raise NotImplementedError


class LstmNetwork(ScaledNetwork):
    """An LSTM with two dense layers on its last state for each head; `widths` are the numbers of columns of the heads.

    Sources: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; shared layers with several heads: Caruana,
    Multitask Learning, 1997.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int], *, hidden: int, layers: int, fc: int, dropout: float
    ) -> None:
        super().__init__(n_features, sum(widths))
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(n_features, hidden, layers, batch_first=True, dropout=between)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, fc), nn.ReLU(), nn.Linear(fc, width))
            for width in widths
        )

    def answer(self, scaled_BSK: Tensor) -> Tensor:
        """The heads' outputs from the state after the last step."""
        states_BSU, _ = self.lstm(scaled_BSK)
        return torch.cat([head(states_BSU[:, -1]) for head in self.heads], dim=1)


class LevelNetwork(nn.Module):
    """Levels `levels_BT` to log returns `r_BH`, by a network that predicts the next levels.

    `r = log(max(ahead, SMALLEST_LEVEL_SHARE * last) / last)`, so that every prediction has a finite logarithm.
    """

    def __init__(self, ahead: LstmNetwork) -> None:
        super().__init__()
        self.ahead = ahead

    def forward(self, levels_BT: Tensor) -> Tensor:
        """Log returns `r_BH` against the last level."""
        last_B1 = levels_BT[:, -1:].clamp_min(SMALLEST_LEVEL)
        ahead_BH = torch.maximum(self.ahead(levels_BT.unsqueeze(2)), SMALLEST_LEVEL_SHARE * last_B1)
        return torch.log(ahead_BH / last_B1)


class MlpNetwork(ScaledNetwork):
    """Dense layers with ReLU between them, on all features of the window in one row.

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986.
    """

    def __init__(self, n_steps: int, n_features: int, width: int, *, hidden: Sequence[int], dropout: float) -> None:
        super().__init__(n_features, width)
        sizes = [n_steps * n_features, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], width))

    def answer(self, scaled_BSK: Tensor) -> Tensor:
        """Apply all layers."""
        out_BH: Tensor = self.layers(scaled_BSK)
        return out_BH


class CnnNetwork(ScaledNetwork):
    """Two pairs of 3x3 convolutions, each pair halving the picture, then dense layers.

    The K features are the pixels of a picture of `height` rows, row by row. Source: LeCun et al., Gradient-Based
    Learning Applied to Document Recognition, 1998; pairs of small filters after Simonyan and Zisserman, 2015.
    """

    def __init__(self, height: int, n_pixels: int, width: int, *, channels: int, fc: int, dropout: float) -> None:
        super().__init__(n_pixels, width)
        self.shape = (1, height, n_pixels // height)
        blocks: list[nn.Module] = []
        before = 1
        for after in (channels, 2 * channels):
            blocks += [*_convolve(before, after), *_convolve(after, after), nn.MaxPool2d(2), nn.Dropout(dropout)]
            before = after
        n_left = 2 * channels * (height // 4) * (n_pixels // height // 4)
        self.layers = nn.Sequential(
            *blocks, nn.Flatten(), nn.Linear(n_left, fc), nn.ReLU(), nn.Dropout(dropout), nn.Linear(fc, width)
        )

    def answer(self, scaled_BSK: Tensor) -> Tensor:
        """Apply all layers to the pictures."""
        out_BH: Tensor = self.layers(scaled_BSK.reshape(-1, *self.shape))
        return out_BH


def _convolve(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
