"""Import a user's ONNX function: one input, one output, only ONNX's own operators in our versions, and no metadata of
its exporter.

This module does not depend on the library that exported the function, nor on cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import TensorProto, defs, helper, inliner, version_converter

from okawari.errors import InvalidInput, require
from okawari.graph.inference import parse_model
from okawari.graph.stages import ML_DOMAIN, OPSET
from okawari.models.cores import ONNX_OPSETS, OnnxCore

LARGEST_BYTES = 2**30
"""Half the largest ONNX file (2 GiB, the limit of protobuf), because the graph adds nodes and variants add copies."""
EXPORT = f"Export it with the operator sets {dict(ONNX_OPSETS)} (okawari.recipe.ONNX_OPSETS)."


def import_function(core: OnnxCore) -> onnx.GraphProto:
    """Return the function's graph with numbered value names.

    Raises:
        InvalidInput: the bytes are not an ONNX model, or the model is too large, has inputs or outputs that a core
            cannot have, or uses operators that are not ONNX's own or do not exist in our versions.
    """
    graph = _free_captured(_bring_to_opsets(_parse(core)).graph)
    _rename(graph, {"": ""})
    return graph


# --- inputs and outputs --------------------------------------------------------------------------------------


def _parse(core: OnnxCore) -> onnx.ModelProto:
    """Parse the function, check its size, input, output and operators, and keep only the chosen output."""
    content = core.function
    require(
        len(content) <= LARGEST_BYTES,
        f"The function has {len(content) / 2**20:.0f} MiB; a core has at most {LARGEST_BYTES / 2**20:.0f}. "
        "Fit a smaller model.",
    )
    try:
        model = parse_model(content)
    except InvalidInput as error:
        raise InvalidInput(f"OnnxCore.function: {error} It takes model.SerializeToString().") from error
    if model.functions:
        model = inliner.inline_local_functions(model)
    known = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in known]
    names = [each.name for each in inputs]
    require(len(inputs) == 1, f"The function has the inputs {names}; it takes one, windows. Join them into one input.")
    answer = _choose_output(model.graph, core.output)
    for what, found in (("input", inputs[0]), ("output", answer)):
        _require_windows(what, found)
    _require_own_operators(model)
    _keep_only(model.graph.input, inputs[0])
    _keep_only(model.graph.output, answer)
    return model


def _keep_only(values: Any, kept: onnx.ValueInfoProto) -> None:
    copied = onnx.ValueInfoProto.FromString(kept.SerializeToString())
    del values[:]
    values.append(copied)


def _require_own_operators(model: onnx.ModelProto) -> None:
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in walk(model.graph) if node.domain not in ONNX_OPSETS})
    require(
        not foreign,
        f"The function uses {foreign}; a graph has the operators of ONNX alone (domains {sorted(ONNX_OPSETS)}), which "
        "every ONNX Runtime has. Choose an export without custom operators.",
    )


def _choose_output(graph: onnx.GraphProto, name: str | None) -> onnx.ValueInfoProto:
    outputs = {each.name: each for each in graph.output}
    if name is None and len(outputs) == 1:
        return graph.output[0]
    if name not in outputs:
        raise InvalidInput(
            f"OnnxCore.output is {name!r}; the function has the outputs {list(outputs)}. "
            "Name the one that is the answer, [B, H]."
        )
    return outputs[name]


def _require_windows(what: str, found: onnx.ValueInfoProto) -> None:
    """Raise `InvalidInput` unless the value is a float32 tensor with a dynamic number of windows."""
    require(
        found.type.tensor_type.elem_type == TensorProto.FLOAT,
        f"The {what} {found.name!r} of the function is of type {_name_type(found)}; it has to be a tensor of float32. "
        "Cast inside the function, or export it with float32 (and a classifier of skl2onnx with zipmap=False).",
    )
    dims = read_dims(found)
    require(
        not dims or dims[0] is None,
        f"The {what} {found.name!r} of the function has shape {dims}; its first dimension counts windows and has to be "
        "free. Export it with a dynamic batch dimension.",
    )


def _name_type(value: onnx.ValueInfoProto) -> str:
    kind = value.type.WhichOneof("value")
    return helper.tensor_dtype_to_string(value.type.tensor_type.elem_type) if kind == "tensor_type" else str(kind)


def read_dims(value: onnx.ValueInfoProto) -> list[int | None]:
    """Declared dimensions, None for a dynamic one; an empty list if no shape is declared."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]


