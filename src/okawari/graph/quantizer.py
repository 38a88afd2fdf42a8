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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.evaluation.scores import score_answer
from okawari.graph.inference import Answer, Graph
from okawari.graph.weights import QuantizedTensor, Weight, has_trees, list_weights, quantize_dynamic, replace_weights
from okawari.models.recipe import Floats, WindowSet
from okawari.schema.tasks import Head

MIN_ELEMENTS = 1024
"""Smallest weight worth 8 bits: they save 3 bytes an element and cost some 300 bytes of names, scales and a node, so
below this at most 3 kB are to be had, and from some hundred elements down nothing."""
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


def build_variants(content: bytes, *, min_elements: int = MIN_ELEMENTS) -> Variants:
    """The graph in fp32, uint8 and int8; only fp32, with the reason, for trees and where no weight is worth it.

    A weight is worth it from `min_elements` numbers on; 1 quantizes all of them, which shows what that would bring.
    """
    if has_trees(content):
        reason = "Only fp32, because it answers by trees: no quantizer knows them, and a threshold in 8 bits sends "
        return Variants(contents={"fp32": content}, reason=reason + "readings down other branches.")
    weights = list_weights(content)
    large = {name: weight for name, weight in weights.items() if weight.values.size >= min_elements}
    if not large:
        return Variants(contents={"fp32": content}, reason=_explain_small(weights.values(), min_elements))
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


def _explain_small(weights: Collection[Weight], min_elements: int) -> str:
    if not weights:
        return "Only fp32, because it has no weights."
    largest, saved_kb = max(weight.values.size for weight in weights), 3 * min_elements / 1000
    return (
        f"Only fp32, because its largest weight has {largest} numbers; 8 bits save at most {saved_kb:.0f} kB of one "
        f"below {min_elements}."
    )


@dataclass(frozen=True, kw_only=True)
class VariantRow:
    """One row of the comparison. Times are medians on this machine, errors are over all windows and steps."""

    variant: str
    n_bytes: int
    sha256: str
    load_ms: float
    latency_ms: float
    """One window at a time, interleaved with the other variants."""
    loss_name: str
    loss: float
    """RMSE in the target's own unit, log loss of labels, or the joint loss of several heads."""
    accuracy: float | None
    """Share of labels that are right; None of numbers and of several heads."""
    r2: float | None
    """Share of the variance explained, of records' numbers; None of labels and forecasts."""
    mse: float | None
    """The loss squared, of numbers; None of labels."""
    max_abs_diff_share: float
    """Largest |mean - fp32's mean|, of numbers as a share of fp32's largest |mean|, of labels in probability."""
    flips_share: float | None
    """Share of windows that get another label than from fp32, in any head; None of numbers."""
    mean_weight_error: float | None
    """As in `Variants`; 0 for fp32, None where the quantizer is not ours."""


def measure_variants(
    variants: Variants, windows: WindowSet, case: Case, *, threads: int = 1, rounds: int = 200
) -> tuple[VariantRow, ...]:
    """Size, speed and error of every variant on the same windows, in the order of `variants.contents`."""
    graphs = {name: Graph.load(content, threads=threads) for name, content in variants.contents.items()}
    loads = _measure_loads(variants.contents, threads)
    latencies = _measure_latencies(graphs, windows, rounds)
    answers = {name: graph.answer(windows.x_BTF) for name, graph in graphs.items()}
    full_BH, heads = answers["fp32"].mean_BH, case.task.heads
    weight_errors = {"fp32": 0.0, "uint8": variants.mean_weight_error}
    return tuple(
        VariantRow(
            variant=name,
            n_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            load_ms=loads[name],
            latency_ms=latencies[name],
            **_score(answers[name], windows, case),
            max_abs_diff_share=max(_measure_difference(answers[name].mean_BH, full_BH, head) for head in heads),
            flips_share=_count_flips(answers[name].mean_BH, full_BH, heads),
            mean_weight_error=weight_errors.get(name),
        )
        for name, content in variants.contents.items()
    )


def _score(answer: Answer, windows: WindowSet, case: Case) -> dict[str, Any]:
    scores = score_answer(answer, windows, case)
    return {
        "loss_name": scores.loss_name,
        "loss": scores.loss,
        "accuracy": scores.numbers.get("accuracy"),
        "r2": scores.numbers.get("r2"),
        "mse": scores.loss**2 if scores.loss_name == "RMSE" else None,
    }


def tabulate_variants(rows: Sequence[VariantRow]) -> list[dict[str, Any]]:
    """The comparison as a table, fp32 first: every number of its rows, and what each loses and saves against fp32.

    `parameters` is the type that large weights are stored in. Columns that mean nothing for this target are left out.
    """
    full = rows[0]
    table = []
    for row in rows:
        line: dict[str, Any] = {"variant": row.variant}
        line["parameters"] = "float32" if row.variant == "fp32" else row.variant
        line |= {"n_bytes": row.n_bytes, "size_share": row.n_bytes / full.n_bytes}
        line |= {name: getattr(row, name) for name in ("load_ms", "latency_ms", "loss_name", "loss")}
        for score in ("accuracy", "r2"):
            line |= {score: getattr(row, score), f"{score}_lost": _subtract(getattr(full, score), getattr(row, score))}
        line |= {name: getattr(row, name) for name in ("mse", "flips_share", "max_abs_diff_share", "mean_weight_error")}
        table.append(line | {"sha256": row.sha256})
    told = [name for name in table[0] if any(line[name] is not None for line in table)]
    return [{name: line[name] for name in told} for line in table]


def _subtract(full: float | None, value: float | None) -> float | None:
    return None if full is None or value is None else full - value


def _measure_difference(mean_BH: Floats, full_BH: Floats, head: Head) -> float:
    full_BC = full_BH[:, head.columns].astype(np.float64)
    largest = float(np.max(np.abs(mean_BH[:, head.columns] - full_BC)))
    return largest if head.labels else largest / (float(np.max(np.abs(full_BC))) or 1.0)


def _count_flips(mean_BH: Floats, full_BH: Floats, heads: Sequence[Head]) -> float | None:
    """Share of windows in which any label changes; None without labels."""
    labelled = [head.columns for head in heads if head.labels]
    flips_KB = [mean_BH[:, part].argmax(axis=1) != full_BH[:, part].argmax(axis=1) for part in labelled]
    return float(np.mean(np.any(flips_KB, axis=0))) if flips_KB else None


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
