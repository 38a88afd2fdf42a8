"""The drift verdict: calibrated, corrected, and honest about what it cannot know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bokeh_sampledata import stocks
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from scipy.stats import ks_2samp

from monitoring.contingency import measure_contingency
from monitoring.drift import (
    MAX_CURRENT,
    MAX_REFERENCE,
    ColumnDrift,
    DriftVerdict,
    measure_block_ks,
    measure_drift,
)
from okawari.case import Case, Change, Column, Drift, Forecast
from okawari.data.datasets import Blobs
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.errors import InvalidInput
from okawari.models.random_walk import RandomWalk

RULE = Drift()


def draw_frame(n: int, seed: int = 0, share: float = 0.0, names: Sequence[str] = "abc") -> pd.DataFrame:
    noise = np.random.default_rng(seed).standard_normal((n + 200, len(names)))
    return pd.DataFrame(signal.lfilter([1.0], [1.0, -share], noise, axis=0)[200:], columns=list(names))


def split(frame: pd.DataFrame, n_current: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frame.iloc[:-n_current], frame.iloc[-n_current:]


@pytest.fixture(scope="module")
def apple() -> pd.DataFrame:
    """Daily features of Apple's shares 2000 to 2013, split and dividend adjusted."""
    raw = pd.DataFrame(stocks.AAPL)
    prices = raw[["high", "low", "close"]].mul(raw["adj_close"] / raw["close"], axis=0)
    features = {
        "log_return": np.log(prices["close"]).diff(),
        "log_range": np.log(prices["high"] / prices["low"]),
        "log_volume_change": np.log(raw["volume"]).diff(),
    }
    return pd.DataFrame(features).set_axis(pd.to_datetime(raw["date"])).iloc[1:]


def look(features: pd.DataFrame, reference_until: str, current_until: str) -> DriftVerdict:
    reference = features.loc[:reference_until].tail(RULE.reference)
    current = features.loc[:current_until].loc[reference.index[-1] :].iloc[1:].tail(RULE.current)
    return measure_drift(reference, current, RULE)


def test_january_2008_drifts_from_the_three_years_before(apple: pd.DataFrame) -> None:
    verdict = look(apple, "2007-12-31", "2008-01-31")
    assert verdict.verdict == "drifted"
    assert [column.column for column in verdict.columns if column.drifted] == ["log_range"]
    assert (verdict.n_reference, verdict.n_current) == (750, 21)


@pytest.mark.parametrize("until", ["2008-02-29", "2008-10-31"])
def test_the_turmoil_of_2008_goes_on_being_seen(apple: pd.DataFrame, until: str) -> None:
    assert look(apple, "2007-12-31", until).verdict == "drifted"


def test_quiet_stretches_of_real_data_are_mostly_stable(apple: pd.DataFrame) -> None:
    quiet = [
        ("2004-12-31", "2005-03-31"), ("2005-06-30", "2005-08-31"), ("2005-12-31", "2006-02-28"),
        ("2006-06-30", "2006-07-31"), ("2006-06-30", "2006-08-31"), ("2006-06-30", "2006-09-30"),
        ("2009-12-31", "2010-03-31"), ("2010-12-31", "2011-03-31"), ("2012-03-31", "2012-06-30"),
    ]  # fmt: skip
    alarms = [pair for pair in quiet if look(apple, *pair).verdict == "drifted"]
    assert len(alarms) <= 1, alarms


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_autocorrelation_alone_raises_hardly_any_alarm(share: float) -> None:
    looks = [split(draw_frame(810, seed, share), 60) for seed in range(40)]
    plain = sum(any(ks_2samp(old[name], new[name]).pvalue < 0.05 for name in old) for old, new in looks)
    ours = sum(measure_drift(old, new, RULE).verdict == "drifted" for old, new in looks)
    assert ours <= 5, "5% of 40 looks is 2; 6 or more would happen in 1.4% of all worlds"
    assert plain > ours


