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
        decide_variant(FP32, [_variant()], STRICT),
    ],
)
def test_the_numbers_of_a_decision_can_be_written_down(decision: Decision) -> None:
    assert json.loads(json.dumps(decision.facts)) == decision.facts
