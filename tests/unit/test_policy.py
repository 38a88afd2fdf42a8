"""Decisions as tables: one row per situation, and what holds in all of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Gate, Retrain
from okawari.policy.decision import Decision
from okawari.policy.promotion import Card, choose_challenger, decide_promotion
from okawari.policy.quantization import VariantFacts, decide_variant
from okawari.policy.retraining import RetrainFacts, decide_retrain

NAN = float("nan")

# --- retrain? -----------------------------------------------------------------------------------------------------

RULE = Retrain(cooldown_readings=20, daily_budget=3, max_rejections=2)


def _facts(**change: Any) -> RetrainFacts:
    usual = {"cause": "drift", "has_champion": True, "new_readings": 20, "trainings_today": 0, "rejections_in_a_row": 0}
    return RetrainFacts(**{**usual, **change})


@pytest.mark.parametrize(
    ("facts", "action", "told"),
    [
        (_facts(), "train", "the data has drifted; there are 20 new rows"),
        (
            _facts(cause="performance"),
            "train",
            "the performance of the champion is worse than promised; there are 20 new",
        ),
        (_facts(cause="schedule"), "train", "a scheduled training; there are 20 new rows"),
        (_facts(new_readings=19), "skip", "only 19 new rows since the last training; at least 20 are needed"),
        (_facts(trainings_today=3), "skip", "3 trainings today reach the daily limit of 3"),
        (_facts(trainings_today=2), "train", "the data has drifted"),
        (_facts(rejections_in_a_row=2), "skip", "the last 2 challengers were rejected; a person has to request"),
        (_facts(rejections_in_a_row=1), "train", "the data has drifted"),
        (_facts(cause="missing", new_readings=0), "skip", "the case already has a champion"),
        (
            _facts(cause="asked", new_readings=0, trainings_today=9, rejections_in_a_row=9),
            "train",
            "a person requested",
        ),
        (_facts(has_champion=False, new_readings=0, trainings_today=2), "train", "the case has no champion yet"),
        (_facts(has_champion=False, trainings_today=3), "skip", "3 trainings today brought no champion and reach"),
        (_facts(has_champion=False, cause="asked", trainings_today=9), "train", "the case has no champion yet"),
        (_facts(has_champion=False, cause="schedule", rejections_in_a_row=9), "train", "the case has no champion yet"),
    ],
)
def test_retraining_is_rationed_but_never_refused_to_a_person_or_an_empty_case(
    facts: RetrainFacts, action: str, told: str
) -> None:
    decision = decide_retrain(facts, RULE)
    assert (decision.kind, decision.action) == ("retrain", action)
    assert decision.reason.startswith(told)
    assert decision.facts == asdict(facts)


@given(
    cause=st.sampled_from(["drift", "performance", "missing", "schedule", "asked"]),
    has_champion=st.booleans(),
    numbers=st.tuples(*[st.integers(0, 40)] * 3),
)
def test_more_readings_never_turn_a_training_down(
    cause: Any, has_champion: bool, numbers: tuple[int, int, int]
) -> None:
    facts = RetrainFacts(
        cause=cause,
        has_champion=has_champion,
        new_readings=numbers[0],
        trainings_today=numbers[1],
        rejections_in_a_row=numbers[2],
    )
    more = replace(facts, new_readings=numbers[0] + 1)
    if decide_retrain(facts, RULE).action == "train":
        assert decide_retrain(more, RULE).action == "train"


# --- which challenger? --------------------------------------------------------------------------------------------

GATE = Gate(min_gain_share=0.01, min_interval_gain_share=0.05)
FLOOR = Card(candidate="random_walk", loss=1.0, interval_score=4.0, coverage_share=0.9)


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ({}, "random_walk"),
        ({"lstm": 0.9, "sarima": 0.8}, "sarima"),
        ({"lstm": 0.99, "sarima": 1.5}, "lstm"),
        ({"lstm": 0.991, "sarima": 1.0}, "random_walk"),
        ({"lstm": NAN, "sarima": 0.98}, "sarima"),
        ({"lstm": NAN}, "random_walk"),
        ({"lstm": float("inf")}, "random_walk"),
    ],
)
def test_the_challenger_is_the_best_that_beats_the_baseline_or_the_baseline(
    scores: dict[str, float], chosen: str
) -> None:
    others = [Card(candidate=name, loss=loss) for name, loss in scores.items()]
    assert choose_challenger(FLOOR, others, GATE).candidate == chosen


@given(st.lists(st.floats(0.01, 3), max_size=6))
def test_the_challenger_is_never_worse_than_the_baseline(scores: list[float]) -> None:
    others = [Card(candidate=str(number), loss=loss) for number, loss in enumerate(scores)]
    chosen = choose_challenger(FLOOR, others, GATE)
    assert chosen.loss == min((score for score in scores if 1 - score >= 0.01), default=FLOOR.loss)


# --- promote? -----------------------------------------------------------------------------------------------------


def _card(loss: float, interval_score: float | None = 4.0, candidate: str = "lstm") -> Card:
    coverage = None if interval_score is None else 0.9
    return Card(candidate=candidate, loss=loss, interval_score=interval_score, coverage_share=coverage)


@pytest.mark.parametrize(
    ("challenger", "champion", "action", "told"),
    [
        (_card(0.9), None, "promote", "lstm beats random_walk: RMSE 0.9, 10.0% lower; there was no champion"),
        (
            FLOOR,
            None,
            "promote",
            "no candidate beat the baseline, so random_walk serves (RMSE 1); there was no champion",
        ),
        (_card(0.9), _card(1.0), "promote", "RMSE 0.9 is better than the champion's 1 (10.0% lower)"),
        (_card(0.99), _card(1.0), "promote", "RMSE 0.99 is better than the champion's 1 (1.0% lower)"),
        (FLOOR, _card(1.2), "promote", "RMSE 1 is better than the champion's 1.2 (16.7% lower)"),
        (_card(1.1), _card(1.0), "keep", "RMSE 1.1 is worse than the champion's 1 (10.0% higher)"),
        (_card(1.1, 1.0), _card(1.0, 4.0), "keep", "RMSE 1.1 is worse"),
        (_card(1.0, 3.8), _card(1.0, 4.0), "promote", "RMSE 1 is as good as the champion's 1 (equal), with better"),
        (
            _card(1.005, 3.0),
            _card(1.0, 4.0),
            "promote",
            "RMSE 1.005 is as good as the champion's 1 (0.5% higher), with",
        ),
        (_card(1.0, 3.9), _card(1.0, 4.0), "keep", "RMSE 1 is as good as the champion's 1 (equal), and the"),
        (_card(1.0, 5.0), _card(1.0, 4.0), "keep", "RMSE 1 is as good as the champion's 1 (equal), and the"),
        (_card(1.0, None), _card(1.0, 4.0), "keep", "RMSE 1 is as good as the champion's 1 (equal), and there are no"),
        (_card(1.0, 4.0), _card(1.0, None), "keep", "RMSE 1 is as good as the champion's 1 (equal), and there are no"),
        (_card(0.9, None), _card(1.0, 4.0), "promote", "RMSE 0.9 is better than the champion's 1"),
    ],
)
def test_a_challenger_has_to_earn_its_promotion(
    challenger: Card, champion: Card | None, action: str, told: str
) -> None:
    decision = decide_promotion(challenger, champion, FLOOR, GATE)
    assert (decision.kind, decision.action) == ("promotion", action)
    assert decision.reason.startswith(told)
    assert set(decision.facts) == {"challenger", "champion", "baseline"}


def test_a_loss_that_is_no_number_is_never_promoted_and_never_kept() -> None:
    """Whatever its intervals are: NaN is neither above nor below, so plain comparisons let it pass as equal."""
    broken, sound = _card(float("nan"), interval_score=1.0), _card(1.0)
    for champion in (sound, broken, None):
        decision = decide_promotion(broken, champion, FLOOR, Gate())
        assert (decision.action, decision.reason) == ("keep", "lstm has no finite RMSE on the held-out rows")
    decision = decide_promotion(sound, broken, FLOOR, Gate())
    assert decision.action == "promote"
    assert "not finite on the held-out rows" in decision.reason


def test_nothing_replaces_a_champion_without_any_error() -> None:
    decision = decide_promotion(_card(0.5, interval_score=1.0), _card(0.0), FLOOR, Gate())
    assert decision.action == "keep"
    assert decision.reason == "RMSE 0.5 is worse than the champion's 0 (higher)"


def test_a_gain_of_just_the_least_is_enough() -> None:
    gate = Gate(min_gain_share=0.25, min_interval_gain_share=0.25)  # numbers without rounding
    assert choose_challenger(FLOOR, [_card(0.75)], gate).candidate == "lstm"
    assert decide_promotion(_card(0.75), _card(1.0), FLOOR, gate).action == "promote"
    assert decide_promotion(_card(1.25, 1.0), _card(1.0), FLOOR, gate).action == "keep"
    assert decide_promotion(_card(1.0, 3.0), _card(1.0, 4.0), FLOOR, gate).action == "promote"


@given(st.floats(0.1, 3), st.floats(0.1, 9))
def test_a_champion_is_never_replaced_by_its_equal(loss: float, interval_score: float) -> None:
    card = _card(loss, interval_score)
    assert decide_promotion(card, card, FLOOR, GATE).action == "keep"


@given(st.tuples(*[st.floats(0.1, 3)] * 2), st.tuples(*[st.floats(0.1, 9)] * 2))
def test_two_models_never_replace_each_other_in_turns(loss: tuple[float, float], scores: tuple[float, float]) -> None:
    one, other = _card(loss[0], scores[0]), _card(loss[1], scores[1])
    there, back = decide_promotion(one, other, FLOOR, GATE), decide_promotion(other, one, FLOOR, GATE)
    assert "keep" in (there.action, back.action)


# --- which variant? -----------------------------------------------------------------------------------------------

FP32 = VariantFacts(variant="fp32", bytes=1000, latency_ms=1.0, loss=1.0)
STRICT = Gate(quantized_loss_share=0.005, quantized_saving_share=0.3, max_slowdown_share=0.1)


def _variant(name: str = "uint8", bytes: int = 300, latency_ms: float = 1.0, loss: float = 1.0) -> VariantFacts:
    return VariantFacts(variant=name, bytes=bytes, latency_ms=latency_ms, loss=loss)


@pytest.mark.parametrize(
    ("quantized", "chosen", "told"),
    [
        ([], "fp32", "the graph has no weights worth quantizing"),
        ([_variant()], "uint8", "uint8 takes 30% of fp32's size and 100% of its time; its loss is equal to fp32's"),
        ([_variant(loss=1.005)], "uint8", "uint8 takes 30%"),
        ([_variant(loss=1.006)], "fp32", "uint8 has a loss that is 0.60% higher than fp32's (at most 0.50% higher)"),
        ([_variant(loss=NAN)], "fp32", "uint8 has a loss that is not comparable with fp32's"),
        ([_variant(latency_ms=1.1)], "uint8", "uint8 takes 30%"),
        ([_variant(latency_ms=1.2)], "fp32", "uint8 takes 1.20 times as long"),
        ([_variant(bytes=800)], "fp32", "uint8 takes 80% of fp32's size and 100% of its time; it must save "),
        ([_variant(bytes=800, latency_ms=0.6)], "uint8", "uint8 takes 80% of fp32's size"),
        ([_variant(bytes=1500, latency_ms=0.6)], "uint8", "uint8 takes 150% of fp32's size"),
        ([_variant(), _variant("int8", bytes=250)], "int8", "int8 takes 25% of fp32's size"),
        ([_variant(), _variant("int8", bytes=250, loss=1.1)], "uint8", "uint8 takes 30% of fp32's size"),
        ([_variant(bytes=900), _variant("int8", loss=2.0)], "fp32", "uint8 takes 90%"),
    ],
)
def test_a_variant_serves_only_where_it_is_equivalent_and_pays(
    quantized: list[VariantFacts], chosen: str, told: str
) -> None:
    decision = decide_variant(FP32, quantized, STRICT)
    assert (decision.kind, decision.action) == ("variant", chosen)
    assert decision.reason.startswith(told)


def test_every_refused_variant_is_told_with_its_reason() -> None:
    decision = decide_variant(FP32, [_variant(bytes=900), _variant("int8", loss=2.0)], STRICT)
    assert decision.reason == (
        "uint8 takes 90% of fp32's size and 100% of its time; it must save 30% of one of them; "
        "int8 has a loss that is 100.00% higher than fp32's (at most 0.50% higher)"
    )


@given(st.lists(st.builds(VariantFacts, variant=st.uuids().map(str), bytes=st.integers(1, 3000),
                          latency_ms=st.floats(0.1, 3), loss=st.floats(0.5, 1.5)), max_size=4))  # fmt: skip
def test_what_is_chosen_is_never_noticeably_worse_than_fp32(quantized: list[VariantFacts]) -> None:
    decision = decide_variant(FP32, quantized, STRICT)
    chosen = next((each for each in quantized if each.variant == decision.action), FP32)
    assert chosen.loss <= 1.005 + 1e-9
    assert chosen.latency_ms <= 1.1 + 1e-9
    assert decision.action == "fp32" or chosen.bytes <= 700 or chosen.latency_ms <= 0.7 + 1e-9


@pytest.mark.parametrize(
    "decision",
    [
        decide_retrain(_facts(), RULE),
        decide_promotion(_card(0.9), _card(1.0), FLOOR, GATE),
        decide_promotion(_card(0.9), None, FLOOR, GATE),
        decide_variant(FP32, [_variant()], STRICT),
    ],
)
def test_the_numbers_of_a_decision_can_be_written_down(decision: Decision) -> None:
    assert json.loads(json.dumps(decision.facts)) == decision.facts
