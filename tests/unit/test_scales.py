"""Scales of intervals: the graph computes what `okawari.models.scales` measures, and only a gain chooses a scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from okawari.case import Anticipate, Case, Column, Forecast, Growth
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.conformal import calibrate_interval
from okawari.evaluation.feature_scale import fit_feature_scale
from okawari.evaluation.scales import choose_scale, fit_interval
from okawari.graph.answer_graph import compute_answer
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.graph.quantizer import build_variants
from okawari.models.cores import AffineCore, ConstantCore, Core, FirstKnownCore, Interval, TorchCore
from okawari.models.scales import ConstantScale, FeatureScale, LevelScale, MoveScale, Scale
from okawari.models.windows import WindowSet
from okawari.schema.transforms import Difference, LogReturn
from tests.unit.test_imputation import FLAGGED, RECORDS, SERIES
from tests.unit.test_moves import WARMTH

GROWING = replace(
    SERIES,
    columns=tuple(replace(column, above=0) for column in SERIES.columns),
    task=Forecast(target="visits", history=14, horizon=2),
)
COUNTS = replace(SERIES, columns=(Column(name="visits", minimum=0), Column(name="rain")))
EACH = replace(
    GROWING,
    task=Anticipate(column="visits", history=14, targets=(Growth(name="growth", lag=1, factor=100.0),)),
)
MOVES, LOGS = MoveScale(9.0, Difference()), MoveScale(0.05, LogReturn())
LEVELS = LevelScale(0.5, 100.0, 50.0, 115.0)


def _cut(case: Case) -> WindowSet:
    return cut_windows(lay_out_steps(case.layout.stamp_records(case.source.read(), case.time), case), case)


def _network(case: Case) -> TorchCore:
    torch.manual_seed(3)
    return TorchCore(torch.nn.Linear(case.history, case.task.width), "levels")


def _affine(case: Case) -> AffineCore:
    random = np.random.default_rng(4)
    return AffineCore(random.normal(size=(case.task.width, case.history)), random.normal(size=case.task.width))


def _first_known(case: Case) -> FirstKnownCore:
    return FirstKnownCore(np.array([[case.history - 7] * case.task.width, [case.history - 1] * case.task.width]))


CORES = {
    "constant": lambda case: ConstantCore(np.full(case.task.width, 0.3)),
    "affine": _affine,
    "first_known": _first_known,
    "network": _network,
}


def _require_same(core: Core, case: Case, scale: Scale, windows: WindowSet) -> np.ndarray:
    """Half widths by the graph in the unit of r; asserts that they are those that the scale measures."""
    widths = np.linspace(1.0, 2.0, case.task.width) * 0.01
    graph = Graph.load(build_graph(core, case, Interval(0.9, widths, scale), windows.imputation))
    answer = graph.answer(windows.x_BTF)
    assert answer.lower_BH is not None and answer.upper_BH is not None
    transform, level_B1 = case.task.transform, windows.level_B[:, None]
    r_BH, up_BH = transform.forward(level_B1, answer.mean_BH), transform.forward(level_B1, answer.upper_BH)
    half_BH = up_BH - r_BH
    np.testing.assert_allclose(half_BH, widths * scale.measure(windows, r_BH), rtol=1e-4)
    np.testing.assert_allclose(r_BH - transform.forward(level_B1, answer.lower_BH), half_BH, rtol=1e-4)
    assert (half_BH > 0).all()
    return half_BH


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("case", "scale"),
    [
        (SERIES, ConstantScale()), (SERIES, MOVES), (FLAGGED, MOVES), (COUNTS, LEVELS), (GROWING, LOGS),
    ],
    ids=["constant", "moves", "moves, flagged", "levels", "growth"],
)  # fmt: skip
def test_the_graph_scales_as_measured_in_every_core(core: str, case: Case, scale: Scale) -> None:
    windows = _cut(case)
    assert np.isnan(windows.x_BTF).any()
    half_BH = _require_same(CORES[core](case), case, scale, windows)
    assert (np.ptp(half_BH, axis=0) > 1e-3 * half_BH.mean()).all() == (scale != ConstantScale())


def test_several_targets_scale_by_the_growth_of_their_column() -> None:
    windows = _cut(EACH)
    half_BH = _require_same(ConstantCore(np.zeros(1)), EACH, LOGS, windows)
    assert np.ptp(half_BH) > 0


@pytest.mark.parametrize("core", ["constant", "affine"])
def test_records_scale_by_their_features_and_levels(core: str) -> None:
    windows, n = _cut(RECORDS), RECORDS.n_features
    weight_K = np.random.default_rng(2).normal(size=n)
    cores = {"constant": ConstantCore(np.array([40.0])), "affine": AffineCore(np.ones((1, n)), np.zeros(1), "z")}
    lengthwise = FeatureScale(weight_K, -float(windows.z_BSK[:, 0].mean(axis=0) @ weight_K), -2.0, 1.5)
    assert np.ptp(_require_same(cores[core], RECORDS, lengthwise, windows)) > 0
    _require_same(cores[core], RECORDS, LevelScale(1.0, 40.0, 30.0, 60.0), windows)


@pytest.mark.parametrize("x", [np.nan, 0.0, 7.0, 1e9, -1e9])
def test_constant_and_missing_levels_have_finite_positive_widths(x: float) -> None:
    graph = Graph.load(
        build_graph(ConstantCore(np.zeros(2)), FLAGGED, Interval(0.9, np.ones(2), MOVES), _cut(FLAGGED).imputation)
    )
    window = np.full((1, FLAGGED.history, 2), x)
    window[0, -1] = 5.0
    answer = graph.answer(window)
    assert answer.lower_BH is not None and answer.upper_BH is not None
    half_BH = (answer.upper_BH - answer.lower_BH) / 2
    assert np.isfinite(half_BH).all() and (half_BH > 0.4).all() and (half_BH < 5).all()


def test_a_move_over_a_gap_counts_as_a_typical_one() -> None:
    windows = _cut(SERIES)
    calm = np.full((1, SERIES.history, 2), 50.0)
    gone = calm.copy()
    gone[0, :6, 0] = np.nan
    calm, gone = (replace(windows[:1], x_BTF=each, level_B=np.array([50.0])) for each in (calm, gone))
    weight_S = MOVES.weigh(SERIES.history - 1)
    scale = float(MOVES.measure(gone, np.zeros((1, 2)))[0, 0])
    assert scale == pytest.approx(np.sqrt(0.75 * weight_S[:6].sum() + 0.25))
    assert float(MOVES.measure(calm, np.zeros((1, 2)))[0, 0]) == pytest.approx(0.5)


def test_widths_given_to_a_graph_replace_its_own_and_survive_quantization(
    small_case: Case, readings: pd.DataFrame
) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(12, 200), torch.nn.ReLU(), torch.nn.Linear(200, 3))
    own = np.array([0.01, 0.02, 0.03])
    content = build_graph(TorchCore(network, "levels"), small_case, Interval(0.9, own, MoveScale(0.03, LogReturn())))
    x_BTF = cut_windows(readings, small_case).x_BTF[:8]
    for variant, graph in build_variants(content).contents.items():
        loaded = Graph.load(graph)
        assert loaded.width_H is not None, variant
        np.testing.assert_array_equal(loaded.width_H, own)
        usual, named, wide = loaded.answer(x_BTF), loaded.answer(x_BTF, own), loaded.answer(x_BTF, 2 * own)
        np.testing.assert_array_equal(usual.upper_BH, named.upper_BH)
        np.testing.assert_array_equal(usual.mean_BH, wide.mean_BH)
        halves = [np.log(each.upper_BH / each.mean_BH) for each in (usual, wide)]
        np.testing.assert_allclose(halves[1], 2 * halves[0], rtol=1e-6)
        assert loaded.history == 12 and loaded.n_columns == 5


def test_widths_of_another_number_and_widths_for_a_graph_without_an_interval_are_refused() -> None:
    x_BTF = np.ones((1, 14, 1))
    graph = Graph.load(build_graph(ConstantCore(np.zeros(3)), WARMTH, Interval(0.9, np.ones(3))))
    with pytest.raises(InvalidInput, match=r"width_H has shape \(2,\); this graph takes 3 widths"):
        graph.answer(x_BTF, np.ones(2))
    without = Graph.load(build_graph(ConstantCore(np.zeros(3)), WARMTH, None))
    assert without.width_H is None
    with pytest.raises(InvalidInput, match="this graph takes none widths"):
        without.answer(x_BTF, np.ones(3))


def test_scaled_half_widths_are_the_finite_sample_quantile_of_the_scaled_errors() -> None:
    errors = np.arange(1.0, 100.0)[:, None]
    interval = calibrate_interval(errors * 3, np.zeros_like(errors), 0.9, None, np.full((99, 1), 3.0))
    np.testing.assert_array_equal(interval.half_width_H, [90])


def _walk(moves: np.ndarray, minimum: float | None = None) -> tuple[Case, WindowSet]:
    """A series with these moves, and its windows."""
    columns = (Column(name="warmth", unit="°C", minimum=minimum),)
    frame = pd.DataFrame({"date": pd.date_range("2000-01-01", periods=len(moves)), "warmth": moves})
    case = replace(WARMTH, columns=columns)
    return case, cut_windows(frame, case)


def _draw_garch(n: int, seed: int) -> np.ndarray:
    random, variance, moves = np.random.default_rng(seed), 1.0, np.empty(n)
    for place in range(n):
        moves[place] = np.sqrt(variance) * random.normal()
        variance = 0.03 + 0.17 * moves[place] ** 2 + 0.8 * variance
    return moves


@pytest.mark.parametrize("seed", range(3))
def test_recent_moves_are_chosen_where_volatility_changes(seed: int) -> None:
    case, windows = _walk(np.cumsum(_draw_garch(900, seed)))
    found = choose_scale(windows, np.zeros_like(windows.r_BH), case, 0.9)
    assert found.scale.name == "recent moves"
    assert found.scale_BH.shape == (len(windows), 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_constant_scale_stays_where_nothing_changes(seed: int) -> None:
    random = np.random.default_rng(seed)
    case, windows = _walk(5 + np.cumsum(random.normal(size=400)))
    assert choose_scale(windows, np.zeros_like(windows.r_BH), case, 0.9).scale == ConstantScale()


def test_the_constant_scale_stays_for_few_residuals_and_for_a_series_that_never_moves() -> None:
    case, windows = _walk(np.cumsum(_draw_garch(900, 0)))
    assert choose_scale(windows[:39], np.zeros((39, 3)), case, 0.9).scale == ConstantScale()
    case, windows = _walk(np.full(100, 7.0))
    interval = fit_interval(windows, np.zeros_like(windows.r_BH), case)
    assert interval is not None and interval.scale == ConstantScale()


def test_counts_scale_by_the_root_of_their_level() -> None:
    random, days = np.random.default_rng(5), np.arange(600)
    expected = 4 * np.exp(1.2 * np.sin(2 * np.pi * days / 120))
    case, windows = _walk(random.poisson(expected).astype(float), minimum=0)
    places = np.asarray(windows.place_B if windows.place_B is not None else days[13 : 13 + len(windows)])
    ahead_BH = np.stack([expected[places + step] for step in (1, 2, 3)], axis=1)
    found = choose_scale(windows, ahead_BH - windows.level_B[:, None], case, 0.9)
    assert isinstance(found.scale, LevelScale) and found.scale.power == 0.5


def test_errors_that_grow_with_a_feature_are_found_and_others_are_not() -> None:
    random = np.random.default_rng(6)
    z_BK = random.normal(size=(400, 3))
    noise = np.abs(random.normal(size=(400, 1)))
    found = fit_feature_scale(z_BK, noise * np.exp(0.8 * z_BK[:, :1]))
    assert isinstance(found, FeatureScale)
    np.testing.assert_allclose(found.weight_K, [0.8, 0, 0], atol=0.15)
    flat = fit_feature_scale(z_BK, noise)
    assert isinstance(flat, ConstantScale) or np.abs(flat.weight_K).max() < 0.1
    assert fit_feature_scale(np.ones((400, 2)), noise) == ConstantScale()


def test_the_scale_of_a_residual_comes_from_a_fit_without_it() -> None:
    """Records whose errors are noise of a changing size: each block's scale differs from that of the fit on all."""
    windows = _cut(RECORDS)
    random = np.random.default_rng(7)
    age_B = windows.z_BSK[:, 0, 0].astype(float)
    error_B = np.exp(0.1 * (age_B - 40)) * random.normal(size=len(windows))
    found = choose_scale(windows, windows.r_BH - error_B[:, None], RECORDS, 0.9)
    assert isinstance(found.scale, FeatureScale)
    measured_BH = found.scale.measure(windows, windows.r_BH)
    assert not np.allclose(found.scale_BH, measured_BH, rtol=1e-6)
    assert np.corrcoef(found.scale_BH[:, 0], measured_BH[:, 0])[0, 1] > 0.99