def test_a_shift_of_one_standard_deviation_is_found_in_its_column_only() -> None:
    reference, current = split(draw_frame(810), 60)
    verdict = measure_drift(reference, current.assign(b=current["b"] + 1), RULE)
    assert [column.drifted for column in verdict.columns] == [False, True, False]
    assert "b (distance" in verdict.reason


def test_a_sure_but_tiny_effect_is_no_drift() -> None:
    reference, current = split(draw_frame(810), 60)
    moved = current.assign(b=current["b"] + 1)
    found = measure_drift(reference, moved, RULE).columns[1]
    held = measure_drift(reference, moved, replace(RULE, min_effect=found.distance + 0.01)).columns[1]
    assert (found.drifted, held.drifted) == (True, False)
    assert held.p_value == found.p_value <= held.threshold
    assert held.alarm_level == 0 < found.alarm_level == found.threshold


def test_holm_asks_more_of_the_first_column_than_of_the_last() -> None:
    reference, current = split(draw_frame(810), 60)
    thresholds = [column.threshold for column in measure_drift(reference, current + 1, RULE).columns]
    assert sorted(thresholds) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05])
    quiet = [column.threshold for column in measure_drift(reference, current, RULE).columns]
    assert quiet == pytest.approx([0.05 / 3] * 3)


def test_the_column_says_drifted_exactly_where_its_alarm_level_does() -> None:
    for seed in range(30):
        reference, current = split(draw_frame(810, seed), 60)
        for column in measure_drift(reference, current.add([0, 0.3, 0.6]), RULE).columns:
            assert column.drifted == (column.p_value <= column.alarm_level)


@given(st.lists(st.integers(0, 5), min_size=60, max_size=90), st.lists(st.integers(0, 5), min_size=2, max_size=10))
def test_the_distance_is_the_textbook_one_also_with_ties(reference: list[int], current: list[int]) -> None:
    distance, p_value = measure_block_ks(np.array(reference, float), np.array(current, float))
    assert distance == pytest.approx(ks_2samp(reference, current, method="asymp").statistic)
    assert 0 < p_value <= 1


def test_the_p_value_is_never_below_what_the_blocks_have_shown() -> None:
    reference = np.random.default_rng(0).standard_normal(750)
    distance, p_value = measure_block_ks(reference, np.full(60, 99.0))
    assert distance == 1
    assert p_value >= 1 / 692


def test_blocks_are_held_against_the_rest_of_the_reference() -> None:
    reference = np.random.default_rng(1).standard_normal(100)
    current = np.random.default_rng(2).standard_normal(10) + 0.5
    naive = [
        ks_2samp(np.delete(reference, slice(at, at + 10)), reference[at : at + 10], method="asymp").statistic
        for at in range(91)
    ]
    observed, p_value = measure_block_ks(reference, current)
    assert p_value >= (1 + sum(distance >= observed for distance in naive)) / 92


def test_a_constant_column_is_stable_until_its_constant_changes() -> None:
    reference, current = split(draw_frame(810).assign(b=1.0), 60)
    assert measure_drift(reference, current, RULE).columns[1].p_value == 1
    assert measure_drift(reference, current.assign(b=2.0), RULE).columns[1].drifted


def test_the_verdict_does_not_change_its_input_and_repeats_itself() -> None:
    reference, current = split(draw_frame(810), 60)
    before = reference.copy(), current.copy()
    assert measure_drift(reference, current, RULE) == measure_drift(reference, current, RULE)
    pd.testing.assert_frame_equal(reference, before[0])
    pd.testing.assert_frame_equal(current, before[1])


def test_only_the_newest_rows_are_measured() -> None:
    reference, current = draw_frame(MAX_REFERENCE + 500, 1), draw_frame(MAX_CURRENT + 200, 2)
    older = pd.concat([reference.head(500) + 1000, reference.tail(MAX_REFERENCE)])
    verdict = measure_drift(older, current, RULE)
    assert verdict == measure_drift(reference, current, RULE)
    assert (verdict.n_reference, verdict.n_current) == (MAX_REFERENCE, MAX_CURRENT)


