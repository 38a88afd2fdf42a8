"""Drawn series with a season and a trend, and the case of one series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case, Change, Column, Forecast, Gate, LogRatio
from okawari.models.random_walk import RandomWalk
from okawari.schema.transforms import Learns

Array = NDArray[np.float64]
_FEATURES = {
    "growth": LogRatio(name="growth", numerator="level", denominator="level", lag=1),
    "difference": Change(name="change", column="level"),
}


def draw_seasonal(n: int, *, season: int, level: float, trend: float, swing: float, noise: float, seed: int) -> Array:
    """`n` readings: a level with a trend, a sine of one season, and independent noise."""
    places = np.arange(n)
    drawn = np.random.default_rng(seed).normal(0, noise, n)
    return level + trend * places + swing * np.sin(2 * np.pi * places / season) + drawn


@dataclass(frozen=True)
class Drawn:
    """A source of one series, a reading a day."""

    level_N: Array

    def read(self, until: date | None = None) -> pd.DataFrame:
        days = pd.date_range("2000-01-01", periods=len(self.level_N)).astype("datetime64[ns]")
        return pd.DataFrame({"date": days, "level": self.level_N})


def frame_series(level_N: Array, *, history: int, horizon: int, learns: Learns = "growth") -> Case:
    """A case of one series, without a calendar."""
    return Case(
        name="drawn",
        title="A drawn series",
        source=Drawn(level_N),
        columns=(Column(name="level", above=0 if learns == "growth" else None),),
        features=(_FEATURES[learns],),
        task=Forecast(target="level", history=history, horizon=horizon, learns=learns),
        candidates=(RandomWalk(),),
        gate=Gate(holdout=40, calibration=40),
    )
