"""What every candidate signs by being in a list: it fits, predicts, repeats itself, and its graph equals it.

There are two lists: of a price, whose growth is learnt, and of a count that is often 0, whose differences are.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Change, Column, Forecast, Gate, LogRatio
from okawari.dataset.splits import Split
from okawari.dataset.windows import cut_windows, last_window
from okawari.errors import InvalidInput
from okawari.graph.inference import Graph, parse_model
from okawari.models.auto_arima import AutoArima
from okawari.models.boosting import Boosting
from okawari.models.croston import Croston
from okawari.models.dense import Mlp
from okawari.models.drift_walk import DriftWalk
from okawari.models.ets import Ets
from okawari.models.fit_context import TrainingData, Workbench, no_progress
from okawari.models.forest import RandomForest
from okawari.models.keras_lstm import KerasLstm
from okawari.models.light_gbm import LightGbm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.mean_level import MeanLevel
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.search.search import Search
from okawari.models.search.space import Range
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.theta import Theta
from okawari.models.windows import WindowSet
from okawari.training.recipe_checks import CHECKS, Check, find_plain_problems
from okawari.training.recipe_trial import Trial, fit_trial, split_source
from tests.combined import FixedCombination, holds_trees
from tests.tables import draw_counts

AN_LSTM = Lstm(hidden=16, layers=2, epochs=2)
CANDIDATES: tuple[Recipe, ...] = (
    RandomWalk(),
    DriftWalk(),
    MeanLevel(),
    MeanLevel(window=7),
    SeasonalNaive(season=5),
    SeasonalNaive(season=2),
    Sarima(),
    Sarima(order=(0, 1, 1), seasonal_order=(0, 0, 0, 0)),
    Ets(),
    Ets(season=5),
    Ets(season=60),
    Croston(),
    Theta(),
    Theta(season=5),
    AutoArima(),
    AutoArima(season=5),
    AN_LSTM,
    Lstm(hidden=40, layers=1, fc=8, epochs=1, dropout=0.0),
    RandomForest(n_trees=20, lags=8),
    Boosting(rounds=20, lags=8),
    Boosting(rounds=3, lags=11, depth=1),
    LightGbm(rounds=40, lags=8, leaves=7, row_share=0.7, feature_share=0.5),
    KerasLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    KerasLstm(lstm=Lstm(hidden=12, layers=1, fc=8, epochs=1, batch_size=128)),
    PriceLevelLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    Search(recipe=Mlp(hidden=(8,), epochs=2), space=(Range("learning_rate", 1e-4, 1e-2, log=True),), trials=2),
    FixedCombination((SeasonalNaive(season=5), Sarima(), RandomForest(n_trees=5, lags=8), RandomWalk())),
)
COUNTERS: tuple[Recipe, ...] = (
    RandomWalk(),
    DriftWalk(),
    MeanLevel(),
    SeasonalNaive(season=7),
    SeasonalNaive(season=2),
    Sarima(seasonal_order=(1, 0, 0, 7)),
    Ets(season=7),
    Ets(season=30),
    Croston(),
    Theta(season=7),
    AutoArima(season=7),
    Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 7)),
    Linear(),
    Linear(penalty=1.0),
    Linear(penalty="cv"),
    Lstm(hidden=16, layers=2, epochs=2),
    RandomForest(n_trees=20, lags=8),
    Boosting(rounds=20, lags=15),
    LightGbm(rounds=40, lags=15, leaves=7),
    KerasLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    Search(recipe=Mlp(hidden=(8,), epochs=2), space=(Range("learning_rate", 1e-4, 1e-2, log=True),), trials=2),
    FixedCombination((SeasonalNaive(season=7), Linear(penalty=1.0), Boosting(rounds=5, lags=8))),
)
TOLERANCE = 5e-7
"""Largest difference between library and graph, as a share of the largest number: float32 arithmetic in another order.

