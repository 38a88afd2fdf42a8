"""Levels that are large beside their moves: the graph computes like float64 arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Change, Column, Forecast, Gate, LogRatio
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows, last_window
from okawari.evaluation.candidates import fit_contender
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, ConstantCore, Interval
from okawari.models.fit_context import no_progress
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.schema.transforms import Learns

LEVEL = 1.2e9


class Meter:
    """A counter at 1.2e9 that grows by about 10 a day."""

    def read(self, until: object = None) -> pd.DataFrame:
        grown = np.cumsum(np.random.default_rng(4).normal(10, 2, 420))
        return pd.DataFrame({"date": pd.date_range("2023-01-01", periods=420), "meter": LEVEL + grown})


METER = Case(
    name="meter", title="A counter", source=Meter(), columns=(Column(name="meter", unit="kWh", above=0),),
    features=(Change(name="meter_change", column="meter"),),
    task=Forecast(target="meter", history=14, horizon=3, learns="difference"),
    candidates=(RandomWalk(),), gate=Gate(holdout=60, calibration=80),
)  # fmt: skip
GROWING = replace(
    METER,
    task=Forecast(target="meter", history=14, horizon=3, learns="growth"),
    features=(LogRatio(name="growth", numerator="meter", denominator="meter", lag=1),),
)
CASES = pytest.mark.parametrize("case", [METER, GROWING], ids=["difference", "growth"])


@CASES
def test_the_graph_adds_moves_like_float64(case: Case) -> None:
    readings = case.source.read()
    unit = 1.0 if case is METER else 1 / LEVEL
    weight_HN = np.random.default_rng(0).normal(0, 0.3, (3, 14))
    bias_H, half_H = unit * np.array([10.0, 20, 30]), unit * np.array([4.0, 6, 8])
    core = AffineCore(weight_HN, bias_H)
    answer = Graph.load(build_graph(core, case, Interval(0.9, half_H))).answer(last_window(readings, case))
    level_T = readings["meter"].to_numpy()[-14:]
    r_H = weight_HN @ case.task.transform.forward(level_T[-1:], level_T) + bias_H
    assert answer.lower_BH is not None and answer.upper_BH is not None
    for part, moved_H in ((answer.mean_BH, r_H), (answer.lower_BH, r_H - half_H), (answer.upper_BH, r_H + half_H)):
        assert np.abs(part[0] - case.task.transform.backward(level_T[-1:], moved_H)).max() < 0.1


@CASES
def test_every_family_forecasts_the_next_reading(case: Case) -> None:
    split = split_windows(cut_windows(case.source.read(), case), case)
    naive, linear, sarima = (
        fit_contender(recipe, case, split, no_progress).scores
        for recipe in (RandomWalk(), Linear(), Sarima(order=(1, 1, 0), seasonal_order=(0, 0, 0, 0)))
    )
    moves_B = split.holdout.true_BH[:, 0] - split.holdout.level_B
    assert naive.loss == pytest.approx(np.sqrt(np.mean(moves_B**2)), rel=1e-6) and 9 < naive.loss < 11
    assert naive.numbers["mase"] == pytest.approx(1, rel=0.1)
    assert linear.loss == pytest.approx(2, rel=0.3) and sarima.loss < naive.loss
    assert naive.coverage_share == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("learns", ["growth", "difference"])
def test_a_walk_answers_exactly_the_last_level(learns: Learns) -> None:
    case = METER if learns == "difference" else GROWING
    readings = case.source.read()
    answer = Graph.load(build_graph(ConstantCore(np.zeros(3)), case, None)).answer(last_window(readings, case))
    assert (answer.mean_BH == readings["meter"].iloc[-1]).all()
