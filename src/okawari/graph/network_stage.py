"""The bundled torch networks as nodes, written layer by layer.

torch's exporter traces any module, but takes seconds for each, most of them for imports. It writes all other modules
(`okawari.graph.cores`). Dropout does nothing outside of training, so it has no node.

Shapes: B windows, S feature steps, K features, U hidden units, H columns of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor, nn

from okawari.graph.stages import ints
from okawari.models.networks import (
    SMALLEST_LEVEL,
    SMALLEST_LEVEL_SHARE,
    LevelNetwork,
    LstmNetwork,
    MlpNetwork,
    ScaledNetwork,
)

_GATES = (0, 3, 1, 2)
"""Order of the gates in ONNX (input, output, forget, cell) as places in the order of torch (input, forget, cell,
output)."""


@dataclass(frozen=True)
class _Writer:
    """The nodes written so far, and their constants. Values are named by numbers, weights as in the module."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns its name."""
        name = out or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def keep(self, name: str, value: NDArray[Any] | Tensor) -> str:
        """Add a constant; returns its name."""
        self.constants[name] = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        return name


@dataclass(frozen=True)
class WrittenNetwork:
    """Nodes from one input to `r` [B, width], and their constants."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, NDArray[Any]]
    width: int


def write_network(module: nn.Module, taken: str) -> WrittenNetwork | None:
    """A bundled network as nodes that read `taken`; None for another module, also for a subclass of a bundled one."""
    if not _is_known(module):
        return None
    writer = _Writer()
    _NETWORKS[type(module)](writer, module, taken, "", "r")
    scaled = module.ahead if isinstance(module, LevelNetwork) else module
    return WrittenNetwork(writer.nodes, writer.constants, len(scaled.get_buffer("out_shift")))


def _is_known(module: nn.Module) -> bool:
    parts = {*_NETWORKS, *_LAYERS, nn.LSTM, nn.Sequential, nn.ModuleList}
    return type(module) in _NETWORKS and all(type(each) in parts for each in module.modules())


def _write_scaled(writer: _Writer, network: ScaledNetwork, taken: str, prefix: str, out: str) -> None:
    for name in ("in_shift", "in_scale", "out_scale", "out_shift"):
        writer.keep(prefix + name, network.get_buffer(name))
    centred = writer.add("Sub", taken, f"{prefix}in_shift")
    answered = _write_answer(writer, network, writer.add("Div", centred, f"{prefix}in_scale"), prefix)
    spread = writer.add("Mul", answered, f"{prefix}out_scale")
    writer.add("Add", spread, f"{prefix}out_shift", out=out)


def _write_answer(writer: _Writer, network: ScaledNetwork, taken: str, prefix: str) -> str:
    if isinstance(network, MlpNetwork):
        return _write_layers(writer, network.layers, taken, f"{prefix}layers.")
    assert isinstance(network, LstmNetwork), f"{type(network).__name__} is listed in _NETWORKS"
    state = _write_lstm(writer, network.lstm, taken, f"{prefix}lstm.")
    answers = [
        _write_layers(writer, head, state, f"{prefix}heads.{place}.")
        for place, head in enumerate(network.heads)
        if isinstance(head, nn.Sequential)
    ]
    return answers[0] if len(answers) == 1 else writer.add("Concat", *answers, axis=1)


def _write_lstm(writer: _Writer, lstm: nn.LSTM, taken: str, prefix: str) -> str:
    """The state after the last step [B, U]; ONNX has the steps first, and a direction before the windows."""
    steps_SBK = writer.add("Transpose", taken, perm=[1, 0, 2])
    for layer in range(lstm.num_layers):
        weights = [_order_gates(writer, lstm, name, layer, prefix) for name in ("weight_ih", "weight_hh", "bias")]
        outputs = [f"{prefix}states_{layer}", f"{prefix}last_{layer}"]
        writer.nodes.append(helper.make_node("LSTM", [steps_SBK, *weights], outputs, hidden_size=lstm.hidden_size))
        if layer < lstm.num_layers - 1:
            steps_SBK = writer.add("Squeeze", outputs[0], writer.keep("direction_axis", ints(1)))
    return writer.add("Squeeze", outputs[1], writer.keep("last_axis", ints(0)))


def _order_gates(writer: _Writer, lstm: nn.LSTM, kind: str, layer: int, prefix: str) -> str:
    """A weight of a layer with ONNX's order of the gates and a direction; both biases of torch in one row."""
    names = [f"bias_ih_l{layer}", f"bias_hh_l{layer}"] if kind == "bias" else [f"{kind}_l{layer}"]
    parts = [lstm.get_parameter(name).detach().cpu().numpy() for name in names]
    size = lstm.hidden_size
    ordered = [np.concatenate([part[gate * size : (gate + 1) * size] for gate in _GATES]) for part in parts]
    return writer.keep(f"{prefix}{kind}_l{layer}", np.concatenate(ordered)[None])


def _write_layers(writer: _Writer, layers: nn.Sequential, taken: str, prefix: str) -> str:
    for place, layer in enumerate(layers):
        taken = _LAYERS[type(layer)](writer, layer, taken, f"{prefix}{place}.")
    return taken


def _write_linear(writer: _Writer, layer: nn.Module, taken: str, prefix: str) -> str:
    weights = [writer.keep(prefix + name, layer.get_parameter(name)) for name in ("weight", "bias")]
    return writer.add("Gemm", taken, *weights, transB=1)


def _write_level(writer: _Writer, network: LevelNetwork, taken: str, prefix: str, out: str) -> None:
    """`log(max(ahead, share * last) / last)`, as in `LevelNetwork.forward`."""
    axis = writer.keep("feature_axis", ints(2))
    _write_scaled(writer, network.ahead, writer.add("Unsqueeze", taken, axis), f"{prefix}ahead.", f"{prefix}ahead")
    bounds = [writer.keep(*each) for each in (("newest", ints(-1)), ("end", ints(2**31 - 1)), ("step_axis", ints(1)))]
    newest = writer.add("Slice", taken, *bounds)
    last = writer.add("Max", newest, writer.keep("smallest_level", np.array(SMALLEST_LEVEL, dtype=np.float32)))
    share = writer.keep("smallest_share", np.array(SMALLEST_LEVEL_SHARE, dtype=np.float32))
    ahead = writer.add("Max", f"{prefix}ahead", writer.add("Mul", last, share))
    writer.add("Log", writer.add("Div", ahead, last), out=out)


_LAYERS: dict[type[nn.Module], Callable[[_Writer, nn.Module, str, str], str]] = {
    nn.Dropout: lambda writer, layer, taken, prefix: taken,
    nn.Flatten: lambda writer, layer, taken, prefix: writer.add("Flatten", taken, axis=1),
    nn.Linear: _write_linear,
    nn.ReLU: lambda writer, layer, taken, prefix: writer.add("Relu", taken),
}
_NETWORKS: dict[type[nn.Module], Callable[[_Writer, Any, str, str, str], None]] = {
    LevelNetwork: _write_level,
    LstmNetwork: _write_scaled,
    MlpNetwork: _write_scaled,
}
