"""Widths that follow outcomes: how fast, how far, and that only this installation's own factors are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.errors import InvalidInput
from okawari.evaluation.adaptive_width import LEAST, MOST, adapt_width
from okawari.evaluation.interval_outcomes import score_intervals
from okawari.schema.record_transforms import Level, Logarithm
from okawari.schema.transforms import Difference, LogReturn
from okawari.storage.width_factors import WidthFactor, find_factor_file, load_factor, load_stored, save_factor

FACTOR = WidthFactor(
    case="small", version="3", graph_sha256="a" * 64, number=1, factor_H=(1.25, 0.5), n_outcomes_H=(40, 38)
)  # fmt: skip


def _draw(n: int, spread: float = 1.0, seed: int = 1) -> np.ndarray:
    """Scores of normal errors whose calibrated interval holds 90 %."""
    return np.abs(np.random.default_rng(seed).normal(0, spread, n)) / 1.645


def test_without_outcomes_the_factor_is_one() -> None:
    assert adapt_width(np.array([]), 0.9).factor == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_changes_the_factor_stays_near_one(seed: int) -> None:
    path_N = adapt_width(_draw(1000, seed=seed), 0.9).path_N
    assert 0.85 < np.median(path_N) < 1.15


@pytest.mark.parametrize(("spread", "expected"), [(3.0, 3.0), (1.5, 1.5), (0.5, 0.5)])
def test_after_a_change_of_regime_the_factor_converges_to_it(spread: float, expected: float) -> None:
    score_N = np.concatenate([_draw(300), _draw(500, spread, seed=2)])
    path_N = adapt_width(score_N, 0.9).path_N
    assert np.median(path_N[400:]) == pytest.approx(expected, rel=0.2)
    assert np.mean(score_N[400:] <= path_N[400:]) == pytest.approx(0.9, abs=0.03)


def test_the_first_month_of_a_storm_is_covered_far_better_than_by_a_fixed_width() -> None:
    """The mean of 20 storms, without their first ten outcomes."""
    fixed, adapted = [], []
    for seed in range(20):
        score_N = np.concatenate([_draw(300, seed=seed), _draw(40, 3.0, seed=100 + seed)])
        path_N = adapt_width(score_N, 0.9).path_N
        fixed.append(np.mean(score_N[310:] <= 1))
        adapted.append(np.mean(score_N[310:] <= path_N[310:]))
    assert np.mean(fixed) < 0.5 and np.mean(adapted) > 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1.0, 2.5), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_long_run_coverage_is_the_promised_one_for_any_scores_within_the_bounds(
    seed: int, spread: float, share: float
) -> None:
    random = np.random.default_rng(seed)
    score_N = np.exp(np.cumsum(random.normal(0, 0.05, 2000)).clip(-1, 1)) * random.uniform(0, spread, 2000)
    adapted = adapt_width(score_N, share)
    assert (adapted.path_N >= LEAST).all() and (adapted.path_N <= MOST).all()
    assert np.mean(score_N <= adapted.path_N) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("score", "bound"), [(1e9, MOST), (0.0, LEAST)])
def test_the_factor_keeps_to_its_bounds(score: float, bound: float) -> None:
    assert adapt_width(np.full(3000, score), 0.9).factor == pytest.approx(bound, rel=0.05)


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not finite"):
        adapt_width(np.array([1.0, np.nan]), 0.9)


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize(
    "transform", [LogReturn(), Difference(), Level(), Logarithm()], ids=lambda each: type(each).__name__
)
def test_scores_are_in_calibrated_half_widths_whatever_was_served(transform, factor: float) -> None:
    level, r, half = np.array([10.0, 20.0]), np.array([0.5, 0.25]), np.array([0.2, 0.4])
    moves = r + np.array([0.3, -0.2])
    pairs = pd.DataFrame(
        {
            "level": level,
            "prediction": transform.backward(level, r),
            "lower": transform.backward(level, r - factor * half),
            "upper": transform.backward(level, r + factor * half),
            "width_factor": factor,
            "truth": transform.backward(level, moves),
        }
    )
    np.testing.assert_allclose(score_intervals(pairs, transform), [1.5, 0.5], rtol=1e-9)


def test_a_bound_that_is_cut_off_takes_the_width_of_the_other_side_and_rows_without_width_are_left_out() -> None:
    pairs = pd.DataFrame(
        {
            "level": [3.0, 3.0, 3.0],
            "prediction": [1.0, 1.0, 1.0],
            "lower": [0.0, 1.0, np.nan],
            "upper": [5.0, 1.0, np.nan],
            "width_factor": [1.0, 1.0, 1.0],
            "truth": [0.0, 1.0, 2.0],
        }
    )
    np.testing.assert_allclose(score_intervals(pairs, Difference()), [0.25])


def test_a_stored_factor_is_read_back(home: Path) -> None:
    assert load_stored("small", "3", "a" * 64) is None
    assert save_factor(FACTOR)
    assert load_stored("small", "3", "a" * 64) == FACTOR
    assert FACTOR.name == "3.1"


def test_a_factor_of_fewer_outcomes_does_not_replace_one_of_more(home: Path) -> None:
    save_factor(FACTOR)
    assert not save_factor(replace(FACTOR, number=2, n_outcomes_H=(40, 37)))
    assert save_factor(replace(FACTOR, number=2, n_outcomes_H=(41, 39)))
    stored = load_stored("small", "3", "a" * 64)
    assert stored is not None and stored.number == 2


@pytest.mark.fault
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda told: {**told, "content": told["content"].replace("1.25", "8.25")}, "does not fit its content"),
        (lambda told: {**told, "signature": "00" * 64}, "does not fit its content"),
        (lambda told: {"content": told["content"]}, "cannot be read"),
        (lambda told: [], "cannot be read"),
    ],
)
def test_an_altered_factor_is_refused(home: Path, change, fault: str) -> None:
    save_factor(FACTOR)
    file = find_factor_file("small", "3")
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(InvalidInput, match=fault):
        load_factor(file, "small", "3", "a" * 64)
    assert save_factor(replace(FACTOR, number=2))  # the next monitor replaces it
    assert load_stored("small", "3", "a" * 64) is not None


@pytest.mark.fault
def test_a_factor_of_another_model_and_one_out_of_bounds_are_refused(home: Path) -> None:
    save_factor(FACTOR)
    file = find_factor_file("small", "3")
    with pytest.raises(InvalidInput, match="belongs to small version 3, graph aaaaaaaaaaaa, not to small version 3"):
        load_factor(file, "small", "3", "b" * 64)
    save_factor(replace(FACTOR, factor_H=(1.0, 1e6)))
    with pytest.raises(InvalidInput, match=r"they are 0\.1 to 10"):
        load_factor(file, "small", "3", "a" * 64)


@pytest.mark.fault
def test_a_write_that_was_killed_leaves_the_old_factor(home: Path) -> None:
    save_factor(FACTOR)
    file = find_factor_file("small", "3")
    (file.parent / f"{file.name}.tmp").write_text('{"content": "half of')
    assert load_stored("small", "3", "a" * 64) == FACTOR
    assert save_factor(replace(FACTOR, number=2))
