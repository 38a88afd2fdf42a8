"""Two small drawn cases to check a recipe on: a series of prices, and records with a label."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from okawari.case import ARRIVED, Case, Classify, Column, Forecast, Gate, LogRatio
from okawari.models.fit_context import TrainingData
from okawari.models.protocols import Model


@dataclass(frozen=True)
class _Drawn:
    frame: pd.DataFrame

    def read(self, until: date | None = None) -> pd.DataFrame:
        return self.frame


def draw_series() -> Case:
    """A case of a short series: 320 daily prices, of which nothing but noise can be learnt."""
    noise = np.random.default_rng(3)
    price = 50 * np.exp(np.cumsum(noise.normal(0, 0.02, 320)))
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=320).astype("datetime64[ns]"), "price": price})
    return Case(
        name="drawn_series",
        title="A drawn series",
        source=_Drawn(frame),
        columns=(Column(name="price", above=0),),
        features=(LogRatio(name="growth", numerator="price", denominator="price", lag=1),),
        task=Forecast(target="price", history=12, horizon=3),
        candidates=(_Nameless(),),
        gate=Gate(holdout=40, calibration=60),
    )


def draw_records() -> Case:
    """A case of 320 records with two numbers and a label that mostly follows from them."""
    noise = np.random.default_rng(4)
    frame = pd.DataFrame(noise.normal(size=(320, 2)), columns=["x", "y"])
    is_right = frame["x"] + 0.5 * frame["y"] + noise.normal(0, 0.3, 320) > 0
    frame["side"] = np.where(is_right, "right", "left")
    return Case(
        name="drawn_records",
        title="Drawn records",
        source=_Drawn(frame),
        time=ARRIVED,
        columns=(Column(name="x"), Column(name="y")),
        task=Classify(target=Column(name="side", labels=("left", "right"))),
        candidates=(_Nameless(),),
        gate=Gate(holdout=60, calibration=60),
    )


@dataclass(frozen=True)
class _Nameless:
    """A placeholder, because a case needs a candidate; it is never fitted."""

    name: str = "nobody"

    def fit(self, data: TrainingData, progress: object) -> Model:
        raise NotImplementedError

    def describe(self) -> dict[str, object]:
        return {}