@pytest.mark.parametrize(
    ("n_reference", "n_current", "rule", "said"),
    [
        (750, 19, RULE, "19 current rows; the rule needs 20"),
        (750, 0, RULE, "0 current rows"),
        (299, 60, RULE, "holds 5.0 blocks of 60; 5 are needed"),
        (120, 20, replace(RULE, alpha=0.01), "needs 0.0033"),
    ],
)
def test_too_little_data_gives_no_verdict_and_the_reason(
    n_reference: int, n_current: int, rule: Drift, said: str
) -> None:
    verdict = measure_drift(draw_frame(n_reference), draw_frame(max(n_current, 1), 1).head(n_current), rule)
    assert (verdict.verdict, verdict.columns) == ("not enough data", ())
    assert said in verdict.reason


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("side", ["reference", "current"])
def test_a_value_that_is_no_number_is_refused_by_name(bad: float, side: str) -> None:
    samples = {"reference": draw_frame(750), "current": draw_frame(60, 1)}
    samples[side].loc[7, "b"] = bad
    with pytest.raises(InvalidInput, match=rf"Column b of the {side}.* 1 values"):
        measure_drift(samples["reference"], samples["current"], RULE)


def test_columns_that_do_not_match_are_refused_by_name() -> None:
    reference, current = split(draw_frame(810), 60)
    with pytest.raises(InvalidInput, match="Column c occurs 0 times in the current rows"):
        measure_drift(reference, current.drop(columns="c"), RULE)
    with pytest.raises(InvalidInput, match="Column d occurs 0 times in the reference"):
        measure_drift(reference, current.assign(d=1.0), RULE)
    with pytest.raises(InvalidInput, match="Column a occurs 2 times"):
        measure_drift(pd.concat([reference, reference[["a"]]], axis=1), current, RULE)
    with pytest.raises(InvalidInput, match="Column b is float64 in the reference and object in the current rows"):
        measure_drift(reference, current.assign(b="x"), RULE)
    with pytest.raises(InvalidInput, match="no columns"):
        measure_drift(reference[[]], current[[]], RULE)


def draw_words(n: int, seed: int, shares: dict[str, float]) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    words = random.choice(list(shares), n, p=list(shares.values()))
    return pd.DataFrame({"plan": pd.Series(words, dtype=object), "amount": random.normal(size=n)})


EVEN = {"basic": 0.5, "plus": 0.3, "pro": 0.2}


def test_words_are_compared_without_an_order_and_new_ones_count() -> None:
    reference = draw_words(750, 1, EVEN)
    assert measure_drift(reference, draw_words(100, 2, EVEN), RULE, in_order=False).verdict == "stable"
    for shares in ({"basic": 0.2, "plus": 0.3, "pro": 0.5}, {"basic": 0.5, "plus": 0.1, "pro": 0.2, "family": 0.2}):
        verdict = measure_drift(reference, draw_words(100, 3, shares), RULE, in_order=False)
        assert [(each.column, each.test) for each in verdict.columns if each.drifted] == [("plan", "contingency")]
    renamed = reference.replace({"plan": {"basic": "z_basic", "pro": "a_pro"}})
    now = draw_words(100, 4, EVEN)
    assert measure_drift(
        renamed, now.replace({"plan": {"basic": "z_basic", "pro": "a_pro"}}), RULE, in_order=False
    ) == (measure_drift(reference, now, RULE, in_order=False))


def test_words_without_drift_alarm_as_rarely_as_promised() -> None:
    rare = {"a": 0.7, "b": 0.2, **{f"w{place}": 0.01 for place in range(10)}}
    draws = [draw_words(370, seed, rare)["plan"].to_numpy() for seed in range(300)]
    p_values = [measure_contingency(draw[:300], draw[300:])[1] for draw in draws]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.085


