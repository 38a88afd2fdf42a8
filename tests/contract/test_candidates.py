"""What every candidate signs by being in a list: it fits, predicts, repeats itself, and its graph equals it.

There are two lists: of a price, whose growth is learnt, and of a count that is often 0, whose differences are.
"""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Change, Column, Forecast, Gate, LogRatio
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows, last_window
from okawari.errors import InvalidInput
from okawari.evaluation.conformal import calibrate_interval
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph, parse_model
from okawari.models.boosting import Boosting
from okawari.models.cores import Interval, TreesCore
from okawari.models.dense import Mlp
from okawari.models.fit_context import TrainingData, Workbench, no_progress
from okawari.models.forest import RandomForest
from okawari.models.keras_lstm import KerasLstm
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Model, Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.search.search import Search
from okawari.models.search.space import Range
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.windows import WindowSet
from tests.tables import draw_counts

CANDIDATES: tuple[Recipe, ...] = (
    RandomWalk(),
    SeasonalNaive(season=5),
    SeasonalNaive(season=2),
    Sarima(),
    Sarima(order=(0, 1, 1), seasonal_order=(0, 0, 0, 0)),
    Lstm(hidden=16, layers=2, epochs=2),
    Lstm(hidden=40, layers=1, fc=8, epochs=1, dropout=0.0),
    RandomForest(n_trees=20, lags=8),
    Boosting(rounds=20, lags=8),
    Boosting(rounds=3, lags=11, depth=1),
    KerasLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    KerasLstm(lstm=Lstm(hidden=12, layers=1, fc=8, epochs=1, batch_size=128)),
    PriceLevelLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    Search(recipe=Mlp(hidden=(8,), epochs=2), space=(Range("learning_rate", 1e-4, 1e-2, log=True),), trials=2),
)
COUNTERS: tuple[Recipe, ...] = (
    RandomWalk(),
    SeasonalNaive(season=7),
    SeasonalNaive(season=2),
    Sarima(seasonal_order=(1, 0, 0, 7)),
    Sarima(order=(0, 1, 1), seasonal_order=(0, 1, 1, 7)),
    Linear(),
    Linear(penalty=1.0),
    Lstm(hidden=16, layers=2, epochs=2),
    RandomForest(n_trees=20, lags=8),
    Boosting(rounds=20, lags=15),
    KerasLstm(lstm=Lstm(hidden=8, layers=2, epochs=2)),
    Search(recipe=Mlp(hidden=(8,), epochs=2), space=(Range("learning_rate", 1e-4, 1e-2, log=True),), trials=2),
)
TOLERANCE = 1e-6
"""Largest difference of a log return between library and graph: float32 arithmetic in another order.

For trees too: their thresholds are compared in float32 on both sides, so only the sum of the leaves may round apart.
Answers are as close to each other as shares of the level, counts as shares of the largest.
"""
LEARNERS = ("torch", "statsmodels", "onnxscript", "optuna", "sklearn", "xgboost", "keras", "skl2onnx", "onnxmltools")
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


@dataclass(frozen=True)
class Fitted:
    """One candidate for one case, fitted once for all its tests."""

    case: Case
    recipe: Recipe
    model: Model
    data: TrainingData
    split: Split
    interval: Interval
    content: bytes


def _split(case: Case) -> Split:
    windows = cut_windows(case.source.read(until=date(2001, 12, 31)), case)
    return split_windows(windows, case)


def _sign(case: Case | None, name: str, recipe: Recipe) -> Any:
    """A candidate for a case; those that take Keras or a second LSTM to fit sign in `make test` alone."""
    slow = [pytest.mark.slow] if isinstance(recipe, (KerasLstm, PriceLevelLstm)) else []
    return pytest.param((case, recipe), id=f"{name}-{recipe.name}", marks=slow)


SIGNED = [
    *(_sign(None, "aapl", recipe) for recipe in CANDIDATES),
    *(_sign(COUNTED, "counted", recipe) for recipe in COUNTERS),
]
"""The case, None for the small one that fixtures give, and the candidate."""


@pytest.fixture(scope="module", params=SIGNED)
def fitted(request: pytest.FixtureRequest, small_case: Case) -> Fitted:
    case, recipe = request.param
    case = case or small_case
    split = _split(case)
    data = TrainingData(split.train, split.validation, seed=7)
    model = recipe.fit(data, no_progress)
    interval = calibrate_interval(split.calibration.r_BH, model.predict(split.calibration), 0.9)
    return Fitted(case, recipe, model, data, split, interval, build_graph(model.core(), case, interval))


def test_predicts_one_finite_move_per_window_and_step(fitted: Fitted) -> None:
    predicted = fitted.model.predict(fitted.split.holdout)
    assert predicted.shape == fitted.split.holdout.r_BH.shape
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()


def test_one_at_a_time_equals_batched(fitted: Fitted) -> None:
    holdout = fitted.split.holdout[:7]
    single = [fitted.model.predict(holdout[row : row + 1]) for row in range(len(holdout))]
    np.testing.assert_allclose(np.concatenate(single), fitted.model.predict(holdout), atol=TOLERANCE)


def test_same_seed_gives_same_numbers(fitted: Fitted) -> None:
    again = fitted.recipe.fit(fitted.data, no_progress)
    np.testing.assert_array_equal(again.predict(fitted.split.holdout), fitted.model.predict(fitted.split.holdout))


