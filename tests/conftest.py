"""What all tests share: thread limits, and a small case over real readings."""

from __future__ import annotations

import os

# ruff: noqa: E402  (thread limits count only where they stand before the libraries are imported)
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from okawari.case import Case, Forecast, Gate
from okawari.cases import load_case
from okawari.models.lstm import Lstm
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima


@pytest.fixture(scope="session")
def small_case() -> Case:
    """The stock case with short windows, a small gate and candidates that fit in a second."""
    return replace(
        load_case("aapl"),
        task=Forecast(target="close", history=12, horizon=3),
        gate=Gate(holdout=40, calibration=60),
        candidates=(RandomWalk(), Sarima(), Lstm(hidden=16, layers=2, epochs=2)),
    )


@pytest.fixture
def readings(small_case: Case) -> pd.DataFrame:
    """Some 460 daily readings, 2000-03-01 to 2001-12-31; a fresh copy for each test."""
    return small_case.source.read(until=date(2001, 12, 31))
