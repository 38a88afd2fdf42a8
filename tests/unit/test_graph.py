"""The graph: arithmetic against numpy, labels, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from okawari.case import Case, LogRatio
from okawari.dataset.arrays import to_array
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.feature_graph import build_feature_graph, compute_features
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, ConstantCore, Interval, TorchCore


@pytest.fixture
def x_BTF(small_case: Case, readings: pd.DataFrame) -> np.ndarray:
    return cut_windows(readings, small_case).x_BTF[:9]


def test_features_are_logs_of_ratios(small_case: Case, readings: pd.DataFrame) -> None:
    x_NF = to_array(readings, small_case)
    z_NK = compute_features(small_case, x_NF[None])[0]
    close, high, low, volume = x_NF[:, 3], x_NF[:, 1], x_NF[:, 2], x_NF[:, 4]
    assert z_NK.shape == (len(x_NF) - 1, 3)
    np.testing.assert_allclose(z_NK[:, 0], np.diff(np.log(close)), atol=5e-7)
    np.testing.assert_allclose(z_NK[:, 1], np.log(high / low)[1:], atol=5e-7)
    np.testing.assert_allclose(z_NK[:, 2], np.diff(np.log(volume)), atol=5e-7)


def test_a_lagged_feature_over_two_columns_looks_one_reading_back(small_case: Case, readings: pd.DataFrame) -> None:
    gap = LogRatio(name="gap", numerator="open", denominator="close", lag=1)
    x_NF = to_array(readings, small_case)
    z_NK = compute_features(replace(small_case, features=(gap,)), x_NF[None])[0]
    np.testing.assert_allclose(z_NK[:, 0], np.log(x_NF[1:, 0] / x_NF[:-1, 3]), atol=5e-7)


def test_features_stay_finite_where_readings_are_absurd(small_case: Case) -> None:
    absurd = np.array([[[0, 0, 0, 0, 0], [1e150, 1e25, -5, 1e-200, 1e25]]])
    assert np.isfinite(compute_features(small_case, absurd)).all()


def test_constant_core_scales_the_last_level(small_case: Case, x_BTF: np.ndarray) -> None:
    r_H, half_H = np.array([0.0, 0.01, -0.02]), np.array([0.1, 0.2, 0.3])
    answer = Graph.load(build_graph(ConstantCore(r_H), small_case, Interval(0.8, half_H))).answer(x_BTF)
    level_B1 = x_BTF[:, -1, 3:4].astype(np.float64)
    np.testing.assert_allclose(answer.mean_BH, level_B1 * np.exp(r_H), rtol=1e-6)
    assert answer.lower_BH is not None and answer.upper_BH is not None
    np.testing.assert_allclose(answer.lower_BH, level_B1 * np.exp(r_H - half_H), rtol=1e-6)
    np.testing.assert_allclose(answer.upper_BH, level_B1 * np.exp(r_H + half_H), rtol=1e-6)
    assert answer.coverage_share == 0.8


def test_affine_core_reads_centred_log_levels(small_case: Case, x_BTF: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    core = AffineCore(rng.normal(size=(3, 12)), rng.normal(size=3))
    answer = Graph.load(build_graph(core, small_case, None)).answer(x_BTF)
    log_BT = np.log(x_BTF[:, :, 3].astype(np.float64))
    r_BH = (log_BT - log_BT[:, -1:]) @ core.weight_HN.T + core.bias_H
    np.testing.assert_allclose(answer.mean_BH, x_BTF[:, -1, 3:4] * np.exp(r_BH), rtol=1e-5)


def test_without_an_interval_the_bounds_are_none(small_case: Case, x_BTF: np.ndarray) -> None:
    answer = Graph.load(build_graph(ConstantCore(np.zeros(3)), small_case, None)).answer(x_BTF)
    assert answer.lower_BH is None and answer.upper_BH is None and answer.coverage_share is None


def test_a_graph_knows_its_case_and_its_digest(small_case: Case) -> None:
    content = build_graph(ConstantCore(np.zeros(3)), small_case, None)
    graph = Graph.load(content)
    assert graph.history == 12 and graph.n_columns == 5 and len(graph.sha256) == 64
    expected = {"case": "aapl", "history": "12", "width": "3", "unit": "USD", "target": "close", "variant": "fp32"}
    assert expected.items() <= graph.labels.items()
    assert graph.labels["inputs"] == "open,high,low,close,volume" and graph.labels["outputs"] == "mean"


def test_the_feature_graph_takes_any_number_of_readings(small_case: Case) -> None:
    graph = Graph.load(build_feature_graph(small_case))
    assert graph.history is None
    for length in (2, 7):
        assert graph.run(np.ones((3, length, 5)))["z"].shape == (3, length - 1, 3)


@pytest.mark.parametrize("shape", [(12, 5), (1, 11, 5), (1, 12, 4), (1, 1, 12, 5)])
def test_another_shape_is_refused_with_the_shape_it_takes(shape: tuple[int, ...], small_case: Case) -> None:
    graph = Graph.load(build_graph(ConstantCore(np.zeros(3)), small_case, None))
    with pytest.raises(InvalidInput, match=r"this graph takes \[B, 12, 5\]"):
        graph.answer(np.ones(shape))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04K\x01."])
def test_bytes_that_are_no_model_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="ONNX model"):
        Graph.load(content)


def test_a_graph_that_would_open_another_file_is_refused(small_case: Case, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(build_graph(AffineCore(np.ones((3, 12)), np.ones(3)), small_case, None))
    onnx.save_model(model, tmp_path / "g.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(InvalidInput, match="a graph is one file"):
        Graph.load((tmp_path / "g.onnx").read_bytes())


def test_an_unknown_device_is_refused(small_case: Case) -> None:
    with pytest.raises(InvalidInput, match="'tpu'"):
        Graph.load(build_feature_graph(small_case), device="tpu")


def test_a_core_of_another_case_is_refused(small_case: Case) -> None:
    import torch

    wrong_head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(33, 4))
    for core in (
        ConstantCore(np.zeros(5)),
        AffineCore(np.zeros((3, 60)), np.zeros(3)),
        TorchCore(wrong_head),
    ):
        with pytest.raises(InvalidInput, match="Fit it for this case"):
            build_graph(core, small_case, None)
    with pytest.raises(InvalidInput, match="half_width_H"):
        build_graph(ConstantCore(np.zeros(3)), small_case, Interval(0.9, np.zeros(4)))


def test_exporting_leaves_the_module_in_its_mode_and_says_nothing(
    small_case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(33, 3)).train()
    build_graph(TorchCore(module), small_case, None)
    assert module.training
    assert capfd.readouterr() == ("", "")
