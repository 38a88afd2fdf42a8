"""The baseline of several targets: transitions counted by hand, and who has no use for whose windows."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.keras_lstm import KerasLstm
from okawari.models.persistence import Persistence, PersistenceModel
from okawari.models.price_level_lstm import PriceLevelLstm
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.windows import Floats, WindowSet
from okawari.schema.heads import LabelHead, NumberHead

WORD = LabelHead(name="word", start=0, words=("a", "b", "c"))
NUMBER = NumberHead(name="number", start=3)
ONLY_FORECASTS: list[Recipe] = [RandomWalk(), Sarima(), SeasonalNaive(season=5), KerasLstm(), PriceLevelLstm()]


def _windows(now_B: list[int], next_B: list[int], now_number: Floats, next_number: Floats) -> WindowSet:
    eye = np.eye(3, dtype=np.float32)
    n = len(now_B)
    return WindowSet(
        x_BTF=np.ones((n, 2, 1), np.float32),
        z_BSK=np.ones((n, 1, 1), np.float32),
        r_BH=np.column_stack([eye[next_B], next_number]).astype(np.float32),
        level_B=np.ones(n),
        at_B=np.arange(n).astype("datetime64[ns]"),
        target_index=0,
        now_BH=np.column_stack([eye[now_B], now_number]).astype(np.float32),
    )


def _fit(windows: WindowSet) -> PersistenceModel:
    return Persistence().fit(TrainingData(windows, windows, seed=1, heads=(WORD, NUMBER)), no_progress)


def _share(logs: Floats) -> np.ndarray:
    grown = np.exp(logs.astype(np.float64))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def test_shares_are_transitions_counted_by_hand_with_one_occurrence_shared_by_all_labels() -> None:
    nothing = np.zeros(6, np.float32)
    windows = _windows([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], nothing, nothing)
    shares = _share(_fit(windows).predict(_windows([0, 1, 2], [0, 0, 0], nothing[:3], nothing[:3]))[:, :3])
    third = 1 / 3
    by_hand = [
        [(2 + third) / 4, (1 + third) / 4, third / 4],
        [third / 4, (3 + third) / 4, third / 4],
        [third, third, third],  # c never stood in training, so nothing is known of what follows it
    ]
    np.testing.assert_allclose(shares, by_hand, rtol=1e-5)


def test_a_number_that_moves_slowly_stays_and_one_that_swings_is_its_mean() -> None:
    words = [0] * 8
    slow, swinging = np.arange(9, dtype=np.float32), np.array([1, -1] * 4 + [1], np.float32) + 5
    for series, expected in ((slow, 42.0), (swinging, swinging[1:].mean())):
        model = _fit(_windows(words, words, series[:-1], series[1:]))
        asked = _windows([0], [0], np.array([42.0], np.float32), np.array([0.0], np.float32))
        assert model.predict(asked)[0, 3] == pytest.approx(expected)


def test_the_acceleration_of_us_inflation_is_its_mean() -> None:
    case = load_case("cpi")
    split = split_windows(cut_windows(case.source.read(), case), case)
    model = Persistence().fit(TrainingData(split.train, split.validation, seed=1, heads=case.task.heads), no_progress)
    np.testing.assert_allclose(model.predict(split.holdout)[:, 3], split.train.r_BH[:, 3].mean(), rtol=1e-5)


def test_windows_of_a_forecast_are_refused(small_case: Case, readings: pd.DataFrame) -> None:
    windows = cut_windows(readings, small_case)
    with pytest.raises(InvalidInput, match=r"it takes an Anticipate task\. Use RandomWalk for a forecast"):
        Persistence().fit(TrainingData(windows, windows, seed=1), no_progress)


@pytest.mark.parametrize("name", ["cpi", "diabetes"])
@pytest.mark.parametrize("recipe", ONLY_FORECASTS, ids=lambda recipe: recipe.name)
def test_recipes_of_forecasts_refuse_several_targets_and_records(recipe: Recipe, name: str) -> None:
    case = load_case(name)
    windows = cut_windows(_read(case), case)
    data = TrainingData(windows, windows, seed=1, heads=case.task.heads)
    with pytest.raises(InvalidInput, match=r"forecasts the next values of a series, .* leave it out"):
        recipe.fit(data, no_progress)


def _read(case: Case) -> pd.DataFrame:
    good = check_readings(case.source.read(), case, datetime.now(UTC)).good
    return good if case.layout.in_order else good.assign(arrived=pd.date_range("2024-01-01", periods=len(good)))