For trees too: their thresholds are compared in float32 on both sides, so only the sum of the leaves may round apart.
Prices of the holdout lie within a factor of two, so that each one is right to a millionth.
"""
LEARNERS = (
    "torch",
    "statsmodels",
    "statsforecast",
    "onnxscript",
    "optuna",
    "sklearn",
    "xgboost",
    "lightgbm",
    "keras",
    "skl2onnx",
    "onnxmltools",
)
"""What recipes and converters need, and neither a case nor a finished graph."""


class Counts:
    """A source of days that were drawn."""

    def read(self, until: date | None = None) -> pd.DataFrame:
        drawn = draw_counts(300).rename(columns={"Price": "price"})
        return drawn.assign(day=pd.to_datetime(drawn["day"])).astype(dict.fromkeys(("units", "price"), "float64"))


COUNTED = Case(
    name="counted", title="Units a day", source=Counts(), time="day",
    columns=(Column(name="price", above=0), Column(name="units", minimum=0)),
    features=(Change(name="units_change", column="units"),
              LogRatio(name="price_growth", numerator="price", denominator="price", lag=1)),
    task=Forecast(target="units", history=16, horizon=3, learns="difference"),
    candidates=COUNTERS, gate=Gate(holdout=40, calibration=60),
)  # fmt: skip


def _split(case: Case) -> Split:
    return split_source(case, until=date(2001, 12, 31))


def _sign(case: Case | None, name: str, recipe: Recipe) -> Any:
    """A candidate for a case; of those that take seconds to fit or export, `make test-fast` checks one LSTM."""
    is_further_lstm = isinstance(recipe, Lstm) and (recipe, case) != (AN_LSTM, None)
    is_slow = is_further_lstm or isinstance(recipe, (KerasLstm, PriceLevelLstm, Search))
    slow = [pytest.mark.slow] if is_slow else []
    return pytest.param((case, recipe), id=f"{name}-{recipe.name}", marks=slow)


SIGNED = [
    *(_sign(None, "aapl", recipe) for recipe in CANDIDATES),
    *(_sign(COUNTED, "counted", recipe) for recipe in COUNTERS),
]
"""The case, None for the small one that fixtures give, and the candidate."""


@pytest.fixture(scope="module", params=SIGNED)
def trial(request: pytest.FixtureRequest, small_case: Case) -> Trial:
    case, recipe = request.param
    seeded = replace(case or small_case, seed=7)
    return fit_trial(recipe, seeded, _split(seeded), TOLERANCE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Check, trial: Trial) -> None:
    assert list(check(trial)) == []


def test_a_fit_reads_nothing_but_train_and_validation(trial: Trial) -> None:
    assert trial.data.train.at_B.max() < trial.data.validation.at_B.min() < trial.split.holdout.at_B.min()
    assert set(vars(trial.data)) == {"train", "validation", "seed", "heads", "bench"}


def test_intervals_have_a_width_and_counts_are_never_below_0(trial: Trial) -> None:
    assert trial.interval is not None and trial.answer.lower_BH is not None
    assert (trial.interval.half_width_H > 0).all()
    assert trial.answer.coverage_share == 0.9
    assert trial.answer.lower_BH.min() >= 0  # a mean is not below its lower bound


def test_graph_is_one_file_of_plain_operators_without_traces_of_its_maker(trial: Trial) -> None:
    model = parse_model(trial.graph)
    # ONNX has operators for trees in its second domain alone; every ONNX Runtime has that one, and no other is let in.
    trees = {"ai.onnx.ml"} if holds_trees(trial.model.core()) else set()
    assert {node.domain for node in model.graph.node} == {"", *trees}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert not any(trace in trial.graph for trace in (b"site-packages", b"pickle", b".py"))


def test_graph_runs_where_no_learning_library_is_installed(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(trial.graph)
    np.save(tmp_path / "x.npy", trial.split.holdout.x_BTF[:2])
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({LEARNERS}))\n"
        "import numpy as np; from pathlib import Path; from okawari.graph.inference import Graph\n"
        "np.save('mean.npy', Graph.load(Path('graph.onnx').read_bytes()).answer(np.load('x.npy')).mean_BH)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    here = Graph.load(trial.graph).answer(trial.split.holdout.x_BTF[:2]).mean_BH
    np.testing.assert_array_equal(np.load(tmp_path / "mean.npy"), here)


def test_describes_itself_in_plain_json(trial: Trial) -> None:
    assert find_plain_problems(trial.recipe) == []
    assert trial.recipe.describe()["recipe"] == type(trial.recipe).__name__
    assert all(isinstance(value, float) for numbers in trial.model.history for value in numbers.values())


@pytest.mark.parametrize("column", ["open", "close", "volume"])
def test_windows_with_nan_are_refused_by_column_name(column: str, small_case: Case, readings: pd.DataFrame) -> None:
    without_calendar = replace(small_case, frequency=None, holidays="")  # a calendar has steps without values
    readings.loc[len(readings) - 3, column] = np.nan
    without_calendar = replace(small_case, frequency=None, holidays="")
    with pytest.raises(InvalidInput, match=f"Column {column} holds nan"):
        cut_windows(readings, without_calendar)
    with pytest.raises(InvalidInput, match=f"Column {column} holds nan"):
        last_window(readings, without_calendar)


def test_importing_recipes_and_graphs_needs_no_learning_library() -> None:
    modules = ", ".join(sorted({type(recipe).__module__ for recipe in (*CANDIDATES, *COUNTERS)}))
    script = f"import sys; sys.modules.update(dict.fromkeys({LEARNERS})); import {modules}, okawari.graph.quantizer\n"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_saved_lstm_weights_give_the_same_model_back(small_case: Case, tmp_path: Path) -> None:
    recipe, split = Lstm(hidden=8, epochs=1), _split(small_case)
    model = recipe.fit(TrainingData(split.train, split.validation, seed=7), no_progress)
    model.save_weights(tmp_path / "weights.pt")
    loaded = recipe.load(tmp_path / "weights.pt")
    np.testing.assert_array_equal(loaded.predict(split.holdout), model.predict(split.holdout))
    with pytest.raises(InvalidInput, match="another network"):
        Lstm(hidden=9).load(tmp_path / "weights.pt")


def test_lstm_scaling_is_the_train_parts_alone(small_case: Case) -> None:
    split = _split(small_case)
    model = Lstm(hidden=8, epochs=1).fit(TrainingData(split.train, split.validation, seed=7), no_progress)
    state = model.network.state_dict()
    np.testing.assert_allclose(state["in_shift"], split.train.z_BSK.mean(axis=(0, 1)), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(state["out_scale"], split.train.r_BH.std(axis=0, ddof=1), rtol=1e-4)


def test_training_stops_early_restores_the_best_epoch_and_reports_each(small_case: Case) -> None:
    from okawari.models import torch_training

    split, seen = _split(small_case), []
    data = TrainingData(split.train, split.validation, seed=7)
    recipe = Lstm(hidden=16, epochs=40, patience=2, learning_rate=0.02, dropout=0.0)
    model = recipe.fit(data, lambda done, planned, numbers: seen.append((done, planned, dict(numbers))))
    losses = [numbers["valid_loss"] for numbers in model.history]
    assert [done for done, _, _ in seen] == list(range(1, len(losses) + 1))
    assert len(losses) < 40 and losses.index(min(losses)) == len(losses) - 3
    rows = torch_training.to_tensors(split.validation, torch_training.choose_device("cpu"))
    assert torch_training.measure_loss(model.network, rows, 64) == pytest.approx(min(losses), rel=1e-6)


def test_training_restores_thread_count_and_generator(small_case: Case) -> None:
    import torch

    split = _split(small_case)
    from torch.utils import deterministic

    before = torch.get_num_threads(), torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    filled = deterministic.fill_uninitialized_memory
    Lstm(hidden=8, epochs=1).fit(
        TrainingData(split.train, split.validation, seed=1, bench=Workbench(threads=2)), no_progress
    )
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.are_deterministic_algorithms_enabled() == before[2]
    assert deterministic.fill_uninitialized_memory == filled


def test_a_diverging_training_says_so(small_case: Case) -> None:
    split = _split(small_case)
    broken = WindowSet(**{**vars(split.train), "r_BH": np.full_like(split.train.r_BH, np.nan)})
    with pytest.raises(InvalidInput, match="diverged in epoch 1"):
        Lstm(hidden=8, epochs=1).fit(TrainingData(broken, split.validation, seed=1), no_progress)


def test_sarima_recovers_the_series_from_its_windows(small_case: Case, readings: pd.DataFrame) -> None:
    from okawari.models.level_series import join_levels

    levels = join_levels(cut_windows(readings, small_case))
    np.testing.assert_allclose(levels, readings["close"].to_numpy(), rtol=1e-6)


def test_sarima_core_is_the_same_map_for_any_window(small_case: Case) -> None:
    split = _split(small_case)
    model = Sarima().fit(TrainingData(split.train, split.validation, seed=7), no_progress)
    core, windows = model.core(), split.holdout[:20]
    log_BT = np.log(windows.x_BTF[:, :, windows.target_index].astype(np.float64))
    mapped = (log_BT - log_BT[:, -1:]) @ core.weight_HN.T + core.bias_H
    np.testing.assert_allclose(mapped, model.predict(windows), atol=1e-9, rtol=1e-6)


def test_sarima_on_levels_does_not_depend_on_their_unit() -> None:
    split = _split(COUNTED)
    recipe = Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 7))
    weights = []
    for unit in (1.0, 1e-6):
        parts = [_count_in(part, unit) for part in (split.train, split.validation, split.holdout)]
        model = recipe.fit(TrainingData(parts[0], parts[1], seed=7), no_progress)
        core = model.core()
        np.testing.assert_allclose(
            parts[2].w_BT @ core.weight_HN.T, model.predict(parts[2]), rtol=1e-4, atol=1e-4 / unit
        )
        weights.append(core.weight_HN)
    np.testing.assert_allclose(*weights, atol=1e-3)


def _count_in(windows: WindowSet, unit: float) -> WindowSet:
    """The same levels in a smaller or larger unit."""
    assert windows.ahead_BH is not None
    parts = {"x_BTF": windows.x_BTF, "r_BH": windows.r_BH}
    counted = {name: (values / unit).astype(np.float32) for name, values in parts.items()}
    return replace(windows, level_B=windows.level_B / unit, ahead_BH=windows.ahead_BH / unit, **counted)


def test_an_lstm_on_price_levels_is_no_candidate_where_differences_are_learnt() -> None:
    split = _split(COUNTED)
    with pytest.raises(InvalidInput, match="this case learns differences; leave it out"):
        PriceLevelLstm().fit(TrainingData(split.train, split.validation, seed=7), no_progress)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Lstm(hidden=0), "Lstm.hidden is 0"),
        (lambda: Lstm(dropout=1.0), "Lstm.dropout is 1.0"),
        (lambda: Lstm(learning_rate=0.0), "Lstm.learning_rate is 0.0"),
        (lambda: Sarima(order=(1, 0, 0)), "Sarima.order is"),
        (lambda: SeasonalNaive(season=0), "SeasonalNaive.season is 0"),
        (lambda: MeanLevel(window=-1), "MeanLevel.window is -1"),
        (lambda: RandomForest(min_leaf=0), "RandomForest.min_leaf is 0"),
        (lambda: RandomForest(feature_share=1.5), "RandomForest.feature_share is 1.5"),
        (lambda: Boosting(patience=-1), "Boosting.patience is -1"),
        (lambda: Boosting(row_share=0.0), "Boosting.row_share is 0.0"),
        (lambda: KerasLstm(lstm=Lstm(epochs=0)), "Lstm.epochs is 0"),
    ],
)
def test_impossible_settings_are_refused_on_construction(build, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=told):
        build()
