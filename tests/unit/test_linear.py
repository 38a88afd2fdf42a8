"""The linear model is the textbook's: no solver of ours may move a coefficient."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.linear import Linear


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case("diabetes")


@pytest.fixture(scope="module")
def split(case: Case) -> Split:
    good = check_readings(case.source.read(), case, datetime.now(UTC)).good
    arrived = pd.date_range("2000-01-01", periods=len(good), freq="s")
    return split_windows(cut_windows(good.assign(**{ARRIVED: arrived}), case), case)


def test_on_diabetes_it_is_the_closed_form_of_least_squares(case: Case, split: Split) -> None:
    model = Linear().fit(TrainingData(split.train, split.validation, seed=7, heads=case.task.heads), no_progress)
    x_BN = split.train.z_BSK[:, 0].astype(np.float64)
    one, two = 1, 2  # the label's two columns add up to one, so all that is determined is their difference
    np.testing.assert_array_equal(x_BN[:, one] + x_BN[:, two], 1)
    design = np.column_stack([np.ones(len(x_BN)), np.delete(x_BN, one, axis=1)])
    closed, _, rank, _ = np.linalg.lstsq(design, split.train.r_BH[:, 0].astype(np.float64), rcond=None)
    assert rank == design.shape[1] == 11
    weight_N = model.weight_HN[0].copy()
    weight_N[two] -= weight_N[one]
    np.testing.assert_allclose(np.delete(weight_N, one), closed[1:], rtol=1e-8)
    np.testing.assert_allclose(model.bias_H[0] + model.weight_HN[0, one], closed[0], rtol=1e-8)
    np.testing.assert_allclose(x_BN @ model.weight_HN[0] + model.bias_H[0], design @ closed, rtol=1e-8)


def test_its_residuals_are_orthogonal_to_every_feature(case: Case, split: Split) -> None:
    model = Linear().fit(TrainingData(split.train, split.validation, seed=7, heads=case.task.heads), no_progress)
    x_BN = split.train.z_BSK[:, 0].astype(np.float64)
    residual_B = split.train.r_BH[:, 0] - (x_BN @ model.weight_HN[0] + model.bias_H[0])
    scale = np.abs(x_BN).max(axis=0) * np.abs(residual_B).sum()
    assert (np.abs(x_BN.T @ residual_B) <= 1e-10 * scale).all()
