"""Windows: what is in them, what is refused, and that no truth crosses from one part of the split to the next."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import Case, Forecast, Gate
from okawari.dataset.splits import MIN_TRAIN, split_windows
from okawari.dataset.windows import cut_windows, last_window, to_array
from okawari.errors import InvalidInput
from okawari.graph.feature_graph import compute_features
from okawari.models.windows import WindowSet
from okawari.schema.time_order import find_disorder


def _numbered(n_windows: int, horizon: int = 5) -> WindowSet:
    """Windows whose level is their number."""
    number = np.arange(n_windows)
    empty = np.zeros((n_windows, 1, 1), dtype=np.float32)
    r_BH = np.zeros((n_windows, horizon), dtype=np.float32)
    return WindowSet(empty, empty, r_BH, number.astype(np.float64), number.astype("datetime64[ns]"), 0)


def test_every_window_with_full_truth_is_cut(small_case: Case, readings: pd.DataFrame) -> None:
    windows = cut_windows(readings, small_case)
    assert len(windows) == len(readings) - 12 - 3 + 1
    assert windows.x_BTF.shape[1:] == (12, 5) and windows.z_BSK.shape[1:] == (11, 3) and windows.r_BH.shape[1:] == (3,)


def test_a_window_holds_its_readings_its_time_and_its_truth(small_case: Case, readings: pd.DataFrame) -> None:
    windows, close = cut_windows(readings, small_case), readings["close"].to_numpy()
    row = 100
    np.testing.assert_array_equal(windows.x_BTF[row, :, 3], close[row : row + 12])
    assert windows.level_B[row] == close[row + 11]
    assert windows.at_B[row] == readings["date"].to_numpy()[row + 11]
    np.testing.assert_allclose(windows.r_BH[row], np.log(close[row + 12 : row + 15] / close[row + 11]), atol=1e-7)


def test_features_of_a_window_equal_features_of_the_frame(small_case: Case, readings: pd.DataFrame) -> None:
    windows = cut_windows(readings, small_case)
    np.testing.assert_allclose(compute_features(small_case, windows.x_BTF), windows.z_BSK, atol=1e-6)


def test_the_last_window_is_the_newest_history(small_case: Case, readings: pd.DataFrame) -> None:
    x_1TF = last_window(readings, small_case)
    assert x_1TF.shape == (1, 12, 5) and x_1TF.dtype == np.float64
    np.testing.assert_array_equal(x_1TF[0], to_array(readings, small_case)[-12:])


def test_cutting_leaves_the_frame_alone(small_case: Case, readings: pd.DataFrame) -> None:
    before = readings.copy(deep=True)
    windows = cut_windows(readings, small_case)
    windows.x_BTF[:] = 0
    windows.level_B[:] = 0
    pd.testing.assert_frame_equal(readings, before)


def test_column_order_and_extra_columns_do_not_matter(small_case: Case, readings: pd.DataFrame) -> None:
    shuffled = readings[["volume", "close", "date", "low", "high", "open"]].assign(note="x")
    np.testing.assert_array_equal(to_array(shuffled, small_case), to_array(readings, small_case))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda frame: frame.drop(columns=["low"]), r"lack \['low'\]"),
        (lambda frame: frame.assign(low="cheap"), "Column low has type"),
        (lambda frame: frame.assign(high=np.inf), "Column high holds inf in row 0"),
        (lambda frame: frame.assign(volume=0), "Column volume holds 0.0 in row 0"),
        (lambda frame: frame.assign(close=-1.0), "Column close holds -1.0"),
        (lambda frame: frame.iloc[::-1], "date is not strictly ascending"),
        (lambda frame: frame.drop(columns=["date"]), "lack the time column 'date'"),
        (lambda frame: frame.iloc[:14], "There are 14 readings; one window with its truth takes 12"),
    ],
)
def test_unfit_readings_are_refused_by_name(spoil, told: str, small_case: Case, readings: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=told):
        cut_windows(spoil(readings), small_case)


def test_too_few_readings_make_no_question(small_case: Case, readings: pd.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="There are 11 readings"):
        last_window(readings.iloc[:11], small_case)


def test_a_case_of_another_size_is_cut_to_its_size(small_case: Case, readings: pd.DataFrame) -> None:
    case = replace(small_case, task=Forecast(target="open", history=2, horizon=1))
    windows = cut_windows(readings, case)
    assert windows.z_BSK.shape == (len(readings) - 2, 1, 3) and windows.target_index == 0


@settings(max_examples=50, deadline=None)
@given(
    n_windows=st.integers(150, 800),
    horizon=st.integers(1, 10),
    holdout=st.integers(6, 40),
    calibration=st.integers(9, 50),
)
def test_no_truth_crosses_a_border(
    n_windows: int, horizon: int, holdout: int, calibration: int, small_case: Case
) -> None:
    gate = Gate(holdout=holdout, calibration=calibration)
    case = replace(small_case, gate=gate, task=Forecast(target="close", history=2, horizon=horizon))
    split = split_windows(_numbered(n_windows, horizon), case)
    parts = (split.train, split.validation, split.calibration, split.holdout)
    for earlier, later in pairwise(parts):
        newest_truth, oldest_truth = earlier.level_B[-1] + horizon, later.level_B[0] + 1
        assert newest_truth < oldest_truth
    assert len(split.holdout) == holdout and len(split.calibration) == calibration
    assert split.holdout.level_B[-1] == n_windows - 1 and split.train.level_B[0] == 0


@pytest.mark.parametrize("validation_share", [0.05, 0.1, 0.3, 0.49])
def test_the_least_number_that_the_message_names_is_enough_and_one_less_is_not(
    validation_share: float, small_case: Case
) -> None:
    gate = Gate(holdout=20, calibration=30, validation_share=validation_share)
    case = replace(small_case, gate=gate, task=Forecast(target="close", history=2, horizon=5))
    with pytest.raises(InvalidInput, match="There are 50 windows; a split takes at least") as refused:
        split_windows(_numbered(50), case)
    least = int(str(refused.value).split("at least ")[1].split(":")[0])
    assert len(split_windows(_numbered(least), case).train) >= MIN_TRAIN
    with pytest.raises(InvalidInput):
        split_windows(_numbered(least - 1), case)


@pytest.mark.parametrize(
    ("times", "place"),
    [([], None), ([4], None), ([1, 2, 5], None), ([1, 2, 2, 5, 4], 2), ([3, 1], 1)],
)
def test_the_first_time_out_of_order_is_found_in_any_type(times: list[int], place: int | None) -> None:
    for kind in ("int64", "datetime64[ns]", object):
        assert find_disorder(np.array(times, dtype="int64").astype(kind)) == place
