"""The bundled networks as nodes: equal to the networks, and to what torch's exporter writes."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.feature_graph import compute_features
from okawari.graph.inference import Graph
from okawari.graph.network_stage import write_network
from okawari.graph.quantizer import build_variants
from okawari.models.cores import Reads, TorchCore
from okawari.models.networks import LevelNetwork, LstmNetwork, MlpNetwork
from okawari.models.windows import Floats

STEPS, FEATURES, WIDTH = 11, 3, 3


def _shake(network: nn.Module) -> nn.Module:
    """The network with random weights and scalings, in training mode, in which dropout works."""
    torch.manual_seed(3)
    for name, buffer in network.named_buffers():
        buffer.copy_(torch.rand_like(buffer) + (0.5 if name.endswith("scale") else 0.0))
    return network.train()


def _make_lstm(n_features: int = FEATURES, widths: tuple[int, ...] = (WIDTH,), layers: int = 2) -> LstmNetwork:
    return LstmNetwork(n_features, widths, hidden=20, layers=layers, fc=8, dropout=0.5)


NETWORKS: dict[str, tuple[nn.Module, Reads]] = {
    "dense": (_shake(MlpNetwork(STEPS, FEATURES, WIDTH, hidden=(40, 8), dropout=0.5)), "z"),
    "without hidden layers": (_shake(MlpNetwork(STEPS, FEATURES, WIDTH, hidden=(), dropout=0.0)), "z"),
    "one LSTM layer": (_shake(_make_lstm(layers=1)), "z"),
    "two heads": (_shake(_make_lstm(widths=(2, 1), layers=3)), "z"),
    "levels": (_shake(LevelNetwork(_make_lstm(1))), "levels"),
}


def _answer(module: nn.Module, reads: Reads, case: Case, x_BTF: Floats) -> Floats:
    """What the network learnt to predict, in torch."""
    z_BSK = compute_features(case, x_BTF)
    seen = z_BSK if reads == "z" else x_BTF[..., case.level_index].astype(np.float32)
    with torch.no_grad():
        return copy.deepcopy(module).eval()(torch.from_numpy(seen)).numpy()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("n_windows", [1, 7])
def test_the_nodes_answer_as_the_network_does(name: str, n_windows: int, small_case: Case) -> None:
    module, reads = NETWORKS[name]
    x_BTF = np.random.default_rng(4).uniform(50, 90, (n_windows, 12, 5))
    mean_BH = Graph.load(build_graph(TorchCore(module, reads=reads), small_case, None)).answer(x_BTF).mean_BH
    expected_BH = x_BTF[:, -1, small_case.level_index, None] * np.exp(_answer(module, reads, small_case, x_BTF))
    np.testing.assert_allclose(mean_BH, expected_BH, rtol=2e-6)
    assert module.training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "two heads", "levels"])
def test_the_exporter_writes_an_equal_graph(name: str, small_case: Case) -> None:
    """A subclass may compute anything, so it goes to the exporter."""
    module, reads = NETWORKS[name]
    traced = copy.deepcopy(module)
    traced.__class__ = type("Traced", (type(module),), {})
    assert write_network(traced, reads) is None
    x_BTF = np.random.default_rng(4).uniform(50, 90, (7, 12, 5))
    ours, theirs = (build_graph(TorchCore(each, reads=reads), small_case, None) for each in (module, traced))
    answers = [Graph.load(content).answer(x_BTF).mean_BH for content in (ours, theirs)]
    np.testing.assert_allclose(*answers, rtol=1e-6)
    assert set(build_variants(ours).contents) == set(build_variants(theirs).contents)


@pytest.mark.parametrize("name", ["dense", "one LSTM layer"])
def test_its_weights_can_be_stored_in_8_bits(name: str, small_case: Case) -> None:
    module, reads = NETWORKS[name]
    graph = build_graph(TorchCore(module, reads=reads), small_case, None)
    x_BTF = np.random.default_rng(4).uniform(50, 90, (7, 12, 5))
    variants = build_variants(graph)
    answers = {each: Graph.load(content).answer(x_BTF).mean_BH for each, content in variants.contents.items()}
    assert list(answers) == ["fp32", "uint8", "int8"]
    for other in ("uint8", "int8"):
        assert 0 < np.abs(answers[other] / answers["fp32"] - 1).max() < 0.05


def test_a_network_of_another_width_is_refused(small_case: Case) -> None:
    with pytest.raises(InvalidInput, match=r"shape .*4.*Fit it for this case"):
        build_graph(TorchCore(_make_lstm(widths=(4,))), small_case, None)


def test_a_bundled_network_needs_no_exporter() -> None:
    """The exporter's imports take seconds."""
    code = (
        "import sys; from okawari.models.networks import MlpNetwork;"
        "from okawari.graph.network_stage import write_network;"
        "assert write_network(MlpNetwork(1, 2, 1, hidden=(3,), dropout=0.1), 'z').width == 1;"
        "print(any(name.startswith('torch._dynamo') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
