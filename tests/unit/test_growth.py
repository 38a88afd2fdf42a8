"""Growth and what is made of it: where targets stand now, what turns out next, and what no case may ask for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from okawari.case import Anticipate, Case, Change, Classify, Column, Growth, LogRatio
from okawari.cases.loader import load_case
from okawari.data.datasets import BundledMacro
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.graph.feature_graph import compute_features, compute_standing
from okawari.models.constant import Constant
from okawari.schema.features import Feature

WAY = Growth(name="way", lag=2, change=True, bounds=(-1.0, 1.0), labels=("down", "very flat", "up"))
SPEED = Growth(name="speed", lag=1, factor=400.0)
HEIGHT = Growth(name="height", lag=3, bounds=(2.0,), labels=("low", "high"))
LOG = LogRatio(name="growth", numerator="price", denominator="price", lag=1)
CASE = Case(
    name="prices", title="Prices", source=BundledMacro(),
    columns=(Column(name="price", above=0), Column(name="rate")), features=(LOG,),
    task=Anticipate(column="price", targets=(WAY, SPEED, HEIGHT), history=4), candidates=(Constant(),),
)  # fmt: skip
some_levels = arrays(np.float64, 12, elements=st.floats(50, 150))


def _frame(levels: np.ndarray, rate: np.ndarray | float = 1.0) -> pd.DataFrame:
    days = pd.date_range("2000-01-31", periods=len(levels), freq="ME").astype("datetime64[ns]")
    return pd.DataFrame({"date": days, "price": levels, "rate": rate})


def _name_band(target: Growth, value: float) -> int:
    return sum(value >= bound for bound in target.bounds)


def _lay_out(task: Anticipate, values: list[float]) -> list[float]:
    """The values of the targets as the columns of an answer, one label or number after the other."""
    row: list[float] = []
    for target, value in zip(task.targets, values, strict=True):
        row += [float(place == _name_band(target, value)) for place in range(len(target.labels))] or [value]
    return row


# --- the number ---------------------------------------------------------------------------------------------------


@given(levels=some_levels, lag=st.integers(1, 4), factor=st.floats(1, 400), change=st.booleans())
def test_growth_equals_its_naive_version(levels: np.ndarray, lag: int, factor: float, change: bool) -> None:
    found = Growth(name="g", lag=lag, factor=factor, change=change).measure(levels)
    grown = [factor * math.log(levels[t] / levels[t - lag]) if t >= lag else math.nan for t in range(12)]
    naive = [grown[t] - grown[t - 1] if t else math.nan for t in range(12)] if change else grown
    np.testing.assert_allclose(found, naive, atol=1e-9)


def test_a_series_shorter_than_the_reach_has_no_growth_at_all() -> None:
    assert np.isnan(Growth(name="g", lag=5, change=True).measure(np.array([1.0, 2.0, 3.0]))).all()
    assert [Growth(name="g", lag=5, change=change).reach for change in (False, True)] == [5, 6]


# --- what no case may ask for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Trend!"}, "Growth name is 'Trend!'; use lower-case letters"),
        ({"name": "level"}, "which tables of answers use; choose another"),
        ({"lag": 0}, "Growth.lag of g is 0; it counts readings back, at least 1"),
        ({"factor": 0.0}, "Growth.factor of g is 0.0; use 100 for percent"),
        ({"factor": math.inf}, "Growth.factor of g is inf"),
        ({"factor": math.nan}, "Growth.factor of g is nan"),
        ({"labels": ("a", "b")}, "has 2 labels and 0 bounds; N labels take N - 1 bounds"),
        ({"labels": ("a",)}, "has 1 labels and 0 bounds"),
        ({"bounds": (1.0,)}, "has 0 labels and 1 bounds"),
        ({"labels": ("a", "b", "c"), "bounds": (2.0, 1.0)}, "from the lowest to the highest"),
        ({"labels": ("a", "b"), "bounds": (math.nan,)}, "write numbers from the lowest to the highest"),
        ({"labels": ("a", "b"), "bounds": (math.inf,)}, "write numbers from the lowest to the highest"),
        ({"labels": ("a", "b", "a"), "bounds": (1.0, 2.0)}, "names a label twice"),
    ],
)
def test_a_growth_that_cannot_be_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Growth(**{"name": "g", **change})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": ()}, "Anticipate.targets is empty"),
        ({"targets": (SPEED, SPEED)}, r"has two of one name: \['speed', 'speed'\]"),
        ({"history": 3}, "Anticipate.history is 3; its targets use 3 earlier readings. Use 4 or more"),
        ({"coverage_share": 0.4}, "Anticipate.coverage_share is 0.4"),
        (
            {"targets": (WAY, Growth(name="way_up"))},
            r"two columns of a table of answers one name: \['way_up'\]. Rename one",
        ),
        ({"targets": (SPEED, Growth(name="speed_lower"))}, r"\['speed_lower'\]"),
        (
            {"targets": (Growth(name="model", bounds=(0.0,), labels=("version", "none")),)},
            r"\['model_version'\]",
        ),
    ],
)
def test_targets_that_cannot_stand_together_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        replace(CASE.task, **change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task": replace(CASE.task, column="prise")}, r"task.column of case prices uses \['prise'\]"),
        ({"columns": (*CASE.columns, Column(name="mood", labels=("a", "b")))}, r"a series with labels in \['mood'\]"),
        ({"features": (Change(name="up", column="rte"),)}, r"features of case prices uses \['rte'\]"),
        ({"task": replace(CASE.task, column="rate")}, "growth of rate, which may be zero or below"),
        ({"features": ()}, "has no features"),
    ],
)
def test_a_case_that_cannot_be_anticipated_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        replace(CASE, **change)


def test_labels_alone_promise_no_interval_and_numbers_do() -> None:
    assert replace(CASE, task=replace(CASE.task, targets=(WAY, HEIGHT))).coverage_share is None
    assert replace(CASE, task=replace(CASE.task, targets=(SPEED,))).coverage_share == 0.9
    assert CASE.coverage_share == 0.9


# --- where targets stand ------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(levels=some_levels)
@pytest.mark.parametrize("targets", [(WAY, SPEED, HEIGHT), (SPEED, WAY), (HEIGHT,), (SPEED,)], ids=len)
def test_where_targets_stand_is_what_measure_and_bands_say(targets: tuple[Growth, ...], levels: np.ndarray) -> None:
    case = replace(CASE, task=replace(CASE.task, targets=targets))
    measured = [target.measure(levels) for target in targets]
    for target, values in zip(targets, measured, strict=True):
        assume(all(abs(value - bound) > 1e-3 for value in values[3:] for bound in target.bounds))
    windows = np.stack([np.stack([levels, np.ones(12)], axis=1)[end - 4 : end] for end in range(4, 13)])
    naive = [_lay_out(case.task, [values[end - 1] for values in measured]) for end in range(4, 13)]  # type: ignore[arg-type]
    np.testing.assert_allclose(compute_standing(case, windows), naive, atol=1e-3)


def test_the_truth_of_a_window_is_where_the_next_one_stands_now() -> None:
    windows = cut_windows(load_case("cpi").source.read(), load_case("cpi"))
    assert windows.now_BH is not None and len(windows) == 203 - 9
    np.testing.assert_array_equal(windows.r_BH[:-1], windows.now_BH[1:])


@pytest.mark.parametrize("place", [0, 3, 7])
def test_nothing_after_the_next_reading_changes_a_truth_and_nothing_after_a_window_its_state(place: int) -> None:
    levels = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 12)))
    end = place + CASE.history  # the first reading after the window
    one, other = levels.copy(), levels.copy()
    one[end:] *= 3.0
    other[end + 1 :] *= 3.0
    plain, after_window, after_next = (cut_windows(_frame(each), CASE) for each in (levels, one, other))
    for name in ("x_BTF", "z_BSK", "now_BH"):
        np.testing.assert_array_equal(getattr(plain, name)[place], getattr(after_window, name)[place])
    np.testing.assert_array_equal(plain.r_BH[place], after_next.r_BH[place])
    assert not np.array_equal(plain.r_BH[place], after_window.r_BH[place])


def test_the_shortest_history_and_the_fewest_readings_give_one_window() -> None:
    (row,) = cut_windows(_frame(np.array([100.0, 101, 102, 103, 110])), CASE).r_BH.tolist()
    speed = 400 * math.log(110 / 103)
    assert row == pytest.approx(_lay_out(CASE.task, [5.0, speed, 9.0]), rel=1e-4)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"There are 4 readings; one window with its truth takes 4 \+ 1"):
        cut_windows(_frame(np.array([100.0, 101, 102, 103])), CASE)


# --- features -----------------------------------------------------------------------------------------------------

UP, ALSO = Change(name="up", column="rate"), Change(name="also", column="price")
ORDERS: list[tuple[Feature, ...]] = [(UP,), (UP, ALSO), (LOG, UP), (UP, LOG), (UP, LOG, ALSO), (LOG, UP, LOG, ALSO)]


@pytest.mark.parametrize("features", ORDERS, ids=lambda each: "-".join(feature.name for feature in each))
def test_changes_are_differences_among_ratios_in_any_order(features: tuple[Feature, ...]) -> None:
    random = np.random.default_rng(2)
    price, rate = random.uniform(50, 150, 9), random.normal(0, 2, 9)
    case = replace(CASE, features=features)
    naive = {"growth": np.diff(np.log(price)), "up": np.diff(rate), "also": np.diff(price)}
    found = compute_features(case, np.stack([price, rate], axis=1)[None])[0]
    expected = np.stack([naive[feature.name] for feature in features], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_record_has_no_state() -> None:
    assert not isinstance(load_case("digits").task, Anticipate)
    assert isinstance(load_case("digits").task, Classify)