def test_missing_numbers_are_left_out_and_a_side_without_any_says_nothing() -> None:
    reference, current = draw_words(300, 1, EVEN), draw_words(60, 2, EVEN)
    gone = measure_drift(reference, current.assign(amount=np.nan), RULE, in_order=False)
    assert [(each.distance, each.p_value) for each in gone.columns if each.column == "amount"] == [(0.0, 1.0)]


SENSORS = Case(
    name="sensors", title="Sensors", source=Blobs(), time="hour", frequency="h",
    columns=(Column(name="heat", missing="allow"), Column(name="wind", missing="allow")),
    features=(Change(name="heat_change", column="heat"), Change(name="wind_change", column="wind")),
    task=Forecast(target="heat", history=24, horizon=1, learns="difference"), candidates=(RandomWalk(),),
)  # fmt: skip


def draw_sensors(seed: int, n_lost: int = 0, is_whole: bool = False, share: float = 0.7) -> pd.DataFrame:
    """810 hours, of which sensors lose some in runs; in the last 60 the wind's sensor loses `n_lost` at random more.

    With `is_whole` these hours have no reading at all.
    """
    random = np.random.default_rng(seed)
    state = draw_frame(810, seed, share, names=("heat", "wind", "hour"))
    is_hole = state * np.sqrt(1 - share**2) < -1.5
    frame = pd.DataFrame({"hour": pd.date_range("2024-01-01", periods=810, freq="h")})
    for name in ("heat", "wind"):
        frame[name] = pd.Series(random.normal(size=810)).mask(is_hole[name] | is_hole["hour"])
    lost = 750 + random.choice(60, n_lost, replace=False)
    frame.loc[lost, ["heat", "wind"] if is_whole else ["wind"]] = np.nan
    return frame


def look_at_sensors(frame: pd.DataFrame) -> DriftVerdict:
    features = compute_feature_frame(frame, SENSORS)
    is_new = features["hour"] >= frame["hour"][750]
    columns = features.drop(columns="hour")
    return measure_drift(columns[~is_new], columns[is_new], replace(RULE, reference=750))


def test_a_sensor_that_begins_to_fail_drifts_by_its_name() -> None:
    verdict = look_at_sensors(draw_sensors(3, n_lost=25))
    assert "wind missing" in [column.column for column in verdict.columns if column.drifted]
    assert "wind missing (distance" in verdict.reason
    assert not {"heat missing", "missing steps"} & {column.column for column in verdict.columns if column.drifted}


def test_a_feed_that_begins_to_skip_hours_drifts() -> None:
    verdict = look_at_sensors(draw_sensors(3, n_lost=25, is_whole=True))
    assert "missing steps" in [column.column for column in verdict.columns if column.drifted]


def test_holes_that_come_together_raise_hardly_any_alarm() -> None:
    alarms = sum(look_at_sensors(draw_sensors(seed)).verdict == "drifted" for seed in range(40))
    assert alarms <= 5, "5% of 40 looks is 2; 6 or more would happen in 1.4% of all worlds"


def test_the_holes_of_many_columns_are_counted_together() -> None:
    names = [f"v{place}" for place in range(15)]
    wide = replace(
        SENSORS,
        columns=tuple(Column(name=name, missing="allow") for name in names),
        features=tuple(Change(name=f"{name}_change", column=name) for name in names),
        task=replace(SENSORS.task, target="v0"),
    )
    random = np.random.default_rng(1)
    values = pd.DataFrame(random.normal(size=(200, 15)), columns=names).mask(random.random((200, 15)) < 0.05)
    features = compute_feature_frame(values.assign(hour=pd.date_range("2024-01-01", periods=200, freq="h")), wide)
    assert [name for name in features if "missing" in name] == ["missing values"]
    assert features["missing values"].sum() == values.iloc[1:].isna().to_numpy().sum()


def test_facts_are_json() -> None:
    verdict = measure_drift(*split(draw_frame(810), 60), RULE)
    facts = json.loads(json.dumps(verdict.facts()))
    assert facts["verdict"] == verdict.verdict
    assert [ColumnDrift(**column) for column in facts["columns"]] == list(verdict.columns)
