"""The verdict on a delivery: one row for each situation, on drawn data; and rates that do not depend on the unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import ARRIVED, Case, Change, Column, Forecast, Regress
from okawari.contract.case_words import start_contract
from okawari.contract.contract import Contract, TimeMeaning, read_contract
from okawari.contract.editions import find_rescaling
from okawari.contract.gaps import find_far_times
from okawari.contract.levels import Shift, find_shift, measure_levels
from okawari.contract.moves import find_jump
from okawari.contract.usual import (
    Counts,
    Jump,
    find_jumps,
    find_shifts,
    learn_accepted,
    learn_counts,
    learn_table,
    list_unjudged,
)
from okawari.data.datasets import Blobs
from okawari.data.swapped_days import find_swapped_days
from okawari.models.constant import Constant
from okawari.models.random_walk import RandomWalk
from okawari.policy.decision import Verdict
from okawari.policy.delivery import DeliveryFacts, Edition, judge_delivery
from okawari.schema.calendar import Calendar

PRICES = {"above": 0}
COUNTS = {"minimum": 0}


def make_series(**bounds: float) -> Case:
    """A series of one column, x."""
    return Case(
        name="drawn",
        title="Drawn",
        source=Blobs(),
        time="day",
        columns=(Column(name="x", **bounds),),  # type: ignore[arg-type]
        features=(Change(name="change", column="x"),),
        task=Forecast(target="x", history=5, horizon=1, learns="difference"),
        candidates=(RandomWalk(),),
    )


def make_records(**bounds: float) -> Case:
    """Records of one number, x, and a target."""
    return Case(
        name="drawn",
        title="Drawn",
        source=Blobs(),
        time=ARRIVED,
        columns=(Column(name="x", **bounds),),  # type: ignore[arg-type]
        task=Regress(target=Column(name="y"), coverage_share=0.9),
        candidates=(Constant(),),
    )


def draw_walk(n: int, spread: float = 0.02, seed: int = 1) -> np.ndarray:
    """Prices that move by `spread` a step, with tails as those of stocks."""
    return 100 * np.exp(np.cumsum(spread * np.random.default_rng(seed).standard_t(4, n)))


def draw_shop(n: int, seed: int = 2) -> np.ndarray:
    """Daily sales with one quiet day in each week, on which they fall by 90 %."""
    week = np.array([1, 1.1, 0.9, 1, 1.4, 1.8, 0.1])
    return np.random.default_rng(seed).poisson(60 * week[np.arange(n) % 7]).astype(float)


def draw_volume(n: int, seed: int = 3) -> np.ndarray:
    """Traded shares: steps by a factor of 10 occur."""
    random = np.random.default_rng(seed)
    spikes = np.where(random.random(n) < 0.02, np.log(12), 0.0)
    return 1e6 * np.exp(random.normal(0, 0.4, n) + spikes)


def draw_temperature(n: int, seed: int = 4) -> np.ndarray:
    """Degrees Celsius over the years, of either sign."""
    season = 8 * np.sin(np.arange(n) * 2 * np.pi / 365)
    return 10 + season + np.random.default_rng(seed).normal(0, 3, n)


def draw_rate(n: int) -> np.ndarray:
    """A rate in percent that rises and falls over years, by up to 1 point a step."""
    return 5 + 3 * np.sin(np.arange(n) / 8) + np.random.default_rng(6).normal(0, 0.3, n)


def lay_out(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"day": pd.date_range("2020-01-01", periods=len(values)), "x": values})


def find(values: np.ndarray, n_known: int, case: Case) -> list[Jump]:
    """The jumps of the values from `n_known` on, after the ones before."""
    known, merged = lay_out(values[:n_known]), lay_out(values)
    contract = learn_table(start_contract(case), case, known)
    return find_jumps(contract, case, merged, np.arange(len(values)) >= n_known)


def crash(values: np.ndarray, at: int, factor: float) -> np.ndarray:
    return np.concatenate([values[:at], values[at:] * factor])


CRASH = [  # day by day, the worst month of a market: a fifth, then a tenth back, then a third
    -0.22, 0.1, -0.12, -0.09, 0.11, -0.15, -0.08, 0.12, -0.18, -0.05
]  # fmt: skip

PASSES = {
    "a calm walk goes on": (draw_walk(430), PRICES),
    "the crash of a market": (
        np.concatenate([draw_walk(400), draw_walk(400)[-1] * np.exp(np.cumsum(CRASH))]), PRICES
    ),
    "prices double within a month of a growing company": (
        np.exp(np.cumsum(np.concatenate([np.full(400, 0.01), np.full(30, 0.025)]))), PRICES
    ),
    "a real doubling": (crash(draw_walk(430), 400, 2.0), PRICES),
    "a share falls by half in a day": (crash(draw_walk(430), 400, 0.48), PRICES),
    "quiet days of a shop": (draw_shop(430), COUNTS),
    "spikes of volume": (draw_volume(430), PRICES),
    "sales with many zeros": (
        np.where(np.arange(430) % 3, 0, np.random.default_rng(5).poisson(3, 430)).astype(float), COUNTS
    ),
    "a year of temperatures": (draw_temperature(430), {}),
    "a rate falls towards zero": (
        np.concatenate([draw_rate(400), np.linspace(draw_rate(400)[-1], 0.9, 8), [0.1, 0.2, 0.15]]), {}
    ),
    "a flow around zero": (np.random.default_rng(7).normal(0, 3, 430), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSES)
def test_what_happens_in_the_world_passes(name: str) -> None:
    values, bounds = PASSES[name]
    assert find(values, 400, make_series(**bounds)) == []


@pytest.mark.parametrize("factor", [10, 100, 1000, 0.1, 0.01, 0.001])
@pytest.mark.parametrize("n_rows", [1, 7, 60])
@pytest.mark.parametrize("n_known", [60, 400, 3000])
def test_a_factor_of_ten_or_more_in_prices_is_far_outside(factor: float, n_rows: int, n_known: int) -> None:
    values = crash(draw_walk(n_known + n_rows), n_known, factor)
    [jump] = find(values, n_known, make_series(**PRICES))
    assert jump.after / jump.before == pytest.approx(factor, rel=0.5)
    assert jump.at == pd.Timestamp("2020-01-01") + pd.Timedelta(days=n_known)


def test_the_same_inside_of_a_delivery_is_far_outside() -> None:
    [jump] = find(crash(draw_walk(460), 430, 100.0), 400, make_series(**PRICES))
    assert jump.at == pd.Timestamp("2020-01-01") + pd.Timedelta(days=430)


@pytest.mark.parametrize("factor", [10, 100, 1000])
@pytest.mark.parametrize(("draw", "bounds"), [(draw_shop, COUNTS), (draw_temperature, {})])
def test_a_larger_unit_of_wild_columns_is_far_outside(factor: float, draw: object, bounds: dict[str, float]) -> None:
    values = crash(draw(430), 400, factor)  # type: ignore[operator]
    assert find(values, 400, make_series(**bounds))


@pytest.mark.parametrize("factor", [0.1, 0.01])
def test_a_smaller_unit_of_a_wild_column_is_found_over_several_days(factor: float) -> None:
    [jump] = find(crash(draw_shop(430), 400, factor), 400, make_series(**COUNTS))
    assert jump.n_values > 1


def test_a_factor_of_ten_in_volume_is_found_by_the_median_of_several_days() -> None:
    [jump] = find(crash(draw_volume(440), 400, 10.0), 400, make_series(**PRICES))
    assert jump.n_values > 1


def test_a_change_of_unit_with_an_offset_is_far_outside() -> None:
    celsius = draw_temperature(430)
    fahrenheit = np.concatenate([celsius[:400], 32 + 1.8 * celsius[400:]])
    assert find(fahrenheit, 400, make_series())


def test_a_change_of_sign_is_far_outside() -> None:
    assert find(crash(draw_walk(420), 400, -1.0), 400, make_series())


def test_a_level_that_drops_below_zero_for_the_first_time_by_little_passes() -> None:
    random = np.random.default_rng(8)
    balance = 3 + np.abs(np.cumsum(random.normal(0, 1, 400)))
    later = balance[-1] - np.cumsum(np.full(30, (balance[-1] + 2) / 30))
    assert find(np.concatenate([balance, later]), 400, make_series()) == []


def test_with_thirty_rows_a_factor_of_ten_is_found_and_with_fifteen_nothing_is_judged() -> None:
    case = make_series(**PRICES)
    assert find(crash(draw_walk(31), 30, 10.0), 30, case) and not find(draw_walk(31), 30, case)
    contract = learn_table(start_contract(case), case, lay_out(draw_walk(15)))
    assert list_unjudged(contract, case) == ["x"]
    assert find(crash(draw_walk(16), 15, 10.0), 15, case) == []


def test_a_gap_of_a_year_allows_what_a_year_brings_but_no_factor_of_hundred() -> None:
    case, values = make_series(**PRICES), draw_walk(420)
    contract = learn_table(start_contract(case), case, lay_out(values[:400]))
    for factor, n_found in ((2.5, 0), (100.0, 1)):
        merged = lay_out(crash(values, 400, factor))
        merged.loc[400:, "day"] += pd.Timedelta(days=365)
        assert len(find_jumps(contract, case, merged, np.arange(420) >= 400)) == n_found


@settings(max_examples=30, deadline=None)
@given(unit=st.floats(1e-6, 1e6), factor=st.sampled_from([1.0, 3.0, 10.0, 0.02]))
def test_the_unit_of_a_price_changes_no_verdict(unit: float, factor: float) -> None:
    values, case = crash(draw_walk(220), 200, factor), make_series(**PRICES)
    assert bool(find(values * unit, 200, case)) == bool(find(values, 200, case))


def test_a_jump_that_a_person_accepted_passes_again_but_the_next_fault_does_not() -> None:
    case, values = make_series(**PRICES), draw_walk(460)
    contract = learn_table(start_contract(case), case, lay_out(values[:400]))
    hundredfold = crash(values, 400, 100.0)
    found = find_jumps(contract, case, lay_out(hundredfold), np.arange(460) >= 400)
    contract = learn_table(learn_accepted(contract, found), case, lay_out(hundredfold))
    assert read_contract(contract.to_json()) == contract
    assert find_jumps(contract, case, lay_out(hundredfold), np.arange(460) >= 400) == []
    again = lay_out(crash(hundredfold, 450, 100.0))
    assert len(find_jumps(contract, case, again, np.arange(460) >= 450)) == 1


def test_the_figures_of_a_column_do_not_grow_with_its_table() -> None:
    case = make_series(**PRICES)
    sizes = [len(learn_table(start_contract(case), case, lay_out(draw_walk(n))).to_json()) for n in (500, 20000)]
    assert sizes[1] < 1.1 * sizes[0] < 4000


# --- records ------------------------------------------------------------------------------------------------------


def draw_weights(n: int, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).normal(70, 12, n)


KNOWN = {
    "weights in kg": (draw_weights(500), {"above": 0}),
    "skewed amounts": (np.exp(np.random.default_rng(10).normal(5, 1.5, 500)), {"above": 0}),
    "coordinates": (np.random.default_rng(11).normal(0, 2, 500), {}),
    "celsius": (np.random.default_rng(12).normal(15, 8, 500), {}),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("n_rows", [1, 20, 100])
def test_more_records_of_the_same_kind_pass(name: str, n_rows: int) -> None:
    values, _ = KNOWN[name]
    usual = measure_levels(values[:-100])
    assert find_shift("x", values[-n_rows:], usual) is None


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("factor", [10, 100, 1000])
def test_a_factor_of_ten_or_more_in_records_is_far_outside(name: str, factor: float) -> None:
    values, _ = KNOWN[name]
    usual = measure_levels(values[:-60])
    assert find_shift("x", values[-60:] * factor, usual) is not None


@pytest.mark.parametrize("factor", [0.1, 0.01])
def test_a_smaller_unit_of_records_is_far_outside(factor: float) -> None:
    for values, _ in KNOWN.values():
        assert find_shift("x", values[-60:] * factor, measure_levels(values[:-60])) is not None


def test_pounds_fahrenheit_and_another_sign_are_far_outside_in_records() -> None:
    weights, celsius = KNOWN["weights in kg"][0], KNOWN["celsius"][0]
    assert find_shift("x", weights[-60:] * 2.2046, measure_levels(weights[:-60])) is not None
    assert find_shift("x", 32 + 1.8 * celsius[-60:], measure_levels(celsius[:-60])) is not None
    assert find_shift("x", -weights[-60:], measure_levels(weights[:-60])) is not None


def test_a_level_of_records_that_a_person_accepted_passes_again() -> None:
    case, weights = make_records(above=0), draw_weights(700)
    table = pd.DataFrame({ARRIVED: pd.date_range("2020", periods=700), "x": weights, "y": weights})
    contract = learn_table(start_contract(case), case, table[:500])
    grams = table[500:600].assign(x=weights[500:600] * 1000)
    [shift] = find_shifts(contract, case, grams)
    assert isinstance(shift, Shift) and "the median of x goes from 70.5" in shift.sentence
    contract = learn_table(learn_accepted(contract, [shift]), case, pd.concat([table[:500], grams]))
    assert find_shifts(contract, case, table[600:].assign(x=weights[600:] * 1000)) == []


# --- the verdict --------------------------------------------------------------------------------------------------

CASE = make_series(**COUNTS)
CONTRACT = replace(
    learn_counts(start_contract(CASE), Counts(rows=1000, refused=4, missing={"x": 10}), by_person=False),
    time=TimeMeaning(name="day"),
    dialect={"ends_cut": "no", "accepted_notes": "fields are separated by ;"},
)
JUMP = Jump(
    column="x", at=pd.Timestamp("2024-05-01"), before=132.5, after=13250.0, n_values=1, scale="ratio", largest=1.2,
    n_moves=900, sizes=(90.0, 140.0),
)  # fmt: skip


def tell(rows: int = 100, **given: object) -> DeliveryFacts:
    counts = {
        name: given.pop(name)
        for name in ("refused", "missing", "new_words", "revised", "filled", "stored")
        if name in given
    }
    return DeliveryFacts(counts=Counts(rows=rows, **counts), **given)  # type: ignore[arg-type]


VERDICTS = {
    "all rows are fine": (tell(), "accepted", "all 100 rows are valid"),
    "a few rows are refused": (tell(refused=3, first_refusal="x is 'n/a'"), "accepted in part", "3 of 100 rows"),
    "all rows are unreadable": (tell(refused=100), "held", "100 of 100 rows (100%) are refused; 0% is usual"),
    "both of two rows are unreadable": (tell(2, refused=2), "accepted in part", "2 of 2 rows refused"),
    "all of three rows are unreadable": (tell(3, refused=3), "held", "3 of 3 rows (100%) are refused"),
    "14 % are unreadable": (tell(150, refused=21), "held", "21 of 150 rows (14%) are refused; 0% is usual"),
    "60 % of a column are empty": (tell(missing={"x": 60}), "held", "60 of 100 rows (60%) are without x; 1% is usual"),
    "some more than usual are empty": (tell(missing={"x": 6}), "accepted", "all 100 rows are valid"),
    "40 % have a new word": (tell(new_words={"x": 40}), "held", "40 of 100 rows (40%) have words of x that are new"),
    "2 of 10 rows have a new word": (tell(10, new_words={"x": 2}), "accepted", "all 10 rows"),
    "4 % have a new word": (tell(new_words={"x": 4}), "accepted", "all 100 rows"),
    "a column allows more new words": (
        tell(new_words={"x": 40}, new_shares={"x": 0.5}), "accepted", "all 100 rows"
    ),
    "a jump": (tell(moved=(JUMP,)), "held", "x goes from 132.5 to 13,250 at 2024-05-01 00:00, a factor of 100"),
    "much is revised": (tell(revised=100, stored=900), "held", "100 of 900 stored readings (11%) are revised"),
    "much is filled in": (
        tell(revised=10, filled=90, stored=900), "accepted", "90 stored rows got values of columns"
    ),
    "little is revised": (tell(revised=20, stored=900), "accepted", "all 100 rows"),
    "a new edition": (
        tell(revised=100, stored=900, edition=Edition(reason="a new edition", factors={"x": (0.5, 1.0)})),
        "accepted",
        "a new edition (x by 0.5 to 1)",
    ),
    "a jump in a new edition": (tell(edition=Edition(reason="a new edition"), moved=(JUMP,)), "held", "x goes from"),
    "a cut file": (tell(ends_cut=True), "held", "ends within its last line"),
    "times in another format": (tell(notes=["times are written 31/12/2024"]), "held", "times are written 31/12/2024"),
    "a format that a person has accepted": (tell(notes=["fields are separated by ;"]), "accepted", "all 100 rows"),
    "times far away": (tell(far_times="a reading is of 1970-01-01"), "held", "a reading is of 1970-01-01"),
    "too little history": (tell(unjudged=["x"]), "accepted", "too little history to judge the level of x"),
}  # fmt: skip


@pytest.mark.parametrize("name", VERDICTS)
def test_each_situation_has_its_verdict_and_a_reason_with_its_numbers(name: str) -> None:
    facts, verdict, reason = VERDICTS[name]
    decision = judge_delivery(CONTRACT, facts)
    assert decision.action == verdict
    assert reason in decision.reason


def test_the_first_delivery_sets_what_is_usual_and_is_never_held() -> None:
    decision = judge_delivery(None, tell(refused=40, missing={"x": 60}, ends_cut=True, first_refusal="x is 'n/a'"))
    assert decision.action == Verdict.ACCEPTED_IN_PART


@pytest.mark.parametrize("what", ["refused", "missing"])
def test_a_share_that_a_person_accepted_is_usual_from_then_on(what: str) -> None:
    counts = Counts(rows=100, refused=60 if what == "refused" else 0, missing={"x": 60} if what == "missing" else {})
    facts = DeliveryFacts(counts=counts)
    assert judge_delivery(CONTRACT, facts).action == Verdict.HELD
    learned: Contract = learn_counts(CONTRACT, counts, by_person=True)
    assert judge_delivery(learned, facts).action != Verdict.HELD


def test_a_file_without_a_last_line_end_is_usual_where_the_first_one_was_like_that() -> None:
    usual = replace(CONTRACT, dialect={"ends_cut": "yes"})
    assert judge_delivery(usual, tell(ends_cut=True)).action == Verdict.ACCEPTED


def test_single_rows_that_are_refused_one_after_another_are_held_at_the_third() -> None:
    contract, counts = CONTRACT, Counts(rows=1, refused=1)
    for _ in range(2):
        assert judge_delivery(contract, DeliveryFacts(counts=counts)).action == Verdict.ACCEPTED_IN_PART
        contract = learn_counts(contract, counts, by_person=False)
    decision = judge_delivery(contract, DeliveryFacts(counts=counts))
    assert decision.action == Verdict.HELD and "3 of 3 rows (100%) are refused" in decision.reason
    again = learn_counts(contract, Counts(rows=1), by_person=False)
    assert judge_delivery(again, DeliveryFacts(counts=counts)).action == Verdict.ACCEPTED_IN_PART


@pytest.mark.parametrize(
    ("start", "is_far"),
    [("2024-01-01", False), ("2024-06-01", False), ("2025-02-01", True), ("1924-01-01", True), ("2022-12-01", False)],
)
def test_readings_far_from_the_stored_ones_are_found(start: str, is_far: bool) -> None:
    stored = pd.Series(pd.date_range("2023-01-01", "2023-12-31"))
    assert bool(find_far_times(stored, pd.Series(pd.date_range(start, periods=5)))) is is_far


@pytest.mark.parametrize(
    ("written", "frequency", "is_found"),
    [("%m.%d.%Y", "D", True), ("%d.%m.%Y", "D", False), ("%d.%m.%Y", "MS", False)],
)
def test_days_and_months_that_changed_places_are_found(written: str, frequency: str, is_found: bool) -> None:
    times = pd.Series(pd.date_range("2023-12-01", periods=10, freq=frequency).strftime(written))
    calendar = Calendar(frequency=frequency).anchored(np.array(["2022-01-01"], dtype="datetime64[ns]"))
    assert bool(find_swapped_days(times, "%d.%m.%Y", calendar)) is is_found


# --- new editions -------------------------------------------------------------------------------------------------


def test_adjusted_prices_are_one_replacement_and_sixty_days_in_cents_are_not() -> None:
    case, values = make_series(**PRICES), draw_walk(500)
    stored = lay_out(values)
    split = np.where(np.arange(500) < 300, 0.25, 1.0) * np.where(np.arange(500) < 450, 0.99, 1.0)
    adjusted = lay_out((values * split).round(4))
    assert find_rescaling(case, stored, adjusted) == {"x": (pytest.approx(0.2475, rel=1e-3), pytest.approx(1.0))}
    assert find_rescaling(case, stored, lay_out(values * 100)) == {"x": (pytest.approx(100.0), pytest.approx(100.0))}
    assert find_rescaling(case, stored, lay_out(values * 100)[-60:]) is None
    noisy = values * np.exp(np.random.default_rng(13).normal(0, 0.1, 500))
    assert find_rescaling(case, stored, lay_out(noisy)) is None


def test_a_jump_names_what_came_and_what_was_usual() -> None:
    [jump] = find(crash(draw_walk(420), 400, 100.0), 400, make_series(**PRICES))
    assert (
        "x goes from " in jump.sentence and "the largest of 399 such moves before was a factor of 1." in jump.sentence
    )
    assert find_jump.__doc__
