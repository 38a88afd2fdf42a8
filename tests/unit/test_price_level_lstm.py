"""An LSTM on price levels: the range it is scaled by, the level it may answer, and what it does above its range."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import torch

from okawari.case import Case
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.metrics import rmse
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models import torch_training
from okawari.models.cores import TorchCore
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.lstm import Lstm
from okawari.models.networks import SMALLEST_LEVEL_SHARE, LevelNetwork, LstmNetwork
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.random_walk import RandomWalk
from okawari.models.windows import WindowSet


@pytest.fixture
def split(small_case: Case, readings: pd.DataFrame) -> Split:
    return split_windows(cut_windows(readings, small_case), small_case)


def test_the_range_is_the_train_parts_alone(split: Split) -> None:
    recipe = PriceLevelLstm(lstm=Lstm(hidden=4, epochs=1))
    model = recipe.fit(TrainingData(split.train, split.validation, seed=7), no_progress)
    ahead_BH = split.train.level_B[:, None] * np.exp(split.train.r_BH)
    low = min(split.train.levels_BT.min(), ahead_BH.min())
    high = max(split.train.levels_BT.max(), ahead_BH.max())
    for name in ("in", "out"):
        np.testing.assert_allclose(model.network.ahead.get_buffer(f"{name}_shift"), low, rtol=1e-6)
        np.testing.assert_allclose(model.network.ahead.get_buffer(f"{name}_scale"), high - low, rtol=1e-6)


def test_its_losses_are_those_of_the_scaled_levels(split: Split) -> None:
    recipe = PriceLevelLstm(lstm=Lstm(hidden=8, epochs=3, patience=3))
    model = recipe.fit(TrainingData(split.train, split.validation, seed=7), no_progress)
    ahead_BH = split.validation.level_B[:, None] * np.exp(split.validation.r_BH)
    answered_BH = split.validation.level_B[:, None] * np.exp(model.predict(split.validation))
    scaled = (answered_BH - ahead_BH) / model.network.ahead.get_buffer("out_scale").numpy()
    assert np.mean(scaled**2) == pytest.approx(min(each["valid_loss"] for each in model.history), rel=1e-4)


def _answer_always(level: float, horizon: int) -> LevelNetwork:
    network = LstmNetwork(1, [horizon], hidden=2, layers=1, fc=2, dropout=0.0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
    network.get_buffer("out_shift").fill_(level)
    return LevelNetwork(network).eval()


@pytest.mark.slow
@pytest.mark.parametrize("level", [-3.0, 0.0, 1e-6])
def test_a_level_that_has_no_log_becomes_a_small_share_of_the_last_one(
    level: float, small_case: Case, split: Split
) -> None:
    module, windows = _answer_always(level, small_case.task.horizon), split.holdout
    answer = Graph.load(build_graph(TorchCore(module, reads="levels"), small_case, None)).answer(windows.x_BTF)
    expected = np.broadcast_to(SMALLEST_LEVEL_SHARE * windows.level_B[:, None], answer.mean_BH.shape)
    np.testing.assert_allclose(answer.mean_BH, expected, rtol=1e-5)


@pytest.mark.slow
def test_a_positive_level_is_answered_as_it_is(small_case: Case, split: Split) -> None:
    module = _answer_always(3.5, small_case.task.horizon)
    answer = Graph.load(build_graph(TorchCore(module, reads="levels"), small_case, None)).answer(split.holdout.x_BTF)
    np.testing.assert_allclose(answer.mean_BH, 3.5, rtol=1e-5)


@pytest.mark.slow
def test_the_loop_learns_levels_from_levels(split: Split) -> None:
    taken, learnt = torch_training.to_tensors(split.train, torch.device("cpu"), "levels")
    assert taken.shape == (len(split.train), 12, 1) and learnt.shape == (len(split.train), 3)
    np.testing.assert_allclose(taken[1:, -1, 0], learnt[:-1, 0], rtol=1e-6)  # the next window ends where this one aims


def test_above_its_range_it_is_worse_than_the_same_network_on_returns(small_case: Case) -> None:
    windows: WindowSet = cut_windows(small_case.source.read(until=date(2006, 6, 30)), small_case)
    split = split_windows(windows, small_case)
    assert split.holdout.level_B.min() > split.train.levels_BT.max()  # prices have left the range
    data, lstm = TrainingData(split.train, split.validation, seed=7), Lstm(hidden=8, epochs=2)
    truth_BH = split.holdout.r_BH
    on_levels = rmse(truth_BH, PriceLevelLstm(lstm=lstm).fit(data, no_progress).predict(split.holdout))
    on_returns = rmse(truth_BH, lstm.fit(data, no_progress).predict(split.holdout))
    naive = rmse(truth_BH, RandomWalk().fit(data, no_progress).predict(split.holdout))
    assert on_levels > 3 * naive > 2 * on_returns
