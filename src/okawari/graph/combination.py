"""The stage of a combined core: the stages of its members side by side, and the weighted mean of what they predict.

Numbers are averaged as they are learnt. Labels are averaged as probabilities, so that a member that is sure and wrong
counts no more than its weight; `r` is the logarithm of the mean, and the softmax of the answer stage returns it.

Shapes: B windows (dynamic), H columns of an answer; everything float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from okawari.graph.stages import ML_DOMAIN, Constants, Dims, Part, build_stage, ints
from okawari.schema.heads import Head, LabelHead, NumberHead

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Floor under a probability, so that its logarithm is finite where all members say 0."""


def join_members(
    members: Sequence[onnx.ModelProto], weights: Sequence[float], heads: Sequence[Head]
) -> onnx.ModelProto:
    """Build the stage with the inputs of all members and the output `r` [B, H], the columns of `heads`.

    Args:
        members: stages with the output `r` each; their names may collide.
        weights: one for each member, above 0, together 1.
        heads: numbers or labels, which are averaged differently.
    """
    own = [_set_apart(member.graph, f"member_{place}/") for place, member in enumerate(members)]
    mixing, constants = _mix([f"member_{place}/r" for place in range(len(members))], weights, heads)
    nodes = [node for graph in own for node in graph.node]
    tensors = {each.name: numpy_helper.to_array(each) for graph in own for each in graph.initializer}
    return build_stage(
        "combination",
        [*_pass_inputs(members), *nodes, *mixing],
        {name: dims for member in members for name, dims in _list_inputs(member)},
        {"r": ("B", max(head.stop for head in heads))},
        {**tensors, **constants},
        with_ml=any(each.domain == ML_DOMAIN for member in members for each in member.opset_import),
    )


def _set_apart(graph: onnx.GraphProto, prefix: str) -> onnx.GraphProto:
    """The member's graph with a prefix before every name."""
    renamed: onnx.GraphProto = compose.add_prefix_graph(graph, prefix)
    return renamed


def _pass_inputs(members: Sequence[onnx.ModelProto]) -> Iterator[onnx.NodeProto]:
    """Nodes that give each member its input under its own name."""
    for place, member in enumerate(members):
        for each in member.graph.input:
            yield helper.make_node("Identity", [each.name], [f"member_{place}/{each.name}"])


def _list_inputs(member: onnx.ModelProto) -> Iterator[tuple[str, Dims]]:
    for each in member.graph.input:
        yield each.name, tuple(dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim)


def _mix(said: Sequence[str], weights: Sequence[float], heads: Sequence[Head]) -> Part:
    """Nodes from what the members predict [B, H] to `r`, one head after the other."""
    constants: Constants = {
        "mix/axis": ints(1),
        "mix/smallest": np.array(_SMALLEST, dtype=np.float32),
        **{f"mix/weight_{place}": np.array(weight, dtype=np.float32) for place, weight in enumerate(weights)},
    }
    nodes, parts = list[onnx.NodeProto](), [f"mix/head_{place}" for place in range(len(heads))]
    for head, part in zip(heads, parts, strict=True):
        constants = {**constants, f"{part}/start": ints(head.start), f"{part}/stop": ints(head.stop)}
        nodes += _mix_head(said, head, part)
    return [*nodes, helper.make_node("Concat", parts, ["r"], axis=1)], dict(constants)


def _mix_head(said: Sequence[str], head: Head, out: str) -> Iterator[onnx.NodeProto]:
    """Nodes to the weighted mean of one head's columns."""
    own = [f"{out}/own_{place}" for place in range(len(said))]
    for taken, given in zip(said, own, strict=True):
        yield helper.make_node("Slice", [taken, f"{out}/start", f"{out}/stop", "mix/axis"], [given])
    yield from _average(head, own, out)


@singledispatch
def _average(head: Head, own: Sequence[str], out: str) -> Iterator[onnx.NodeProto]:
    """Nodes from what each member predicts for a head to the weighted mean, as it is learnt."""
    raise NotImplementedError(f"No mean is defined for {type(head).__name__}; register it here.")


@_average.register
def _average_numbers(head: NumberHead, own: Sequence[str], out: str) -> Iterator[onnx.NodeProto]:
    yield from _weigh(own, out)


@_average.register
def _average_shares(head: LabelHead, own: Sequence[str], out: str) -> Iterator[onnx.NodeProto]:
    """The logarithm of the mean probabilities."""
    shares = [f"{each}/share" for each in own]
    for taken, given in zip(own, shares, strict=True):
        yield helper.make_node("Softmax", [taken], [given], axis=1)
    yield from _weigh(shares, f"{out}/sum")
    yield helper.make_node("Max", [f"{out}/sum", "mix/smallest"], [f"{out}/positive"])
    yield helper.make_node("Log", [f"{out}/positive"], [out])


def _weigh(parts: Sequence[str], out: str) -> Iterator[onnx.NodeProto]:
    weighted = [f"{each}/weighted" for each in parts]
    for place, (taken, given) in enumerate(zip(parts, weighted, strict=True)):
        yield helper.make_node("Mul", [taken, f"mix/weight_{place}"], [given])
    yield helper.make_node("Sum", weighted, [out])