def test_the_only_input_that_a_graph_needs_is_the_question() -> None:
    x_BTF = _cut(SERIES).x_BTF
    for scale in (ConstantScale(), MOVES):
        content = build_graph(
            ConstantCore(np.zeros(2)), SERIES, Interval(0.9, np.ones(2), scale), _cut(SERIES).imputation
        )
        graph = Graph.load(content)
        assert [each.name for each in graph.session.get_inputs()] == ["x"]
        assert np.isfinite(graph.answer(x_BTF).mean_BH).all()


@pytest.mark.parametrize(
    ("case", "scale"),
    [
        (FLAGGED, MOVES), (COUNTS, LEVELS), (GROWING, LOGS), (EACH, LOGS),
        (RECORDS, FeatureScale(np.full(RECORDS.n_features, 0.02), -0.8, -1.0, 1.0)),
    ],
    ids=["moves", "levels", "growth", "several targets", "features"],
)  # fmt: skip
def test_bounds_of_predictions_are_those_of_the_full_graph(case: Case, scale: Scale) -> None:
    windows, r_H = _cut(case), np.full(case.task.width, 0.125)
    interval = Interval(0.9, np.full(case.task.width, 0.5), scale)
    full = Graph.load(build_graph(ConstantCore(r_H), case, interval, windows.imputation)).answer(windows.x_BTF)
    short = compute_answer(np.tile(r_H, (len(windows), 1)).astype(np.float32), windows, case, interval)
    for one, other in ((short.mean_BH, full.mean_BH), (short.lower_BH, full.lower_BH), (short.upper_BH, full.upper_BH)):
        np.testing.assert_allclose(one, other, rtol=1e-5)  # type: ignore[arg-type]
