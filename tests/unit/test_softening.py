"""No answer of labels is surer than the rows that taught it allow; numbers stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column, Gate
from okawari.data.datasets import BundledDiabetes
from okawari.dataset.folds import plan_folds
from okawari.dataset.windows import cut_windows
from okawari.evaluation.backtest import backtest
from okawari.evaluation.refit import refit_contender
from okawari.evaluation.softening import soften_core, soften_predictions
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.constant import Constant
from okawari.models.cores import ConstantCore
from okawari.models.fit_context import no_progress
from okawari.models.linear import Linear
from okawari.schema.tasks.regression import Regress

SIDES = Case(
    name="sides",
    title="Left or right of 0",
    source=BundledDiabetes(),  # never read here
    time=ARRIVED,
    columns=(Column(name="x"),),
    task=Classify(target=Column(name="side", labels=("left", "right"))),
    candidates=(Constant(), Linear(penalty=1.0)),
    gate=Gate(holdout=20, origins=4),
)


def _draw(n: int) -> pd.DataFrame:
    x = np.random.default_rng(3).normal(size=n)
    arrived = pd.date_range("2020", periods=n, freq="s")
    return pd.DataFrame({"arrived": arrived, "x": 30 * x, "side": np.where(x > 0, "right", "left")})


def test_a_sure_answer_leaves_what_one_more_row_could_show() -> None:
    windows = cut_windows(_draw(98), SIDES)
    sure = np.tile(np.array([[200.0, -200.0]], dtype=np.float32), (98, 1))
    said = soften_predictions(sure, windows, SIDES)
    share = np.exp(said) / np.exp(said).sum(axis=1, keepdims=True)
    rights = int(windows.r_BH[:, 1].sum())
    assert share[:, 1] == pytest.approx(0.01 * (rights + 1) / 100, rel=1e-5)


def test_the_graph_answers_what_was_judged_before_and_after_the_refit() -> None:
    folds = plan_folds(cut_windows(_draw(200), SIDES), SIDES)
    found = backtest(Linear(penalty=1.0), SIDES, folds, no_progress)
    last = folds.parts[-1]
    answered = Graph.load(found.graph).answer(last.judged.x_BTF).mean_BH
    np.testing.assert_allclose(found.answer.mean_BH[last.rows_J], answered, rtol=1e-5)
    refit = Graph.load(refit_contender(found, SIDES, folds, no_progress).graph)
    far = refit.answer(np.array([[[-1e6]], [[1e6]]])).mean_BH
    assert far.min() > 0.3 / 202 and far.max() < 1 - 0.3 / 202


def test_numbers_stay_as_they_are() -> None:
    case = replace(SIDES, task=Regress(target=Column(name="y"), coverage_share=0.9))
    frame = _draw(60).assign(y=1.0)
    windows, core = cut_windows(frame.assign(y=frame["x"]), case), ConstantCore(np.array([2.0]))
    assert soften_core(core, windows, case) is core
    said = np.ones((60, 1), dtype=np.float32)
    assert soften_predictions(said, windows, case) is said
    assert Graph.load(build_graph(core, case, None)).answer(windows.x_BTF[:1]).mean_BH[0, 0] == 2.0
