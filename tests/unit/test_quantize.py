"""The affine quantizer's invariants, and what the variants of a graph keep."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from okawari.case import Case
from okawari.dataset.windows import cut_windows
from okawari.evaluation.variants import measure_variants
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.graph.quantizer import build_variants, dequantize, quantize_affine
from okawari.graph.weights import list_weights
from okawari.models.cores import AffineCore, ConstantCore, TorchCore
from okawari.models.windows import WindowSet

finite = st.floats(-(2.0**100), 2.0**100, width=32)
weights = arrays(np.float32, array_shapes(min_dims=2, max_dims=3, max_side=8), elements=finite)


def _per_channel(numbers: np.ndarray, values: np.ndarray, axis: int) -> np.ndarray:
    """One number a channel, shaped to stand against the values."""
    return np.expand_dims(numbers.astype(np.float64), [each for each in range(values.ndim) if each != axis])


@settings(max_examples=300, deadline=None)
@given(values=weights, axis=st.integers(0, 1))
def test_no_weight_moves_by_more_than_half_a_step(values: np.ndarray, axis: int) -> None:
    tensor = quantize_affine(values, axis)
    moved = np.abs(values.astype(np.float64) - dequantize(tensor))
    assert (moved <= 0.5001 * _per_channel(tensor.scale, values, axis)).all()


@settings(max_examples=200, deadline=None)
@given(values=weights, axis=st.integers(0, 1))
def test_zero_stays_exactly_zero(values: np.ndarray, axis: int) -> None:
    values = values.copy()
    values.flat[0] = 0.0
    assert dequantize(quantize_affine(values, axis)).flat[0] == 0.0


@settings(max_examples=200, deadline=None)
@given(values=weights, axis=st.integers(0, 1))
def test_quantizing_a_second_time_moves_nothing_more_than_rounding(values: np.ndarray, axis: int) -> None:
    once = dequantize(quantize_affine(values, axis))
    again = quantize_affine(once, axis)
    moved = np.abs(dequantize(again).astype(np.float64) - once)
    assert (moved <= 0.5001 * _per_channel(again.scale, values, axis)).all()


@given(value=finite, n=st.integers(1, 6))
def test_a_constant_channel_is_kept(value: float, n: int) -> None:
    values = np.full((2, n), value, dtype=np.float32)
    np.testing.assert_allclose(dequantize(quantize_affine(values, 0)), values, rtol=1e-6, atol=1e-37)


def test_the_numbers_are_those_of_the_formula_on_paper() -> None:
    tensor = quantize_affine(np.array([[-1.0, 0.0, 1.55], [0.0, 2.55, 1.275]]), 0)
    np.testing.assert_allclose(tensor.scale, [0.01, 0.01], rtol=1e-6)
    np.testing.assert_array_equal(tensor.zero_point, [100, 0])
    np.testing.assert_array_equal(tensor.values[0], [0, 100, 255])
    assert tensor.values.dtype == tensor.zero_point.dtype == np.uint8 and tensor.scale.dtype == np.float32


def test_each_channel_has_its_own_step() -> None:
    values = np.array([[1.0, 100.0], [-1.0, -100.0]])
    assert quantize_affine(values, 1).scale[1] == pytest.approx(100 * quantize_affine(values, 1).scale[0])


def _small_network() -> tuple[torch.nn.Sequential, torch.nn.Linear]:
    """A network with one large and one small weight, and its layer with the large one."""
    torch.manual_seed(0)
    large, small = torch.nn.Linear(33, 64), torch.nn.Linear(64, 3)
    return torch.nn.Sequential(torch.nn.Flatten(), large, torch.nn.Tanh(), small, torch.nn.Tanh()), large


@pytest.fixture(scope="module")
def network_graph(small_case: Case) -> bytes:
    return build_graph(TorchCore(_small_network()[0]), small_case, None)


@pytest.fixture
def windows(small_case: Case, readings: pd.DataFrame) -> WindowSet:
    return cut_windows(readings, small_case)[-40:]


def test_a_graph_with_large_weights_has_three_variants_and_the_small_weight_stays_float(network_graph: bytes) -> None:
    variants = build_variants(network_graph)
    assert list(variants.contents) == ["fp32", "uint8", "int8"] and variants.reason is None
    assert variants.contents["fp32"] == network_graph
    assert sorted(each.values.size for each in list_weights(network_graph).values()) == [192, 2112]
    assert [each.values.size for each in list_weights(variants.contents["uint8"]).values()] == [192]
    assert variants.mean_weight_error is not None and 0 < variants.mean_weight_error < 0.01


def test_variants_keep_labels_and_name_themselves(network_graph: bytes) -> None:
    fp32 = dict(Graph.load(network_graph).labels)
    for name, content in build_variants(network_graph).contents.items():
        assert Graph.load(content).labels == fp32 | {"variant": name}


def test_uint8_answers_as_a_float_graph_with_the_restored_weights_would(
    network_graph: bytes, small_case: Case, windows: WindowSet
) -> None:
    module, large = _small_network()
    with torch.no_grad():
        large.weight.copy_(torch.from_numpy(dequantize(quantize_affine(large.weight.numpy(), 0))))
    restored = Graph.load(build_graph(TorchCore(module), small_case, None)).answer(windows.x_BTF).mean_BH
    stored = Graph.load(build_variants(network_graph).contents["uint8"]).answer(windows.x_BTF).mean_BH
    np.testing.assert_allclose(stored, restored, rtol=1e-6)


@pytest.mark.parametrize(
    ("core", "told"),
    [
        (ConstantCore(np.zeros(3)), "it has no weights"),
        (
            AffineCore(np.ones((3, 12)), np.zeros(3)),
            "its largest weight has 36 numbers; below 1024 numbers, 8 bits save at most 3 kB",
        ),
    ],
)
def test_a_graph_without_large_weights_has_only_fp32_and_says_why(
    core: ConstantCore | AffineCore, told: str, small_case: Case
) -> None:
    variants = build_variants(build_graph(core, small_case, None))
    assert list(variants.contents) == ["fp32"]
    assert variants.reason is not None and told in variants.reason


def test_small_weights_are_quantized_where_that_is_asked_for(network_graph: bytes) -> None:
    variants = build_variants(network_graph, min_elements=1)
    assert variants.reason is None
    assert list_weights(variants.contents["uint8"]) == {}


def test_the_comparison_measures_every_variant_on_the_same_windows(
    network_graph: bytes, windows: WindowSet, small_case: Case
) -> None:
    variants = build_variants(network_graph)
    rows = {row.variant: row for row in measure_variants(variants, windows, small_case, rounds=3)}
    assert list(rows) == ["fp32", "uint8", "int8"]
    truth_B = windows.level_B * np.exp(windows.r_BH[:, 0])
    for name, row in rows.items():
        answer = Graph.load(variants.contents[name]).answer(windows.x_BTF).mean_BH
        assert row.n_bytes == len(variants.contents[name]) and row.load_ms > 0 and row.latency_ms > 0
        assert row.sha256 == hashlib.sha256(variants.contents[name]).hexdigest()
        assert row.loss == pytest.approx(float(np.sqrt(((truth_B - answer[:, 0]) ** 2).mean())), rel=1e-5)
    assert rows["fp32"].max_abs_diff_share == 0 < rows["uint8"].max_abs_diff_share < rows["int8"].max_abs_diff_share
    assert rows["uint8"].n_bytes < rows["fp32"].n_bytes
    assert (rows["fp32"].mean_weight_error, rows["int8"].mean_weight_error) == (0.0, None)
    assert rows["uint8"].mse == pytest.approx(rows["uint8"].loss ** 2)
    assert (rows["uint8"].accuracy, rows["uint8"].r2, rows["uint8"].flips_share) == (None, None, None)
