"""A graph in other precisions, and what each costs and saves.

    fp32    the graph as built
    uint8   weights stored in 8 bits by the affine quantizer below, arithmetic in float32: a smaller file
    int8    weights and arithmetic in 8 bits by ONNX Runtime's dynamic quantizer

Which variant serves is no matter of belief: `measure_variants` compares them on the same windows in one run, and the
gate decides. Shapes: B windows, T readings, F columns, H steps ahead.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.graph import Graph
from okawari.graph_weights import QuantizedTensor, has_trees, list_weights, quantize_dynamic, replace_weights
from okawari.models.recipe import WindowSet
from okawari.scores import rmse

MIN_ELEMENTS = 1024
"""Smallest weight worth 8 bits: it saves 3 bytes an element and costs some 300 bytes of names, scales and a node."""
_LEVELS = 255
_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


def quantize_affine(values: NDArray[np.floating[Any]], channel_axis: int) -> QuantizedTensor:
    """Quantize to unsigned 8 bits, one scale S and zero point Z for each channel.

    `real = S * (q - Z)` (Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference, CVPR 2018, eq. 1), with the range of section 3, which always holds zero so that zero is exact:

        low = min(0, min w)    high = max(0, max w)    S = (high - low) / 255
        Z = round(-low / S)    q = clip(round(w / S) + Z, 0, 255)

    Rounding is half to even. So |w - real| <= S / 2, up to float32 rounding. A channel of zeros gets the smallest
    normal scale and stays zero.
    """
    channels = np.moveaxis(np.asarray(values, dtype=np.float64), channel_axis, 0)
    rows = channels.reshape(len(channels), -1)
    low, high = np.minimum(rows.min(axis=1), 0.0), np.maximum(rows.max(axis=1), 0.0)
    scale = np.maximum((high - low) / _LEVELS, _SMALLEST_SCALE).astype(np.float32)
    zero_point = np.clip(np.rint(-low / scale), 0, _LEVELS)
    rounded = np.clip(np.rint(rows / scale[:, None].astype(np.float64)) + zero_point[:, None], 0, _LEVELS)
    stored = np.moveaxis(rounded.astype(np.uint8).reshape(channels.shape), 0, channel_axis)
    return QuantizedTensor(np.ascontiguousarray(stored), scale, zero_point.astype(np.uint8), channel_axis)


def dequantize(tensor: QuantizedTensor) -> NDArray[np.float32]:
    """`S * (q - Z)` in float32: what the graph computes when it loads."""
    shape = [1] * tensor.values.ndim
    shape[tensor.channel_axis] = -1
    centred = tensor.values.astype(np.int32) - tensor.zero_point.astype(np.int32).reshape(shape)
    restored: NDArray[np.float32] = centred.astype(np.float32) * tensor.scale.reshape(shape)
    return restored


@dataclass(frozen=True, kw_only=True)
class Variants:
    """Files of one model by variant; `reason` says why there is only "fp32", else it is None."""

    contents: Mapping[str, bytes]
    mean_weight_error: float | None = None
    """Mean |w - dequantized w| over all weights of "uint8", as a share of their mean |w|."""
    reason: str | None = None


def build_variants(content: bytes) -> Variants:
    """The graph in fp32, uint8 and int8; only fp32, with the reason, for trees and where no weight is worth it."""
    if has_trees(content):
        reason = "Only fp32, because it answers by trees: no quantizer knows them, and a threshold in 8 bits sends "
        return Variants(contents={"fp32": content}, reason=reason + "readings down other branches.")
    weights = list_weights(content)
    large = {name: weight for name, weight in weights.items() if weight.values.size >= MIN_ELEMENTS}
    if not large:
        largest = max((weight.values.size for weight in weights.values()), default=0)
        found = f"its largest weight has {largest} numbers" if largest else "it has no weights"
        reason = f"Only fp32, because {found}; below {MIN_ELEMENTS} numbers 8 bits save nothing."
        return Variants(contents={"fp32": content}, reason=reason)
    quantized = {name: quantize_affine(weight.values, weight.channel_axis) for name, weight in large.items()}
    errors = [np.abs(weight.values - dequantize(quantized[name])).ravel() for name, weight in large.items()]
    sizes = [np.abs(weight.values).ravel() for weight in large.values()]
    contents = {
        "fp32": content,
        "uint8": replace_weights(content, quantized),
        "int8": quantize_dynamic(content),
    }
    share = float(np.concatenate(errors).mean() / np.concatenate(sizes).mean())
    return Variants(contents=contents, mean_weight_error=share)


@dataclass(frozen=True, kw_only=True)
class VariantRow:
    """One row of the comparison. Times are medians on this machine, errors are over all windows and steps."""

    variant: str
    n_bytes: int
    sha256: str
    load_ms: float
    latency_ms: float
    """One window at a time, interleaved with the other variants."""
    rmse: float
    """In the target's own unit."""
    max_abs_diff_share: float
    """Largest |mean - fp32's mean| as a share of fp32's mean."""
    mean_weight_error: float | None
    """As in `Variants`; 0 for fp32, None where the quantizer is not ours."""


def measure_variants(
    variants: Variants, windows: WindowSet, *, threads: int = 1, rounds: int = 200
) -> tuple[VariantRow, ...]:
    """Size, speed and error of every variant on the same windows, in the order of `variants.contents`."""
    graphs = {name: Graph.load(content, threads=threads) for name, content in variants.contents.items()}
    loads = _measure_loads(variants.contents, threads)
    latencies = _measure_latencies(graphs, windows, rounds)
    means = {name: graph.answer(windows.x_BTF).mean_BH.astype(np.float64) for name, graph in graphs.items()}
    truth_BH = windows.level_B[:, None] * np.exp(windows.r_BH.astype(np.float64))
    weight_errors = {"fp32": 0.0, "uint8": variants.mean_weight_error}
    return tuple(
        VariantRow(
            variant=name,
            n_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            load_ms=loads[name],
            latency_ms=latencies[name],
            rmse=rmse(truth_BH, means[name]),
            max_abs_diff_share=float(np.max(np.abs(means[name] / means["fp32"] - 1))),
            mean_weight_error=weight_errors.get(name),
        )
        for name, content in variants.contents.items()
    )


def _measure_loads(contents: Mapping[str, bytes], threads: int, rounds: int = 5) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in contents}
    for _ in range(rounds):
        for name, content in contents.items():
            started = time.perf_counter()
            Graph.load(content, threads=threads)
            times[name].append(time.perf_counter() - started)
    return {name: 1e3 * median(values) for name, values in times.items()}


def _measure_latencies(graphs: Mapping[str, Graph], windows: WindowSet, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for round_ in range(rounds):
        row = round_ % len(windows)
        x_1TF = windows.x_BTF[row : row + 1]
        for name, graph in graphs.items():
            started = time.perf_counter()
            graph.answer(x_1TF)
            times[name].append(time.perf_counter() - started)
    return {name: 1e3 * median(values) for name, values in times.items()}
