"""A graph in other precisions.

    fp32    the graph as built
    uint8   weights stored in 8 bits by the affine quantizer below, arithmetic in float32: a smaller file
    int8    weights and arithmetic in 8 bits by ONNX Runtime's dynamic quantizer

Which variant serves is decided by measurement (`okawari.evaluation.variants`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.graph.weights import QuantizedTensor, Weight, has_trees, list_weights, quantize_dynamic, replace_weights

MIN_ELEMENTS = 1024
"""Elements of the smallest weight that is quantized. 8 bits save 3 bytes per element and add about 300 bytes of names,
scales and a node. So a smaller weight saves at most 3 kB, and one below about 100 elements saves nothing."""


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
    """`S * (q - Z)` in float32, as the graph computes it on loading."""
    shape = [1] * tensor.values.ndim
    shape[tensor.channel_axis] = -1
    centred = tensor.values.astype(np.int32) - tensor.zero_point.astype(np.int32).reshape(shape)
    restored: NDArray[np.float32] = centred.astype(np.float32) * tensor.scale.reshape(shape)
    return restored


@dataclass(frozen=True, kw_only=True)
class Variants:
    """Files of one model by variant; `reason` explains why there is only "fp32", else None."""

    contents: Mapping[str, bytes]
    mean_weight_error: float | None = None
    """Mean |w - dequantized w| over all weights of "uint8", as a share of their mean |w|."""
    reason: str | None = None


def build_variants(content: bytes, *, min_elements: int = MIN_ELEMENTS) -> Variants:
    """Build the graph in fp32, uint8 and int8; only fp32, with the reason, for trees and if all weights are too small.

    A weight with fewer than `min_elements` numbers is too small; 1 quantizes every weight, to measure the effect.
    """
    if has_trees(content):
        reason = "Only fp32, because the graph contains trees: no quantizer supports them, and 8-bit thresholds select "
        return Variants(contents={"fp32": content}, reason=reason + "other branches.")
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
        f"Only fp32, because its largest weight has {largest} numbers; below {min_elements} numbers, 8 bits save at "
        f"most {saved_kb:.0f} kB."
    )