def walk(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, including those of loops and branches."""
    for node in graph.node:
        yield node
        for inner in _list_subgraphs(node):
            yield from walk(inner)


def _list_subgraphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    own = [each.g for each in node.attribute if each.HasField("g")]
    return [*own, *(graph for each in node.attribute for graph in each.graphs)]


# --- operator sets ------------------------------------------------------------------------------------------------


def _bring_to_opsets(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert the function to our versions of ONNX's operator sets.

    If none of its operators differs between the versions, only the version numbers change.
    """
    came = {domain: max(versions) for domain, versions in _group_opsets(model).items()}
    newest = defs.onnx_opset_version()
    require(came[""] <= newest, f"The function uses opset {came['']}; the newest supported is {newest}. {EXPORT}")
    changed = [node for node in walk(model.graph) if _has_changed(node, came)]
    unconverted = sorted({node.op_type for node in changed if node.domain == ML_DOMAIN})
    require(
        not unconverted,
        f"The function uses {unconverted} of {ML_DOMAIN} {came.get(ML_DOMAIN)}, which differ in version "
        f"{ONNX_OPSETS[ML_DOMAIN]}. {EXPORT}",
    )
    same = {domain: version if changed and domain == "" else ONNX_OPSETS[domain] for domain, version in came.items()}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*each) for each in sorted(same.items()))
    return _convert(model, same[""]) if changed else model


def _group_opsets(model: onnx.ModelProto) -> dict[str, set[int]]:
    """Imported versions by domain; some exporters list a domain twice."""
    found: dict[str, set[int]] = {"": set()}
    for each in model.opset_import:
        if each.domain in ONNX_OPSETS:
            found.setdefault(each.domain, set()).add(each.version)
    return {domain: versions or {OPSET} for domain, versions in found.items()}


def _has_changed(node: onnx.NodeProto, came: Mapping[str, int]) -> bool:
    """Whether an operator differs in our version of its set, according to ONNX's schemas.

    An operator of ai.onnx.ml is unchanged if all its attributes still exist: later versions add some, with defaults.
    """
    ours = ONNX_OPSETS[node.domain]
    one, other = _find_schema(node, came.get(node.domain, ours)), _find_schema(node, ours)
    if node.domain == ML_DOMAIN:
        return not {(name, each.type) for name, each in one.attributes.items()} <= {
            (name, each.type) for name, each in other.attributes.items()
        }
    return bool(one.since_version != other.since_version)


def _find_schema(node: onnx.NodeProto, opset: int) -> defs.OpSchema:
    try:
        return defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError as error:
        name = node.domain or "ai.onnx"
        message = f"The function uses {node.op_type}, which {name} {opset} does not have. {EXPORT}"
        raise InvalidInput(message) from error


def _convert(model: onnx.ModelProto, came: int) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(model, OPSET)
    except (RuntimeError, version_converter.ConvertError) as error:
        raise InvalidInput(
            f"The function uses opset {came} and cannot be converted to {OPSET}: {error}. {EXPORT}"
        ) from error


# --- names -----------------------------------------------------------------------------------------------------------


def _free_captured(graph: onnx.GraphProto) -> onnx.GraphProto:
    """A copy with the weights that loops and branches read from outside as Constant nodes.

    `onnx.compose` renames the outputs of nodes, but not the names of outer weights inside subgraphs.
    """
    inner = [each for node in graph.node for each in _list_subgraphs(node)]
    captured = {name for each in inner for node in walk(each) for name in node.input}
    moved = [each for each in graph.initializer if each.name in captured]
    kept = [each for each in graph.initializer if each.name not in captured]
    nodes = [*(helper.make_node("Constant", [], [each.name], value=each) for each in moved), *graph.node]
    return helper.make_graph(nodes, "function", list(graph.input), list(graph.output), kept)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename all values to numbers in order of appearance, and remove the exporter's metadata.

    Exporters count names over a whole process, so equal functions would have different bytes. `names` maps old to new
    names and is filled here.
    """

    def number(name: str) -> str:
        return names.setdefault(name, f"function/{len(names)}")

    graph.name, graph.doc_string = "function", ""
    for field in (graph.value_info, graph.metadata_props, graph.quantization_annotation):
        del field[:]
    for value in (*graph.input, *graph.initializer):
        value.name = number(value.name)
    for node in graph.node:
        node.name = ""
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        node.input[:], node.output[:] = map(number, node.input), map(number, node.output)
        for inner in _list_subgraphs(node):
            _rename(inner, names)
    for value in graph.output:
        value.name = number(value.name)
