"""The torch training loop, in three levels: train, epoch, step. Imports torch, so only a fit imports this module.

Shapes: B windows, S feature steps, K features, T readings, H columns of an answer. The loss is the sum over the heads
of an answer (`joint_loss`). A network needs a buffer `out_scale`; the loop requires nothing else of it.
"""

from __future__ import annotations

import copy
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from okawari.errors import InvalidInput
from okawari.models.cores import Reads
from okawari.models.fit_context import Progress, TrainingData, find_best_step
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead, name_heads

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings of the loop: at most `epochs`; it stops after `patience` epochs without a better validation loss.

    With a patience of 0 it runs for all epochs, reads no validation windows and keeps the last weights.
    """

    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for field, least in (("epochs", 1), ("patience", 0), ("batch_size", 1)):
            if getattr(self, field) < least:
                raise InvalidInput(f"Schedule.{field} is {getattr(self, field)}; it is a count of at least {least}.")
        if not self.learning_rate > 0:
            raise InvalidInput(f"Schedule.learning_rate is {self.learning_rate}; use a number above 0, such as 0.001.")


@contextmanager
def reproducible(*, seed: int, threads: int) -> Iterator[None]:
    """Use seeded generators, `threads` torch threads and deterministic kernels during the block; restore all after."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True)
            # Filling new memory helps to find reads of uninitialised memory, but takes a fifth of the time.
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
        InvalidInput: `wanted` is another word, or is "cuda" and there is no CUDA device.
    """
    if wanted not in ("cpu", "cuda", "auto"):
        raise InvalidInput(f"Device is {wanted!r}; training runs on 'cpu', 'cuda' or 'auto'. Choose one of these.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InvalidInput("Device is 'cuda', but torch finds no CUDA device. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def to_tensors(windows: WindowSet, device: torch.device, reads: Reads = "z") -> tuple[Tensor, Tensor]:
    """A network's inputs and learning targets, on the device.

    Features [B, S, K] and `r_BH` or, with "levels", levels [B, T, 1] and levels ahead [B, H] in the target's unit.
    """
    if reads == "z":
        return _move(windows.z_BSK, device), _move(windows.r_BH, device)
    ahead_BH = windows.transform.backward(windows.level_B[:, None], windows.r_BH.astype(np.float64))
    return _move(windows.levels_BT[..., None], device), _move(ahead_BH.astype(np.float32), device)


def _move(values: Floats, device: torch.device) -> Tensor:
    """A copy on the device; copies to a GPU go through pinned memory, which it reads without the CPU."""
    copied = torch.tensor(values)
    return copied.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else copied


def start_from(network: nn.Module, start: Path | None) -> bool:
    """Load weights from a file, if there is one for a network of the same shapes; returns whether they were loaded.

    Call it before the scaling is set, because the scaling must come from the new training data.
    """
    if start is None:
        return False
    state = torch.load(start, map_location="cpu", weights_only=True)
    if _list_shapes(state) != _list_shapes(network.state_dict()):
        _logger.warning("%s holds weights of another network; this one starts from random weights.", start.name)
        return False
    network.load_state_dict(state)
    return True


def _list_shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in state.items()}


def train_network(
    network: nn.Module, data: TrainingData, schedule: Schedule, progress: Progress, *, reads: Reads = "z"
) -> tuple[Mapping[str, float], ...]:
    """Train in place; returns the losses of each epoch. `network` ends with the best weights, on the CPU, in eval mode.

    Build the network and call this function inside `reproducible`.

    Raises:
        InvalidInput: the training diverged, or there are no windows for early stopping.
    """
    if schedule.patience:
        data.require_validation("Early stopping")
    device = choose_device(data.bench.device)
    network.to(device)
    train, validation = to_tensors(data.train, device, reads), to_tensors(data.validation, device, reads)
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    history: list[Mapping[str, float]] = []
    best = copy.deepcopy(network.state_dict())
    for epoch in range(1, schedule.epochs + 1):
        numbers = {"train_loss": run_epoch(network, train, optimiser, schedule, data.heads)}
        if schedule.patience:
            numbers["valid_loss"] = measure_loss(network, validation, schedule.batch_size, data.heads)
        history.append(numbers)
        progress(epoch, schedule.epochs, history[-1])
        require_finite(history[-1], epoch, schedule.learning_rate)
        since_best = epoch - find_best_step(history)
        if since_best == 0:
            best = copy.deepcopy(network.state_dict())
        if schedule.patience and since_best >= schedule.patience:
            break
    network.load_state_dict(best)
    network.cpu().eval()
    return tuple(history)


def require_finite(numbers: Mapping[str, float], epoch: int, learning_rate: float) -> None:
    """Check the losses of an epoch.

    Raises:
        InvalidInput: a loss is nan or infinite.
    """
    if not all(math.isfinite(value) for value in numbers.values()):
        raise InvalidInput(
            f"Training diverged in epoch {epoch} ({dict(numbers)}); losses stay finite. Lower the learning rate, now "
            f"{learning_rate}, or look for extreme readings."
        )


def run_epoch(
    network: nn.Module,
    rows: tuple[Tensor, Tensor],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    heads: Sequence[Head] = (),
) -> float:
    """One pass over all rows in random order; the mean loss."""
    network.train()
    order = torch.randperm(len(rows[0])).to(rows[0].device)
    total = 0.0
    for picked in torch.split(order, schedule.batch_size):
        optimiser.zero_grad(set_to_none=True)
        total += run_step(network, (rows[0][picked], rows[1][picked]), heads) * len(picked)
        nn.utils.clip_grad_norm_(network.parameters(), schedule.clip_norm)
        optimiser.step()
    return total / len(order)


def run_step(network: nn.Module, batch: tuple[Tensor, Tensor], heads: Sequence[Head]) -> float:
    """The loss of one batch; its gradients are stored in the network."""
    loss = joint_loss(network, batch, heads)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def joint_loss(network: nn.Module, batch: tuple[Tensor, Tensor], heads: Sequence[Head] = ()) -> Tensor:
    """Sum of the heads' losses: mean squared error for numbers, cross entropy in nats for labels.

    Errors are in units of the network's `out_scale`: for standardised numbers, 1.0 is the loss of the mean. On a GPU,
    the network runs in bfloat16 where that is safe (autocast), the loss itself in float32.
    """
    taken, learnt_BH = batch
    with torch.autocast(taken.device.type, dtype=torch.bfloat16, enabled=taken.device.type == "cuda"):
        predicted_BH = network(taken)
    predicted_BH, scale_H = predicted_BH.float(), network.get_buffer("out_scale")
    losses = [
        _measure_head(each, predicted_BH[:, each.columns], learnt_BH[:, each.columns], scale_H[each.columns])
        for each in name_heads(heads, learnt_BH.shape[1])
    ]
    return torch.stack(losses).sum()


@singledispatch
def _measure_head(head: Head, predicted_BC: Tensor, learnt_BC: Tensor, scale_C: Tensor) -> Tensor:
    raise NotImplementedError(f"No torch loss is defined for {type(head).__name__}; register one here.")


@_measure_head.register
def _measure_number(head: NumberHead, predicted_BC: Tensor, learnt_BC: Tensor, scale_C: Tensor) -> Tensor:
    return (((predicted_BC - learnt_BC) / scale_C) ** 2).mean()


@_measure_head.register
def _measure_label(head: LabelHead, predicted_BC: Tensor, learnt_BC: Tensor, scale_C: Tensor) -> Tensor:
    return nn.functional.cross_entropy(predicted_BC, learnt_BC)


@torch.inference_mode()
def measure_loss(network: nn.Module, rows: tuple[Tensor, Tensor], batch_size: int, heads: Sequence[Head] = ()) -> float:
    """Mean loss over all rows, without learning."""
    network.eval()
    batches = zip(*(torch.split(part, batch_size) for part in rows), strict=True)
    return sum(joint_loss(network, batch, heads).item() * len(batch[0]) for batch in batches) / len(rows[0])


@torch.inference_mode()
def predict_network(network: nn.Module, taken: Floats, *, threads: int, batch_size: int = 256) -> Floats:
    """`r_BH`, predicted by torch on the CPU; `taken` is the network's input, with windows as the first axis."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network.eval()
        predicted: Floats = torch.cat([network(part) for part in torch.split(torch.tensor(taken), batch_size)]).numpy()
    finally:
        torch.set_num_threads(before)
    return predicted
