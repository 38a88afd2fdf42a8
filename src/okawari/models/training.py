"""The one torch training loop, in small levels: train, epoch, step. Imports torch, so only a fit imports this module.

Shapes: B windows, S feature steps, K features, T readings, H steps ahead. What is learnt are log returns from features,
or levels from levels. The loss is the mean squared error divided by the square of the network's buffer `out_scale`:
for log returns their training standard deviation, so that 1.0 is "no better than the mean"; for levels the range of
their training part. More than that buffer it does not know of a network.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from okawari.errors import InvalidInput
from okawari.models.recipe import Floats, Progress, Reads, TrainingData, WindowSet


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast: at most `epochs`, fewer after `patience` epochs without a better validation loss."""

    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for field in ("epochs", "patience", "batch_size"):
            if getattr(self, field) < 1:
                raise InvalidInput(f"Schedule.{field} is {getattr(self, field)}; it is a count of at least 1.")
        if not self.learning_rate > 0:
            raise InvalidInput(f"Schedule.learning_rate is {self.learning_rate}; use a number above 0, such as 0.001.")


@contextmanager
def reproducible(*, seed: int, threads: int) -> Iterator[None]:
    """Inside: seeded generators, `threads` torch threads, deterministic kernels. Outside: all as it was before."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for to be deterministic
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True)
            # Filling fresh memory helps to find who reads it; nobody here does, and it takes a fifth of the time.
            memory.fill_uninitialized_memory = False
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])
            memory.fill_uninitialized_memory = filled


def choose_device(wanted: str) -> torch.device:
    """The torch device of "cpu", "cuda" or "auto" (cuda where there is one).

    Raises:
        InvalidInput: another word, or "cuda" where there is none.
    """
    if wanted not in ("cpu", "cuda", "auto"):
        raise InvalidInput(f"Device is {wanted!r}; training runs on 'cpu', 'cuda' or 'auto'. Choose one of these.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("Device is 'cuda', but torch finds no CUDA device. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def to_tensors(windows: WindowSet, device: torch.device, reads: Reads = "z") -> tuple[Tensor, Tensor]:
    """What a network takes and what it learns, on the device.

    Features [B, S, K] and log returns [B, H], or levels [B, T, 1] and levels [B, H] in the target's own unit.
    """
    if reads == "z":
        return torch.tensor(windows.z_BSK, device=device), torch.tensor(windows.r_BH, device=device)
    ahead_BH = (windows.level_B[:, None] * np.exp(windows.r_BH.astype(np.float64))).astype(np.float32)
    return torch.tensor(windows.levels_BT[..., None], device=device), torch.tensor(ahead_BH, device=device)


def train_network(
    network: nn.Module, data: TrainingData, schedule: Schedule, progress: Progress, *, reads: Reads = "z"
) -> tuple[Mapping[str, float], ...]:
    """Train in place and leave the best weights in `network`, on the CPU and in evaluation mode; numbers per epoch.

    Call it inside `reproducible`, with the network built there too.
    """
    device = choose_device(data.device)
    network.to(device)
    train, validation = to_tensors(data.train, device, reads), to_tensors(data.validation, device, reads)
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    history: list[Mapping[str, float]] = []
    best = copy.deepcopy(network.state_dict())
    for epoch in range(1, schedule.epochs + 1):
        train_mse = run_epoch(network, train, optimiser, schedule)
        history.append({"train_mse": train_mse, "valid_mse": measure_loss(network, validation, schedule.batch_size)})
        progress(epoch, schedule.epochs, history[-1])
        require_finite(history[-1], epoch, schedule.learning_rate)
        since_best = epochs_since_best(history)
        if since_best == 0:
            best = copy.deepcopy(network.state_dict())
        if since_best >= schedule.patience:
            break
    network.load_state_dict(best)
    network.cpu().eval()
    return tuple(history)


def require_finite(numbers: Mapping[str, float], epoch: int, learning_rate: float) -> None:
    """Refuse an epoch whose losses are no numbers.

    Raises:
        InvalidInput: a loss is nan or infinite.
    """
    if not all(math.isfinite(value) for value in numbers.values()):
        raise InvalidInput(
            f"Training diverged in epoch {epoch} ({dict(numbers)}); losses stay finite. Lower the learning rate, now "
            f"{learning_rate}, or look for extreme readings."
        )


def epochs_since_best(history: list[Mapping[str, float]]) -> int:
    """Epochs since the lowest validation loss; the first of equals counts as best."""
    losses = [numbers["valid_mse"] for numbers in history]
    return len(losses) - 1 - losses.index(min(losses))


def run_epoch(
    network: nn.Module, rows: tuple[Tensor, Tensor], optimiser: torch.optim.Optimizer, schedule: Schedule
) -> float:
    """One pass over all rows in random order; the mean loss."""
    network.train()
    order = torch.randperm(len(rows[0])).to(rows[0].device)
    total = 0.0
    for picked in torch.split(order, schedule.batch_size):
        total += run_step(network, (rows[0][picked], rows[1][picked]), optimiser, schedule.clip_norm) * len(picked)
    return total / len(order)


def run_step(
    network: nn.Module, batch: tuple[Tensor, Tensor], optimiser: torch.optim.Optimizer, clip_norm: float
) -> float:
    """One update from one batch; its loss before the update."""
    optimiser.zero_grad(set_to_none=True)
    loss = scaled_mse(network, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimiser.step()
    return loss.item()


def scaled_mse(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error in units of the network's own scaling of what it learns."""
    taken, learnt_BH = batch
    error_BH: Tensor = (network(taken) - learnt_BH) / network.get_buffer("out_scale")
    return (error_BH**2).mean()


@torch.inference_mode()
def measure_loss(network: nn.Module, rows: tuple[Tensor, Tensor], batch_size: int) -> float:
    """Mean loss over all rows, without learning."""
    network.eval()
    batches = zip(*(torch.split(part, batch_size) for part in rows), strict=True)
    return sum(scaled_mse(network, batch).item() * len(batch[0]) for batch in batches) / len(rows[0])


@torch.inference_mode()
def predict_network(network: nn.Module, taken: Floats, *, threads: int, batch_size: int = 256) -> Floats:
    """Log returns `r_BH` by torch itself, on the CPU; `taken` is what the network reads, windows first."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network.eval()
        predicted: Floats = torch.cat([network(part) for part in torch.split(torch.tensor(taken), batch_size)]).numpy()
    finally:
        torch.set_num_threads(before)
    return predicted