def test_fitting_leaves_its_input_and_the_global_seed_alone(fitted: Fitted) -> None:
    before, state, drawn = copy.deepcopy(fitted.data), np.random.get_state(legacy=False), random.getstate()
    fitted.recipe.fit(fitted.data, no_progress)
    for name in ("x_BTF", "z_BSK", "r_BH", "level_B", "at_B"):
        for part in ("train", "validation"):
            after = getattr(getattr(fitted.data, part), name)
            np.testing.assert_array_equal(after, getattr(getattr(before, part), name))
    np.testing.assert_equal(np.random.get_state(legacy=False), state)
    assert random.getstate() == drawn


def test_a_fit_reads_nothing_but_train_and_validation(fitted: Fitted) -> None:
    assert fitted.data.train.at_B.max() < fitted.data.validation.at_B.min() < fitted.split.holdout.at_B.min()
    assert set(vars(fitted.data)) == {"train", "validation", "seed", "heads", "bench"}


def test_graph_equals_model(fitted: Fitted) -> None:
    holdout = fitted.split.holdout
    mean_BH = Graph.load(fitted.content).answer(holdout.x_BTF).mean_BH.astype(np.float64)
    said_BH = fitted.case.task.transform.backward(holdout.level_B[:, None], fitted.model.predict(holdout))
    if fitted.case is COUNTED:
        np.testing.assert_allclose(mean_BH, np.maximum(said_BH, 0), atol=TOLERANCE * holdout.levels_BT.max())
    else:
        np.testing.assert_allclose(mean_BH, said_BH, rtol=TOLERANCE)


def test_graph_answers_one_window_as_it_answers_many(fitted: Fitted) -> None:
    x_BTF = fitted.split.holdout.x_BTF[:5]
    graph = Graph.load(fitted.content)
    single = np.concatenate([graph.answer(x_BTF[row : row + 1]).mean_BH for row in range(5)])
    np.testing.assert_allclose(single, graph.answer(x_BTF).mean_BH, rtol=TOLERANCE, atol=TOLERANCE)


def test_graph_interval_holds_the_mean(fitted: Fitted) -> None:
    answer = Graph.load(fitted.content).answer(fitted.split.holdout.x_BTF)
    assert answer.lower_BH is not None and answer.upper_BH is not None
    if fitted.case is COUNTED:  # bounds and mean may all be the fewest units there are
        assert (answer.lower_BH >= 0).all()
        assert (answer.lower_BH <= answer.mean_BH).all() and (answer.mean_BH <= answer.upper_BH).all()
    else:
        assert (answer.lower_BH < answer.mean_BH).all() and (answer.mean_BH < answer.upper_BH).all()
    assert answer.coverage_share == 0.9


def test_equal_models_give_equal_bytes(fitted: Fitted) -> None:
    assert build_graph(fitted.model.core(), fitted.case, fitted.interval) == fitted.content


def test_graph_is_one_file_of_plain_operators_without_traces_of_its_maker(fitted: Fitted) -> None:
    model = parse_model(fitted.content)
    # ONNX has operators for trees in its second domain alone; every ONNX Runtime has that one, and no other is let in.
    trees = {"ai.onnx.ml"} if isinstance(fitted.model.core(), TreesCore) else set()
    assert {node.domain for node in model.graph.node} == {"", *trees}
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert not any(trace in fitted.content for trace in (b"site-packages", b"pickle", b".py"))


def test_graph_runs_where_no_learning_library_is_installed(fitted: Fitted, tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(fitted.content)
    np.save(tmp_path / "x.npy", fitted.split.holdout.x_BTF[:2])
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({LEARNERS}))\n"
        "import numpy as np; from pathlib import Path; from okawari.graph.inference import Graph\n"
        "np.save('mean.npy', Graph.load(Path('graph.onnx').read_bytes()).answer(np.load('x.npy')).mean_BH)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    here = Graph.load(fitted.content).answer(fitted.split.holdout.x_BTF[:2]).mean_BH
    np.testing.assert_array_equal(np.load(tmp_path / "mean.npy"), here)


def test_describes_itself_in_plain_json(fitted: Fitted) -> None:
    assert json.loads(json.dumps(fitted.recipe.describe()))["recipe"] == type(fitted.recipe).__name__
    assert all(isinstance(value, float) for numbers in fitted.model.history for value in numbers.values())


@pytest.mark.parametrize("column", ["open", "close", "volume"])
def test_windows_with_nan_are_refused_by_column_name(column: str, small_case: Case, readings: pd.DataFrame) -> None:
    readings.loc[len(readings) - 3, column] = np.nan
    with pytest.raises(InvalidInput, match=f"Column {column} holds nan"):
        cut_windows(readings, small_case)
    with pytest.raises(InvalidInput, match=f"Column {column} holds nan"):
        last_window(readings, small_case)


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
    from okawari.models.sarima import join_levels

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
        (lambda: RandomForest(min_leaf=0), "RandomForest.min_leaf is 0"),
        (lambda: RandomForest(feature_share=1.5), "RandomForest.feature_share is 1.5"),
        (lambda: Boosting(patience=0), "Boosting.patience is 0"),
        (lambda: Boosting(row_share=0.0), "Boosting.row_share is 0.0"),
        (lambda: KerasLstm(lstm=Lstm(epochs=0)), "Lstm.epochs is 0"),
    ],
)
def test_impossible_settings_are_refused_on_construction(build, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=told):
        build()
