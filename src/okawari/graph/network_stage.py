"""The bundled torch networks as nodes, written layer by layer.

torch's exporter traces any module, but takes seconds for each, most of them for imports. It writes all other modules
(`okawari.graph.cores`). Dropout does nothing outside of training, so it has no node.

Shapes: B windows, S feature steps, K features, U hidden units, H columns of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
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
    _write_network(module, writer, taken, "", "r")
    scaled = module.ahead if isinstance(module, LevelNetwork) else module
    return WrittenNetwork(writer.nodes, writer.constants, len(scaled.get_buffer("out_shift")))


def _is_known(module: nn.Module) -> bool:
    return type(module) in _NETWORKS and all(type(each) in {*_NETWORKS, *_PARTS} for each in module.modules())


_NETWORKS = (LevelNetwork, LstmNetwork, MlpNetwork)
_PARTS = (nn.Dropout, nn.Flatten, nn.Linear, nn.LSTM, nn.ModuleList, nn.ReLU, nn.Sequential)


# --- networks: the output has a name of its own -------------------------------------------------------------------


@singledispatch
def _write_network(network: nn.Module, writer: _Writer, taken: str, prefix: str, out: str) -> None:
    raise NotImplementedError(f"No nodes are defined for {type(network).__name__}; register them here.")


@_write_network.register
def _write_scaled(network: ScaledNetwork, writer: _Writer, taken: str, prefix: str, out: str) -> None:
    for name in ("in_shift", "in_scale", "out_scale", "out_shift"):
        writer.keep(prefix + name, network.get_buffer(name))
    centred = writer.add("Sub", taken, f"{prefix}in_shift")
    answered = _write_answer(network, writer, writer.add("Div", centred, f"{prefix}in_scale"), prefix)
    spread = writer.add("Mul", answered, f"{prefix}out_scale")
    writer.add("Add", spread, f"{prefix}out_shift", out=out)


@_write_network.register
def _write_level(network: LevelNetwork, writer: _Writer, taken: str, prefix: str, out: str) -> None:
    """`log(max(ahead, share * last) / last)`, as in `LevelNetwork.forward`."""
    axis = writer.keep("feature_axis", ints(2))
    _write_network(network.ahead, writer, writer.add("Unsqueeze", taken, axis), f"{prefix}ahead.", f"{prefix}ahead")
    bounds = [writer.keep(*each) for each in (("newest", ints(-1)), ("end", ints(2**31 - 1)), ("step_axis", ints(1)))]
    newest = writer.add("Slice", taken, *bounds)
    last = writer.add("Max", newest, writer.keep("smallest_level", np.array(SMALLEST_LEVEL, dtype=np.float32)))
    share = writer.keep("smallest_share", np.array(SMALLEST_LEVEL_SHARE, dtype=np.float32))
    ahead = writer.add("Max", f"{prefix}ahead", writer.add("Mul", last, share))
    writer.add("Log", writer.add("Div", ahead, last), out=out)


@singledispatch
def _write_answer(network: ScaledNetwork, writer: _Writer, taken: str, prefix: str) -> str:
    """The nodes of `ScaledNetwork.answer`; returns the name of its output."""
    raise NotImplementedError(f"No nodes are defined for {type(network).__name__}; register them here.")


@_write_answer.register
def _write_dense(network: MlpNetwork, writer: _Writer, taken: str, prefix: str) -> str:
    return _write_layer(network.layers, writer, taken, f"{prefix}layers.")


@_write_answer.register
def _write_recurrent(network: LstmNetwork, writer: _Writer, taken: str, prefix: str) -> str:
    state = _write_layer(network.lstm, writer, taken, f"{prefix}lstm.")
    answers = [_write_layer(head, writer, state, f"{prefix}heads.{place}.") for place, head in enumerate(network.heads)]
    return answers[0] if len(answers) == 1 else writer.add("Concat", *answers, axis=1)


# --- layers -------------------------------------------------------------------------------------------------------


@singledispatch
def _write_layer(layer: nn.Module, writer: _Writer, taken: str, prefix: str) -> str:
    """The nodes of a layer; returns the name of its output."""
    raise NotImplementedError(f"No nodes are defined for {type(layer).__name__}; register them here.")


_write_layer.register(nn.Dropout, lambda layer, writer, taken, prefix: taken)
_write_layer.register(nn.Flatten, lambda layer, writer, taken, prefix: writer.add("Flatten", taken, axis=1))
_write_layer.register(nn.ReLU, lambda layer, writer, taken, prefix: writer.add("Relu", taken))


@_write_layer.register
def _write_sequence(layer: nn.Sequential, writer: _Writer, taken: str, prefix: str) -> str:
    for place, each in enumerate(layer):
        taken = _write_layer(each, writer, taken, f"{prefix}{place}.")
    return taken


@_write_layer.register
def _write_linear(layer: nn.Linear, writer: _Writer, taken: str, prefix: str) -> str:
    weights = [writer.keep(prefix + name, layer.get_parameter(name)) for name in ("weight", "bias")]
    return writer.add("Gemm", taken, *weights, transB=1)


@_write_layer.register
def _write_lstm(layer: nn.LSTM, writer: _Writer, taken: str, prefix: str) -> str:
    """The state after the last step [B, U]; ONNX has the steps first, and a direction before the windows."""
    steps_SBK = writer.add("Transpose", taken, perm=[1, 0, 2])
    for number in range(layer.num_layers):
        weights = [_order_gates(layer, writer, name, number, prefix) for name in ("weight_ih", "weight_hh", "bias")]
        outputs = [f"{prefix}states_{number}", f"{prefix}last_{number}"]
        writer.nodes.append(helper.make_node("LSTM", [steps_SBK, *weights], outputs, hidden_size=layer.hidden_size))
        if number < layer.num_layers - 1:
            steps_SBK = writer.add("Squeeze", outputs[0], writer.keep("direction_axis", ints(1)))
    return writer.add("Squeeze", outputs[1], writer.keep("last_axis", ints(0)))


def _order_gates(layer: nn.LSTM, writer: _Writer, kind: str, number: int, prefix: str) -> str:
    """A weight of a layer with ONNX's order of the gates and a direction; both biases of torch in one row."""
    names = [f"bias_ih_l{number}", f"bias_hh_l{number}"] if kind == "bias" else [f"{kind}_l{number}"]
    parts = [layer.get_parameter(name).detach().cpu().numpy() for name in names]
    size = layer.hidden_size
    ordered = [np.concatenate([part[gate * size : (gate + 1) * size] for gate in _GATES]) for part in parts]
    return writer.keep(f"{prefix}{kind}_l{number}", np.concatenate(ordered)[None])
