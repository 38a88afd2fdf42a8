"""The Adam optimiser, step by step as in torch. Imports torch, so only a fit imports this module.

`torch.optim` imports the compiler of torch with its first optimiser, which takes a second, and keeps hooks and groups
that cost more than the arithmetic of a small network.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETA_MEAN, BETA_SQUARE, TINY = 0.9, 0.999, 1e-8


class Adam:
    """Adam with the usual constants, in place on the parameters.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1. On a CPU the steps are those
    of `torch.optim.Adam`, bit by bit.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self._parameters = [each for each in parameters if each.requires_grad]
        self._learning_rate = learning_rate
        self._means = [torch.zeros_like(each) for each in self._parameters]
        self._squares = [torch.zeros_like(each) for each in self._parameters]
        self._n_steps = 0

    def clear(self) -> None:
        """Forget the gradients."""
        for each in self._parameters:
            each.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        self._n_steps += 1
        size = self._learning_rate / (1 - BETA_MEAN**self._n_steps)
        spread = (1 - BETA_SQUARE**self._n_steps) ** 0.5
        for each, mean, square in zip(self._parameters, self._means, self._squares, strict=True):
            if each.grad is not None:
                _move(each, each.grad, mean, square, size, spread)


def _move(parameter: Tensor, slope: Tensor, mean: Tensor, square: Tensor, size: float, spread: float) -> None:
    mean.lerp_(slope, 1 - BETA_MEAN)
    square.mul_(BETA_SQUARE).addcmul_(slope, slope, value=1 - BETA_SQUARE)
    parameter.addcdiv_(mean, (square.sqrt() / spread).add_(TINY), value=-size)
