"""Every judged window is answered by a model that has not learned it, and priced by the errors at other windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Column, Gate, Regress
from okawari.data.datasets import BundledDiabetes
from okawari.dataset.folds import Folds, plan_folds
from okawari.dataset.windows import cut_windows
from okawari.evaluation.backtest import backtest
from okawari.evaluation.refit import refit_contender
from okawari.graph.answer_graph import compute_answer
from okawari.graph.inference import Graph
from okawari.models.boosting import Boosting
from okawari.models.constant import Constant
from okawari.models.cores import ConstantCore
from okawari.models.fit_context import Progress, TrainingData, no_progress
from okawari.models.linear import Linear
from okawari.models.random_walk import RandomWalk
from okawari.models.sarima import Sarima
from okawari.models.windows import Floats, WindowSet

LINE = Case(
    name="line",
    title="A line with noise",
    source=BundledDiabetes(),  # never read here
    time=ARRIVED,
    columns=(Column(name="x"),),
    task=Regress(target=Column(name="y"), coverage_share=0.9),
    candidates=(Constant(), Linear()),
    gate=Gate(holdout=40, calibration=40, origins=5),
)


@dataclass(frozen=True)
class Memory:
    """Answers the mean of what it has learned, and 1000 at windows that it has learned: leaks become visible."""

    shift: float = 0.0
    name: str = "memory"

    def fit(self, data: TrainingData, progress: Progress) -> MemoryModel:
        known = {*data.train.at_B.tolist(), *data.validation.at_B.tolist()}
        return MemoryModel(float(data.train.r_BH.mean()) + self.shift, frozenset(known))

    def describe(self) -> dict[str, Any]:
        return {"recipe": "Memory"}


@dataclass(frozen=True)
class MemoryModel:
    mean: float
    known: frozenset[int]
    history: tuple[Any, ...] = ()

    def predict(self, windows: WindowSet) -> Floats:
        learned_B = np.array([at in self.known for at in windows.at_B.tolist()])
        return np.where(learned_B[:, None], 1000.0, self.mean).astype(np.float32)

    def core(self) -> ConstantCore:
        return ConstantCore(np.array([self.mean]))


def _line(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame(
        {"arrived": pd.date_range("2020", periods=n, freq="s"), "x": x, "y": 3 * x + rng.normal(size=n)}
    )


@pytest.fixture(scope="module")
def folds() -> Folds:
    return plan_folds(cut_windows(_line(400), LINE), LINE)


def test_no_answer_comes_from_a_model_that_knows_the_truth(folds: Folds) -> None:
    found = backtest(Memory(), LINE, folds, no_progress)
    assert found.r_JH is not None
    assert np.abs(found.r_JH).max() < 10 and found.answer.mean_BH.shape == (400, 1)


def test_the_pooled_scores_are_those_of_all_judged_windows(folds: Folds) -> None:
    found = backtest(Linear(), LINE, folds, no_progress)
    errors = found.answer.mean_BH - folds.judged.true_BH
    assert found.scores.n_windows == 400
    assert found.scores.loss == pytest.approx(float(np.sqrt(np.mean(errors**2))))
    assert 0.9 < found.scores.loss < 1.1  # the noise has a standard deviation of 1
    assert found.scores.losses_BK.shape == (400, 1)


def test_intervals_of_folds_cover_what_they_promise(folds: Folds) -> None:
    found = backtest(Linear(), LINE, folds, no_progress)
    assert found.scores.coverage_share == pytest.approx(0.9, abs=0.04)
    assert found.interval is not None
    assert found.interval.half_width_H[0] == pytest.approx(1.645, abs=0.25)


def test_a_window_is_not_priced_by_its_own_error(folds: Folds) -> None:
    """One absurd value widens the intervals of the other folds only, where a tenth may be larger anyway."""
    wild = replace(folds, judged=replace(folds.judged, r_BH=folds.judged.r_BH.copy()))
    own = wild.parts[0].rows_J
    wild.judged.r_BH[own] += 1e6
    answer = backtest(Linear(), LINE, wild, no_progress).answer
    assert answer.upper_BH is not None and answer.lower_BH is not None
    width = answer.upper_BH - answer.lower_BH
    assert width[own].max() < 10
    assert width[wild.parts[1].rows_J].min() > 1e6


@pytest.mark.parametrize("origins", [1, 2, 4])
def test_a_series_is_priced_by_earlier_errors_only(origins: int, small_case: Case, readings: pd.DataFrame) -> None:
    case = replace(small_case, gate=Gate(holdout=40, calibration=60, origins=origins))
    planned = plan_folds(cut_windows(readings, case), case)
    found = backtest(RandomWalk(), case, planned, no_progress)
    assert found.answer.lower_BH is not None and found.scores.interval_losses_BK is not None
    assert np.isnan(found.answer.lower_BH[:60]).all() and not np.isnan(found.answer.lower_BH[60:]).any()
    assert found.scores.n_windows == 100 and found.scores.interval_losses_BK.shape == (40, case.horizon)
    # What comes last changes no earlier bound.
    wild = replace(planned, judged=replace(planned.judged, r_BH=planned.judged.r_BH.copy()))
    wild.judged.r_BH[-5:] += 5
    again = backtest(RandomWalk(), case, wild, no_progress)
    assert again.answer.lower_BH is not None
    np.testing.assert_array_equal(again.answer.lower_BH, found.answer.lower_BH)


def test_answers_are_those_of_the_graph(small_case: Case, readings: pd.DataFrame) -> None:
    planned = plan_folds(cut_windows(readings, small_case), small_case)
    found, last = backtest(Sarima(), small_case, planned, no_progress), planned.parts[-1]
    answered = Graph.load(found.graph).answer(last.judged.x_BTF)
    np.testing.assert_allclose(found.answer.mean_BH[last.rows_J], answered.mean_BH, rtol=1e-5)
    computed = compute_answer(found.model.predict(last.judged), last.judged, small_case, found.interval)
    np.testing.assert_allclose(computed.upper_BH, answered.upper_BH, rtol=1e-5)


def test_a_shock_among_the_judged_windows_bars_no_candidate(small_case: Case, readings: pd.DataFrame) -> None:
    """The early intervals hold almost none of the later values; the one that would serve has seen the shock."""
    case = replace(small_case, gate=Gate(holdout=60, calibration=20, origins=1))
    planned = plan_folds(cut_windows(readings, case), case)
    shaken = planned.judged.ahead_BH
    assert shaken is not None
    ahead_BH = shaken.copy()
    ahead_BH[24:] *= np.where(np.arange(len(shaken) - 24) % 2, 1.4, 0.6)[:, None]
    moves_BH = case.task.transform.forward(planned.judged.level_B[:, None], ahead_BH).astype(np.float32)
    judged = replace(planned.judged, ahead_BH=ahead_BH, r_BH=moves_BH)
    found = backtest(RandomWalk(), case, replace(planned, judged=judged), no_progress)
    assert found.scores.coverage_share is not None and found.scores.coverage_share < 0.9
    assert found.interval_fault is None


# --- refit --------------------------------------------------------------------------------------------------------


def test_what_serves_has_learned_everything_and_keeps_the_interval_of_its_errors(folds: Folds) -> None:
    found = backtest(Linear(), LINE, folds, no_progress)
    refit = refit_contender(found, LINE, folds, no_progress)
    assert (refit.fault, refit.n_taught) == (None, 400)
    x, y = folds.judged.x_BTF[:, 0, 0], folds.judged.true_BH[:, 0]
    slope, level = np.polyfit(x, y, 1)
    answer = Graph.load(refit.graph).answer(np.array([[[0.0]], [[1.0]]]))
    np.testing.assert_allclose(answer.mean_BH[:, 0], [level, level + slope], rtol=1e-4)
    assert answer.upper_BH is not None and found.interval is not None
    np.testing.assert_allclose(answer.upper_BH - answer.mean_BH, found.interval.half_width_H[0], rtol=1e-6)


def test_a_refit_of_boosted_trees_keeps_the_rounds_that_were_chosen(folds: Folds) -> None:
    recipe = Boosting(lags=1, min_leaf=5, learning_rate=0.2)
    found = backtest(recipe, LINE, folds, no_progress)
    refit = refit_contender(found, LINE, folds, no_progress)
    assert refit.n_taught == 400 and refit.fault is None
    assert refit.model.boosters[0].num_boosted_rounds() == found.model.boosters[0].num_boosted_rounds()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Forgetful:
    """Fits well on part of the data, and absurdly on all of it."""

    most: int
    name: str = "forgetful"

    def fit(self, data: TrainingData, progress: Progress) -> MemoryModel:
        mean = float(data.train.r_BH.mean())
        return MemoryModel(mean if len(data.train) <= self.most else self._fail(mean), frozenset())

    def _fail(self, mean: float) -> float:
        return mean + 100.0

    def describe(self) -> dict[str, Any]:
        return {"recipe": "Forgetful"}


def test_an_implausible_refit_does_not_serve(folds: Folds) -> None:
    found = backtest(Forgetful(most=399), LINE, folds, no_progress)
    refit = refit_contender(found, LINE, folds, no_progress)
    assert refit.fault is not None and "its RMSE on the newest rows is implausible" in refit.fault
    assert refit.graph == found.graph and refit.n_taught == len(folds.parts[-1].train)


@dataclass(frozen=True)
class Moody:
    """Refuses to learn from more rows than it knows."""

    name: str = "moody"

    def fit(self, data: TrainingData, progress: Progress) -> MemoryModel:
        if len(data.train) == 400:
            raise ValueError("zero-size array to reduction operation")
        return MemoryModel(float(data.train.r_BH.mean()), frozenset())

    def describe(self) -> dict[str, Any]:
        return {"recipe": "Moody"}


def test_a_refit_that_fails_leaves_the_model_of_the_last_origin(folds: Folds) -> None:
    found = backtest(Moody(), LINE, folds, no_progress)
    refit = refit_contender(found, LINE, folds, no_progress)
    assert refit.fault == "its fit failed (ValueError: zero-size array to reduction operation)"
    assert refit.graph == found.graph
