"""The gate's decisions as tables: against the baseline, against a champion, and for a recipe fitted again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Gate
from okawari.policy.comparison import Comparison
from okawari.policy.promotion import Card, choose_challenger, decide_promotion, decide_refresh

NAN = float("nan")
GATE = Gate(min_gain_share=0.01, min_interval_gain_share=0.05, alpha=0.05, floor_level=0.25)
FLOOR = Card(candidate="random_walk", loss=1.0, interval_score=4.0, coverage_share=0.9)


def _shown(gain: float, p_value: float = 0.001, **change: Any) -> Comparison:
    usual = {
        "n_origins": 60, "gain_share": gain, "low_share": gain - 0.1, "high_share": gain + 0.1, "p_value": p_value,
        "plain_gain_share": gain, "n_compared": 7, "n_fits": 5, "loss_name": "horizon loss",
    }  # fmt: skip
    return Comparison(**{**usual, **change})


def _card(name: str = "theta", gain: float = 0.29, p_value: float = 0.001, **change: Any) -> Card:
    usual = {"candidate": name, "loss": 0.7, "interval_score": 4.0, "coverage_share": 0.9}
    return Card(**{**usual, "over_floor": _shown(gain, p_value), **change})


CHAMPION = _card("ets", 0.2)

# --- which challenger? --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], "random_walk"),
        ([_card("lstm", 0.1), _card("sarima", 0.2)], "sarima"),
        ([_card("lstm", 0.3, p_value=0.26), _card("sarima", 0.2)], "sarima"),
        ([_card("lstm", 0.3, p_value=0.25), _card("sarima", 0.2)], "lstm"),
        ([_card("lstm", 0.01), _card("sarima", -0.5)], "lstm"),
        ([_card("lstm", 0.0099), _card("sarima", 0.0)], "random_walk"),
        ([_card("lstm", NAN), _card("sarima", 0.02)], "sarima"),
        ([_card("lstm", -math.inf)], "random_walk"),
        ([_card("lstm", 0.3, interval_fault="has no width")], "random_walk"),
        ([_card("lstm", over_floor=_shown(0.3, plain_gain_share=-0.1))], "random_walk"),
        ([_card("lstm", over_floor=None), _card("sarima", 0.2)], "lstm"),
    ],
)
def test_the_challenger_is_the_best_that_beats_the_baseline_or_the_baseline(others: list[Card], chosen: str) -> None:
    assert choose_challenger(FLOOR, others, GATE).candidate == chosen


@given(st.lists(st.tuples(st.floats(-1, 0.99), st.floats(0, 1)), max_size=6))
def test_the_challenger_has_the_largest_gain_of_those_that_pass(found: list[tuple[float, float]]) -> None:
    others = [_card(str(place), *each) for place, each in enumerate(found)]
    chosen = choose_challenger(FLOOR, others, GATE)
    passing = [gain for gain, p_value in found if gain >= 0.01 and p_value <= 0.25]
    assert (chosen.over_floor.gain_share if chosen.over_floor else None) == max(passing, default=None)


# --- promote where nothing serves ---------------------------------------------------------------------------------

DOUBT = "between 19% and 39% with 95% confidence"


@pytest.mark.parametrize(
    ("challenger", "others", "told"),
    [
        (
            _card(),
            [],
            "theta beats random_walk over 60 origins from 5 fits: horizon loss 0.71 of the baseline's (29% better; "
            f"{DOUBT}; p < 0.001 after correction for 7 candidates); there was no champion",
        ),
        (
            _card(p_value=0.1),
            [],
            "theta beats random_walk over 60 origins from 5 fits: horizon loss 0.71 of the baseline's (29% better; "
            f"{DOUBT}; p = 0.1 after correction for 7 candidates). That may be luck, but then it serves about as well "
            "as random_walk, and to refuse a real gain would cost 29.0%; there was no champion",
        ),
        (
            FLOOR,
            [],
            "no candidate beat the baseline, so random_walk serves (RMSE 1); there was no champion",
        ),
        (
            FLOOR,
            [FLOOR, _card(gain=0.012, p_value=0.61), _card("lstm", -0.3)],
            "no candidate beat the baseline, so random_walk serves (RMSE 1). theta is 1.2% better over 60 origins from "
            "5 fits, but that is probably luck (between 8.8% worse and 11% better with 95% confidence; p = 0.61 after "
            "correction for 7 candidates; at most 0.25 is needed). If the gain is real, waiting for more rows costs "
            "1.2%; there was no champion",
        ),
        (
            FLOOR,
            [_card(gain=-0.02, p_value=0.9)],
            "no candidate beat the baseline, so random_walk serves (RMSE 1). Horizon loss of the best, theta, is 2.0% "
            "higher than the baseline's over 60 origins from 5 fits; at least 1.0% lower is needed; there was no "
            "champion",
        ),
        (
            FLOOR,
            [_card(over_floor=_shown(0.05, plain_gain_share=-0.1))],
            "no candidate beat the baseline, so random_walk serves (RMSE 1). theta is 5.0% better over 60 origins from "
            "5 fits, but only because heavy rows count less; counted in full, it is not better; there was no champion",
        ),
        (
            _card(over_floor=None, loss=0.9),
            [],
            "theta beats random_walk: RMSE 0.9, 10.0% lower; there was no champion",
        ),
    ],
)
def test_the_first_promotion_is_told_with_its_doubt(challenger: Card, others: list[Card], told: str) -> None:
    decision = decide_promotion(challenger, None, FLOOR, GATE, others=others)
    assert (decision.action, decision.reason.replace("p = 0.001", "p < 0.001")) == ("promote", told)


# --- promote over a champion --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comparison", "intervals", "action", "told"),
    [
        (_shown(0.07, 0.004), None, "promote", "(7.0% better; between 3.0% worse and 17% better"),
        (_shown(0.07, 0.05), None, "promote", ", which is better"),
        (_shown(0.07, 0.06), None, "keep", "That can be luck: a champion is replaced where p is at most 0.05. If the"),
        (_shown(0.07, 0.06), None, "keep", "If the gain is real, waiting for more rows costs 7.0%"),
        (_shown(0.01, 0.01), None, "promote", ", which is better"),
        (_shown(-0.01, 1.0), _shown(0.5), "keep", ", which is worse"),
        (_shown(0.05, plain_gain_share=-0.02), None, "keep", "heaviest origins counted in full it is 2.0% higher than"),
        (_shown(0.009, 0.001), None, "keep", "which is as good, and there are no intervals to compare"),
        (_shown(0.0), _shown(0.05, loss_name="interval score"), "promote", "which is as good, with better intervals: "),
        (_shown(-0.009), _shown(0.05), "promote", "coverage 90% against 90%"),
        (_shown(0.0), _shown(0.05, 0.06), "keep", "intervals are not better by 5% with p of at most 0.05"),
        (_shown(0.0), _shown(0.04), "keep", "intervals are not better by 5% with p of at most 0.05"),
        (_shown(-math.inf), None, "keep", ", which is worse"),
        (None, _shown(0.5), "keep", "cannot be compared with the champion ets at the same origins, because it is old"),
    ],
)
def test_a_challenger_has_to_earn_its_promotion(
    comparison: Comparison | None, intervals: Comparison | None, action: str, told: str
) -> None:
    decision = decide_promotion(_card(), CHAMPION, FLOOR, GATE, comparison, intervals=intervals, hindrance="it is old")
    assert (decision.kind, decision.action) == ("promotion", action)
    assert told in decision.reason


def test_a_promotion_says_whom_it_replaces_on_which_evidence() -> None:
    decision = decide_promotion(_card(), CHAMPION, FLOOR, GATE, _shown(0.07, 0.004, n_compared=1))
    assert decision.reason == (
        "theta against the champion ets over 60 origins from 5 fits: horizon loss 0.93 of the champion's (7.0% better; "
        "between 3.0% worse and 17% better with 95% confidence; p = 0.004), which is better"
    )


def test_intervals_are_compared_only_where_both_have_them() -> None:
    for one, other in ((_card(interval_score=None), CHAMPION), (_card(), _card("ets", interval_score=None))):
        decision = decide_promotion(one, other, FLOOR, GATE, _shown(0.0), intervals=_shown(0.5))
        assert decision.action == "keep" and decision.reason.endswith("there are no intervals to compare")


def test_a_loss_that_is_no_number_is_never_promoted_and_never_kept() -> None:
    """Whatever its intervals are: NaN is neither above nor below, so plain comparisons let it pass as equal."""
    broken, sound = _card(loss=NAN), _card("ets")
    for champion in (sound, broken, None):
        decision = decide_promotion(broken, champion, FLOOR, GATE, _shown(0.5))
        assert (decision.action, decision.reason) == ("keep", "theta has no finite RMSE on the held-out rows")
    decision = decide_promotion(sound, broken, FLOOR, GATE)
    assert decision.action == "promote" and "not finite on the held-out rows" in decision.reason


@pytest.mark.parametrize("champion", [None, CHAMPION])
def test_an_interval_fault_is_never_promoted(champion: Card | None) -> None:
    decision = decide_promotion(_card(interval_fault="has no width"), champion, FLOOR, GATE, _shown(0.5))
    assert (decision.action, decision.reason) == ("keep", "nothing is promoted, because theta has no width")


@given(st.floats(-1, 0.99), st.floats(0, 1), st.floats(-1, 0.99))
def test_a_smaller_p_value_never_turns_a_promotion_down(gain: float, p_value: float, interval_gain: float) -> None:
    def decide(p: float) -> str:
        comparison, intervals = _shown(gain, p), _shown(interval_gain, p)
        return decide_promotion(_card(), CHAMPION, FLOOR, GATE, comparison, intervals=intervals).action

    assert decide(p_value / 2) == "promote" or decide(p_value) == "keep"


# --- the champion's recipe, fitted again --------------------------------------------------------------------------

WORSE = _shown(-0.2, 1.0, low_share=-0.3, high_share=-0.1)


@pytest.mark.parametrize(
    ("n_new", "fresh", "action", "told"),
    [
        (0, None, "keep", "theta serves already, and there are no rows that it has not learned"),
        (1, None, "promote", "theta is still the best candidate; fitted again, it has learned 1 more row"),
        (30, _shown(-0.02, 0.8), "promote", "learned 30 more rows, and it is not worse: horizon loss 1.02 of the"),
        (30, WORSE, "keep", "theta, fitted again, is worse than the champion's own answers: horizon loss 1.2 of the"),
    ],
)
def test_a_refresh_needs_new_rows_and_nothing_against_it(
    n_new: int, fresh: Comparison | None, action: str, told: str
) -> None:
    decision = decide_refresh(_card(), CHAMPION, n_new, GATE, fresh=fresh)
    assert decision.action == action and told in decision.reason


def test_a_refresh_with_an_interval_fault_or_the_same_answers_is_not_promoted() -> None:
    assert decide_refresh(_card(interval_fault="has no width"), CHAMPION, 30, GATE).action == "keep"
    same = decide_refresh(_card(), CHAMPION, 30, GATE, differs=False)
    assert same.action == "keep" and same.reason.endswith("it gives the same answers")


@pytest.mark.parametrize(
    "decision",
    [
        decide_promotion(_card(), None, FLOOR, GATE),
        decide_promotion(_card(), CHAMPION, FLOOR, GATE, _shown(0.1), intervals=_shown(0.1)),
        decide_refresh(_card(), CHAMPION, 3, GATE, fresh=WORSE),
    ],
)
def test_the_numbers_of_a_decision_can_be_written_down(decision: Any) -> None:
    assert json.loads(json.dumps(decision.facts)) == decision.facts
