"""The performance verdict: the random walk and the promised coverage hold a model to account."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.performance import measure_performance, measure_worse_p_value
from okawari.errors import InvalidInput


def draw_outcomes(n: int = 200, seed: int = 0, *, error: float = 1.0, half_width: float = 1.645) -> pd.DataFrame:
    """Truths one unit of noise around the prediction; the level misses by `1 / error` times as much."""
    rng = np.random.default_rng(seed)
    prediction = 100 + rng.standard_normal(n).cumsum()
    truth = prediction + rng.standard_normal(n)
    level = truth + rng.standard_normal(n) / error
    bounds = {"lower": prediction - half_width, "upper": prediction + half_width}
    return pd.DataFrame({"prediction": prediction, **bounds, "level": level, "truth": truth})


def test_a_model_that_keeps_its_promises_is_good() -> None:
    verdict = measure_performance(draw_outcomes(error=0.7), coverage_share=0.9)
    assert verdict.verdict == "good"
    assert verdict.note is None
    assert verdict.coverage_share == pytest.approx(0.9, abs=0.05)


def test_numbers_agree_with_their_one_line_definitions() -> None:
    frame = draw_outcomes(error=0.7)
    verdict = measure_performance(frame, coverage_share=0.9)
    rmse = ((frame.prediction - frame.truth) ** 2).mean() ** 0.5
    walk = ((frame.level - frame.truth) ** 2).mean() ** 0.5
    assert (verdict.rmse, verdict.baseline_rmse) == pytest.approx((rmse, walk))
    assert verdict.skill_share == pytest.approx(1 - rmse / walk)
    assert verdict.coverage_share == frame.truth.between(frame.lower, frame.upper).mean()
    assert verdict.n == 200


def test_a_model_worse_than_the_random_walk_is_degraded() -> None:
    verdict = measure_performance(draw_outcomes(error=2), coverage_share=0.9)
    assert verdict.verdict == "degraded"
    assert verdict.worse_p_value is not None and verdict.worse_p_value < 0.001
    assert verdict.skill_share is not None and verdict.skill_share < 0
    assert "worse than the random walk" in verdict.reason


def test_an_interval_that_covers_too_little_is_degraded() -> None:
    verdict = measure_performance(draw_outcomes(error=0.7, half_width=1), coverage_share=0.9)
    assert verdict.verdict == "degraded"
    assert "only cover" in verdict.reason


def test_an_interval_that_covers_too_much_is_a_note() -> None:
    verdict = measure_performance(draw_outcomes(error=0.7, half_width=5), coverage_share=0.9)
    assert verdict.verdict == "good"
    assert verdict.note == "The intervals are wider than promised: they cover 200 of 200."


def test_a_model_without_intervals_is_judged_by_its_errors() -> None:
    bare = draw_outcomes(error=0.7).drop(columns=["lower", "upper"])
    empty = bare.assign(lower=np.nan, upper=None)
    for frame in (bare, empty):
        verdict = measure_performance(frame, coverage_share=0.9)
        assert (verdict.verdict, verdict.coverage_share) == ("good", None)
        assert "no intervals" in verdict.reason


def test_the_baseline_itself_is_never_worse_than_the_baseline() -> None:
    frame = draw_outcomes()
    verdict = measure_performance(frame.assign(level=frame["prediction"]), coverage_share=0.9)
    assert (verdict.verdict, verdict.skill_share, verdict.worse_p_value) == ("good", 0, 1)


def test_a_target_that_stands_still_gives_no_skill_but_a_verdict() -> None:
    frame = draw_outcomes()
    verdict = measure_performance(frame.assign(level=frame["truth"]), coverage_share=0.9)
    assert (verdict.verdict, verdict.skill_share) == ("degraded", None)


@pytest.mark.parametrize("n", [0, 1, 39])
def test_too_few_outcomes_are_not_judged(n: int) -> None:
    verdict = measure_performance(draw_outcomes().head(n), coverage_share=0.9)
    assert (verdict.verdict, verdict.n, verdict.rmse) == ("not enough data", n, None)
    assert f"{n} predictions" in verdict.reason and "40" in verdict.reason


def test_false_alarms_stay_near_alpha_for_a_model_as_good_as_the_baseline() -> None:
    verdicts = [measure_performance(draw_outcomes(100, seed), coverage_share=0.9, alpha=0.05) for seed in range(300)]
    assert sum(verdict.verdict == "degraded" for verdict in verdicts) <= 27, "5% is 15, three standard errors are 11"


def test_the_hac_variance_does_not_take_a_long_swing_for_many_witnesses() -> None:
    swing = 0.4 + np.repeat(np.random.default_rng(0).standard_normal(20), 10)
    shuffled = np.random.default_rng(1).permutation(swing)
    assert measure_worse_p_value(swing, np.zeros(200)) > measure_worse_p_value(shuffled, np.zeros(200))


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=60))
def test_worse_in_one_direction_is_better_in_the_other(differences: list[float]) -> None:
    loss = np.round(np.array(differences), 3)
    p_value = measure_worse_p_value(loss, np.zeros(len(loss)))
    assert 0 <= p_value <= 1
    if np.ptp(loss) > 0:
        assert p_value + measure_worse_p_value(np.zeros(len(loss)), loss) == pytest.approx(1)


@pytest.mark.parametrize("column", ["prediction", "lower", "upper", "level", "truth"])
def test_a_value_that_is_no_number_is_refused_by_name(column: str) -> None:
    frame = draw_outcomes()
    frame.loc[3, column] = np.nan
    with pytest.raises(InvalidInput, match=f"Column {column} of the outcomes has 1 values"):
        measure_performance(frame, coverage_share=0.9)


def test_wrong_questions_are_refused() -> None:
    frame = draw_outcomes()
    with pytest.raises(InvalidInput, match="Column truth is missing"):
        measure_performance(frame.drop(columns="truth"), coverage_share=0.9)
    with pytest.raises(InvalidInput, match="Column upper is missing"):
        measure_performance(frame.drop(columns="upper"), coverage_share=0.9)
    with pytest.raises(InvalidInput, match="200 intervals have lower above upper"):
        measure_performance(frame.rename(columns={"lower": "upper", "upper": "lower"}), coverage_share=0.9)
    with pytest.raises(InvalidInput, match="coverage_share is 90"):
        measure_performance(frame, coverage_share=90)
    with pytest.raises(InvalidInput, match="min_rows is 1"):
        measure_performance(frame, coverage_share=0.9, min_rows=1)


def test_facts_are_json_in_every_verdict() -> None:
    for frame in (draw_outcomes(), draw_outcomes(10), draw_outcomes(error=5)):
        verdict = measure_performance(frame, coverage_share=0.9)
        assert json.loads(json.dumps(verdict.facts(), allow_nan=False))["reason"] == verdict.reason
