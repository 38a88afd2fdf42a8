"""Our Adam: the steps of torch's, without its compiler."""

from __future__ import annotations

import copy
import subprocess
import sys

import torch
from torch import nn

from okawari.models.adam import Adam


def test_the_steps_are_those_of_torch_bit_by_bit() -> None:
    torch.manual_seed(1)
    ours = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2), nn.Linear(2, 2))
    ours[3].requires_grad_(False)
    theirs = copy.deepcopy(ours)
    optimisers = Adam(ours.parameters(), 0.01), torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(50):
        x, y = torch.randn(16, 4), torch.randn(16, 2)
        optimisers[0].clear()
        optimisers[1].zero_grad()
        for network in (ours, theirs):
            ((network(x) - y) ** 2).mean().backward()
        for optimiser in optimisers:
            optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_parameter_without_a_gradient_stays() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Adam([used, unused], 0.1)
    (used**2).sum().backward()
    optimiser.step()
    assert not torch.equal(used, unused) and torch.equal(unused, torch.ones(2))
    optimiser.clear()
    assert used.grad is None


def test_a_fit_of_a_network_does_not_import_the_compiler() -> None:
    code = """
import sys
from okawari.models.networks import LstmNetwork, MlpNetwork
from okawari.models import torch_training as t
import torch
with t.reproducible(seed=1, threads=1):
    dense = MlpNetwork(2, 3, 1, hidden=(4,), dropout=0.1)
    for network in (dense, LstmNetwork(3, [1], hidden=4, layers=1, fc=2, dropout=0)):
        rows = torch.randn(40, 2, 3), torch.randn(40, 1)
        t.run_epoch(network, rows, t.Adam(network.parameters(), 0.01), t.Schedule())
print(sorted(name for name in sys.modules if name in ("torch._dynamo", "torch._inductor", "sympy")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
