"""Repairs: one row per way in which a loop can be broken, and that doing what is said leads to what should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.policy.repair import (
    GRACE_S,
    MAX_PACKAGINGS,
    HandMove,
    Loop,
    Repair,
    Serving,
    Unanswered,
    decide_repairs,
)

SERVED = Serving("3", "c3")
AT_REST = Loop(
    snapshot=5, champion="3", promoted="3", serving=SERVED, is_monitored=True, unanswered=None, champion_sha256="c3"
)
OTHER, NOTHING = Serving("2", "c2"), Serving(None)
DRIFT = Unanswered("drift", "d1")
TRAINING, MONITORING, PACKAGING = (frozenset({flow}) for flow in ("train", "monitor", "package"))
YOUNG_S = 5.0


def _loop(**change: Any) -> Loop:
    return replace(AT_REST, **change)


@pytest.mark.parametrize(
    ("loop", "actions"),
    [
        (AT_REST, []),
        (_loop(snapshot=None, champion=None, promoted=None, serving=NOTHING, is_monitored=False), []),
        (_loop(champion=None, promoted=None, serving=NOTHING, is_monitored=False), ["train"]),
        (_loop(champion=None, promoted=None, serving=NOTHING, is_monitored=False, active=TRAINING), []),
        (_loop(champion=None), ["set champion"]),
        (_loop(champion="2", serving=OTHER), ["set champion"]),
        (_loop(champion="2", moved=HandMove()), ["adopt"]),
        (_loop(champion="2", moved=HandMove("it has other columns")), ["put back"]),
        (_loop(champion=None, moved=HandMove()), ["put back"]),
        (_loop(champion="2", promoted=None, moved=HandMove()), ["adopt"]),
        (_loop(champion=None, promoted=None, serving=NOTHING, awaits_approval=True), []),
        (_loop(champion=None, promoted=None, serving=NOTHING, is_monitored=False, awaits_approval=True), []),
        (_loop(serving=OTHER), ["package"]),
        (_loop(serving=NOTHING), ["package"]),
        (_loop(is_monitored=False), ["monitor"]),
        (_loop(serving=OTHER, is_monitored=False), ["package", "monitor"]),
        (_loop(unanswered=DRIFT), ["train"]),
        (_loop(unanswered=DRIFT, is_monitored=False), ["train"]),
        (_loop(unanswered=DRIFT, active=TRAINING), []),
        (_loop(unanswered=Unanswered("performance", "d2"), serving=OTHER), ["package", "train"]),
        (_loop(promoted=None), []),
        # The digest decides, not the label; a service that does not answer is judged by its last deployment.
        (_loop(serving=replace(SERVED, graph_sha256="c2")), ["package"]),
        (_loop(serving=replace(SERVED, graph_sha256=None)), []),
        (_loop(serving=replace(SERVED, refused="aapl:x is refused: its digest differs")), ["package"]),
        (_loop(serving=NOTHING, deployed_s=YOUNG_S), []),
        # Packagings without effect end with one request for a person.
        (_loop(serving=NOTHING, packagings=MAX_PACKAGINGS - 1), ["package"]),
        (_loop(serving=NOTHING, packagings=MAX_PACKAGINGS), ["needs a person"]),
        (_loop(serving=NOTHING, packagings=MAX_PACKAGINGS, needs_person=True), []),
        (_loop(packagings=1), ["serves again"]),
        (_loop(packagings=1, serving=replace(SERVED, graph_sha256=None)), []),
        # Whatever an event may still be about to do is left to it.
        (_loop(unanswered=replace(DRIFT, age_s=YOUNG_S)), []),
        (_loop(unanswered=replace(DRIFT, age_s=YOUNG_S), is_monitored=False), []),
        (_loop(is_monitored=False, ingested_s=YOUNG_S), []),
        (_loop(is_monitored=False, active=MONITORING), []),
        (_loop(champion=None, promoted=None, serving=NOTHING, ingested_s=YOUNG_S), []),
        (_loop(serving=OTHER, promoted_s=YOUNG_S), []),
        (_loop(serving=OTHER, active=PACKAGING), []),
        (_loop(unanswered=replace(DRIFT, age_s=GRACE_S), ingested_s=GRACE_S, promoted_s=GRACE_S), ["train"]),
    ],
)
def test_what_the_loop_lacks_is_repaired_and_nothing_else(loop: Loop, actions: list[str]) -> None:
    assert [repair.action for repair in decide_repairs(loop)] == actions


def test_without_grace_a_young_record_is_repaired_at_once() -> None:
    loop = _loop(serving=OTHER, unanswered=replace(DRIFT, age_s=0.0), ingested_s=0.0, promoted_s=0.0)
    assert [repair.action for repair in decide_repairs(loop, grace_s=0)] == ["package", "train"]


def test_a_repair_says_with_what_it_is_to_be_done() -> None:
    (training,) = decide_repairs(_loop(unanswered=DRIFT))
    assert training.parameters == {
        "cause": "drift",
        "reason": "no training followed a request for one (drift)",
        "cause_id": "d1",
    }
    (alias,) = decide_repairs(_loop(champion="2"))
    assert alias == Repair("set champion", "version 3 was promoted, but the alias points to 2", {"version": "3"})
    (package,) = decide_repairs(_loop(serving=OTHER))
    assert package.parameters == {"version": "3"}
    assert package.facts == {"version": "3", "graph_sha256": "c3"}


def test_a_person_who_asks_gets_another_packaging() -> None:
    loop = _loop(serving=NOTHING, packagings=MAX_PACKAGINGS, needs_person=True)
    assert [repair.action for repair in decide_repairs(loop, asked=True)] == ["package"]


def test_the_request_for_a_person_gives_the_reason_of_the_service() -> None:
    refused = Serving(None, None, "aapl:x is refused: its graph takes 4 columns")
    (request,) = decide_repairs(_loop(serving=refused, packagings=MAX_PACKAGINGS))
    assert "its graph takes 4 columns" in request.reason and "okawari run" in request.reason


def _do(repair: Repair, loop: Loop, *, promotes: bool) -> Loop:
    """What a repair makes of the loop when it succeeds. A training ends with a promotion or with a rejection."""
    if repair.action in ("set champion", "put back"):
        version = repair.parameters["version"]
        return replace(loop, champion=version, champion_sha256=f"c{version}", moved=None, is_monitored=False)
    if repair.action == "adopt":
        return replace(loop, promoted=repair.parameters["version"], moved=None)
    if repair.action == "package":
        return replace(loop, serving=_serve(repair.parameters["version"]), packagings=loop.packagings + 1)
    if repair.action == "serves again":
        return replace(loop, packagings=0)
    if repair.action == "monitor":
        return replace(loop, is_monitored=True)
    if loop.champion is None or promotes:
        champion = replace(loop, champion="9", champion_sha256="c9", promoted="9", serving=_serve("9"))
        return replace(champion, is_monitored=False, unanswered=None)
    return replace(loop, unanswered=None)


def _serve(version: str | None) -> Serving:
    return Serving(version, version and f"c{version}")


_versions = st.sampled_from([None, "1", "2", "3"])
_served = _versions.map(_serve)


@given(
    loop=st.builds(
        Loop,
        snapshot=st.sampled_from([None, 0, 7]),
        champion=_versions,
        promoted=_versions,
        serving=_served,
        is_monitored=st.booleans(),
        unanswered=st.sampled_from([None, DRIFT, Unanswered("performance", "p")]),
        moved=st.sampled_from([None, HandMove(), HandMove("it has other columns")]),
    ),
    promotes=st.booleans(),
    twice=st.booleans(),
)
def test_doing_every_repair_brings_the_loop_to_rest(loop: Loop, promotes: bool, twice: bool) -> None:
    loop, rounds = replace(loop, champion_sha256=loop.champion and f"c{loop.champion}"), 0
    while repairs := decide_repairs(loop):
        for repair in repairs * (2 if twice else 1):
            loop = _do(repair, loop, promotes=promotes)
        rounds += 1
        assert rounds <= 5
    assert loop.snapshot is None or loop.champion == loop.serving.version
    assert loop.snapshot is None or (loop.is_monitored and loop.unanswered is None)


@given(loop=st.builds(Loop, snapshot=st.integers(0, 3), champion=_versions, promoted=_versions, serving=_served,
                      is_monitored=st.booleans(), unanswered=st.sampled_from([None, DRIFT]),
                      active=st.just(TRAINING)))  # fmt: skip
def test_no_second_training_is_started_while_one_runs(loop: Loop) -> None:
    assert "train" not in [repair.action for repair in decide_repairs(loop)]
