"""Rulings on versions: one row per situation, for what the records say and for what a person may order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Case, Gate
from okawari.errors import InvalidInput
from okawari.loop.standings import was_moved
from okawari.policy.decision import Action, Decision, Kind
from okawari.policy.overrides import (
    Order,
    VersionFacts,
    adopt_alias,
    decide_approve,
    decide_pin,
    decide_promote,
    decide_reject,
    decide_rollback,
    decide_unbar,
    decide_unpin,
    find_previous,
    limit_promotion,
)
from okawari.policy.repair import AliasFacts, HandMove, decide_alias
from okawari.policy.standing import Identity, Ruling, Standing, read_standing
from okawari.registry.versions import Alias, Move

ADA = Order(by="ada@laptop", reason="it is wrong")


def _identity(version: str, graph: str = "", **change: Any) -> Identity:
    own = Identity(
        version=version, candidate="lstm", graph_sha256=graph or f"graph {version}", snapshot_digest=f"data {version}",
        settings_sha256="settings",
    )  # fmt: skip
    return replace(own, **change)


def _gate(action: str, version: str, **change: Any) -> Ruling:
    identity = asdict(_identity(version, **change))
    return Ruling(id=f"g{version}", kind=Kind.PROMOTION, action=action, version=version, facts={"identity": identity})


def _promoted(*versions: str) -> list[Ruling]:
    return [_gate(Action.PROMOTE, version) for version in versions]


def _facts(rulings: Sequence[Ruling], registered: str = "12345", champion: str | None = "-") -> VersionFacts:
    """The facts after rulings, oldest first; the alias points to where they say, if no champion is given."""
    standing = read_standing(rulings)
    by_rulings = standing.choose_champion(registered)
    identities = {version: _identity(version) for version in registered}
    return VersionFacts(
        case="aapl", standing=standing, champion=by_rulings if champion == "-" else champion, registered=identities
    )


def _record(rulings: Sequence[Ruling], decision: Decision) -> list[Ruling]:
    version = str(decision.facts["version"])
    ruling = Ruling(
        id=f"p{len(rulings)}", kind=decision.kind, action=decision.action, version=version, reason=decision.reason,
        facts=decision.facts,
    )  # fmt: skip
    return [*rulings, ruling]


Step = Callable[[VersionFacts], Decision]


def _rule(rulings: Sequence[Ruling], *steps: Step) -> list[Ruling]:
    """The rulings after a person's orders, each given on what was recorded before."""
    ruled = list(rulings)
    for step in steps:
        ruled = _record(ruled, step(_facts(ruled)))
    return ruled


def rollback(facts: VersionFacts) -> Decision:
    return decide_rollback(facts, ADA)


def unpin(facts: VersionFacts) -> Decision:
    return decide_unpin(facts, ADA)


def approve(facts: VersionFacts) -> Decision:
    return decide_approve(facts, ADA)


def reject(facts: VersionFacts) -> Decision:
    return decide_reject(facts, ADA)


def promote(version: str) -> Step:
    return lambda facts: decide_promote(facts, ADA, version)


def pin(version: str) -> Step:
    return lambda facts: decide_pin(facts, ADA, version)


def unbar(version: str) -> Step:
    return lambda facts: decide_unbar(facts, ADA, version)


def adopt(version: str) -> Step:
    return lambda facts: adopt_alias(facts, version)


def _summarize(standing: Standing) -> tuple[str | None, str | None, str, str | None]:
    """Champion, pinned version, barred versions, version that waits."""
    return (
        None if standing.champion is None else standing.champion.version,
        None if standing.pin is None else standing.pin.version,
        "".join(bar.identity.version for bar in standing.bars),
        None if standing.waiting is None else standing.waiting.version,
    )


WAIT_4 = _gate(Action.AWAIT_APPROVAL, "4")


@pytest.mark.parametrize(
    ("rulings", "champion", "pinned", "barred", "waiting"),
    [
        ([], None, None, "", None),
        (_promoted("1", "2"), "2", None, "", None),
        ([*_promoted("1"), _gate(Action.KEEP, "2")], "1", None, "", None),
        # rollback
        (_rule(_promoted("1", "2", "3"), rollback), "2", None, "3", None),
        (_rule(_promoted("1", "2", "3"), rollback, rollback), "1", None, "32", None),
        (_rule(_promoted("1", "2", "3"), rollback, promote("3")), "3", None, "", None),
        (_rule(_promoted("1", "2", "3"), rollback, unbar("3")), "2", None, "", None),
        (_rule(_promoted("1", "2", "3"), rollback, unbar("3"), rollback), "3", None, "2", None),
        (_rule(_promoted("1", "2", "3"), promote("1"), rollback), "3", None, "1", None),
        ([*_rule(_promoted("1", "2"), rollback), *_promoted("3")], "3", None, "2", None),
        # pin
        (_rule(_promoted("1", "2"), pin("2")), "2", "2", "", None),
        (_rule(_promoted("1", "2"), pin("1")), "1", "1", "", None),
        ([*_rule(_promoted("1", "2"), pin("2")), *_promoted("3")], "2", "2", "", None),
        (_rule(_promoted("1", "2"), pin("2"), unpin), "2", None, "", None),
        ([*_rule(_promoted("1", "2"), pin("2"), unpin), *_promoted("3")], "3", None, "", None),
        (_rule(_promoted("1", "2"), rollback, pin("2")), "2", "2", "", None),
        (_rule(_promoted("1", "2"), pin("2"), adopt("1")), "1", "1", "", None),
        # approval
        ([WAIT_4], None, None, "", "4"),
        ([*_promoted("1"), WAIT_4], "1", None, "", "4"),
        (_rule([*_promoted("1"), WAIT_4], approve), "4", None, "", None),
        (_rule([*_promoted("1"), WAIT_4], reject), "1", None, "4", None),
        (_rule([*_promoted("1"), WAIT_4], promote("4")), "4", None, "", None),
        (_rule([*_promoted("1"), WAIT_4], promote("3")), "3", None, "", None),
        (_rule([*_promoted("1", "2"), WAIT_4], rollback), "1", None, "2", "4"),
        ([*_promoted("1"), _gate(Action.AWAIT_APPROVAL, "3"), WAIT_4], "1", None, "", "4"),
        # alias moved by hand
        (_rule(_promoted("1", "2"), adopt("1")), "1", None, "", None),
        (_rule(_promoted("1", "2"), rollback, adopt("2")), "2", None, "", None),
    ],
)
def test_rulings_say_which_version_serves_and_which_one_may_not(
    rulings: list[Ruling], champion: str | None, pinned: str | None, barred: str, waiting: str | None
) -> None:
    assert _summarize(read_standing(rulings)) == (champion, pinned, barred, waiting)


def test_a_promotion_that_a_training_recorded_after_a_bar_of_its_equal_has_no_effect() -> None:
    ruled = _rule(_promoted("1", "2"), rollback)
    assert _summarize(read_standing([*ruled, _gate(Action.PROMOTE, "3", graph="graph 2")]))[0] == "1"
    assert _summarize(read_standing([*ruled, _gate(Action.PROMOTE, "3", snapshot_digest="data 2")]))[0] == "1"


def test_a_promotion_from_before_identities_were_recorded_counts() -> None:
    plain = Ruling(id="old", kind="promotion", action="promote", version="7")
    assert _summarize(read_standing([plain]))[0] == "7"


@pytest.mark.parametrize(
    ("registered", "champion"), [("123", "3"), ("12", "2"), ("13", "3"), ("1", "1"), ("4", None), ("", None)]
)
def test_a_champion_that_is_no_longer_registered_is_replaced_by_the_one_before(
    registered: str, champion: str | None
) -> None:
    assert read_standing(_promoted("1", "2", "3")).choose_champion(registered) == champion


# --- what a person may order --------------------------------------------------------------------------------------

TWO = _facts(_promoted("1", "2"))
PINNED = _facts(_rule(_promoted("1", "2"), pin("2")))
WAITING = _facts([*_promoted("1"), WAIT_4])
EMPTY = VersionFacts(case="aapl")


@pytest.mark.parametrize(
    ("facts", "step", "told"),
    [
        (EMPTY, rollback, "Case aapl has no champion to roll back; run: okawari run aapl."),
        (_facts(_promoted("1")), rollback, "No version of case aapl served before version 1 .*: okawari promote aapl"),
        (_facts(_rule(_promoted("1", "2"), rollback)), rollback, "No version of case aapl served before version 1"),
        (PINNED, rollback, r"Version 2 of case aapl is pinned by ada@laptop \(.*it is wrong\).*: okawari unpin aapl\."),
        (
            TWO,
            promote("9"),
            "has no registered version 9; registered are 1, 2, 3, 4, 5. Choose one of",
        ),
        (EMPTY, promote("1"), "has no registered version 1; none is registered"),
        (TWO, promote("2"), "Version 2 of case aapl is the champion already. To keep it .*: okawari pin aapl 2"),
        (PINNED, promote("1"), "Version 2 of case aapl is pinned by ada@laptop"),
        (TWO, pin("9"), "has no registered version 9"),
        (PINNED, pin("1"), "Version 2 of case aapl is pinned by ada@laptop"),
        (PINNED, pin("2"), "Version 2 of case aapl is pinned by ada@laptop"),
        (TWO, unpin, "Case aapl has no pinned version, .*: okawari pin aapl VERSION"),
        (TWO, approve, "No challenger of case aapl waits for approval.*: okawari promote aapl VERSION"),
        (TWO, reject, "No challenger of case aapl waits for approval"),
        (
            WAITING,
            lambda facts: decide_approve(facts, ADA, "3"),
            "Version 3 of .* does not wait .* version 4 does",
        ),
        (_facts([*_promoted("1"), WAIT_4], registered="123"), approve, "has no registered version 4"),
        (_facts(_rule([*_promoted("1"), WAIT_4], pin("1"))), approve, "Version 1 of case aapl is pinned"),
        (TWO, unbar("1"), "Version 1 of case aapl is not barred; none is barred. See: okawari versions aapl"),
        (
            _facts(_rule(_promoted("1", "2"), rollback)),
            unbar("1"),
            "Version 1 of case aapl is not barred; barred are 2",
        ),
    ],
)
def test_an_order_that_cannot_be_followed_says_what_is_there_and_what_to_do(
    facts: VersionFacts, step: Step, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        step(facts)


def test_an_order_is_recorded_with_who_why_and_what_it_replaces() -> None:
    decision = rollback(TWO)
    assert (decision.kind, decision.action) == (Kind.PERSON, Action.ROLL_BACK)
    assert decision.reason == "version 1 instead of 2: it is wrong"
    assert decision.facts == {
        "version": "1",
        "replaced": "2",
        "by": "ada@laptop",
        "identity": asdict(_identity("1")),
        "barred": asdict(_identity("2")),
    }


def test_a_rollback_skips_a_version_that_equals_the_champion_or_a_barred_one() -> None:
    facts = _facts(_promoted("1", "2", "3"))
    equal = {**facts.registered, "2": _identity("2", graph="graph 3")}
    assert find_previous(replace(facts, registered=equal)) == "1"
    ruled = _facts(_rule(_promoted("1", "2", "3", "4"), rollback))
    equal = {**ruled.registered, "2": _identity("2", graph="graph 4")}
    assert (ruled.champion, find_previous(ruled), find_previous(replace(ruled, registered=equal))) == ("3", "2", "1")


def test_a_rollback_skips_a_version_that_is_gone_or_was_not_trained_here() -> None:
    assert find_previous(_facts(_promoted("1", "2", "3"), registered="13")) == "1"
    facts = _facts(_promoted("1", "2", "3"))
    assert find_previous(replace(facts, registered={**facts.registered, "2": None})) == "1"


# --- what the gate may promote ------------------------------------------------------------------------------------

BETTER = Decision(Kind.PROMOTION, Action.PROMOTE, "better by far")
BARRED_2 = read_standing(_rule(_promoted("1", "2"), rollback))
PINNED_2 = read_standing(_rule(_promoted("1", "2"), pin("2")))


@pytest.mark.parametrize(
    ("standing", "approval", "challenger", "action", "told"),
    [
        (Standing(), False, _identity("3"), Action.PROMOTE, "better by far"),
        (
            Standing(),
            True,
            _identity("3"),
            Action.AWAIT_APPROVAL,
            "better by far; it waits for a person: okawari approve aapl 3",
        ),
        (PINNED_2, False, _identity("3"), Action.HOLD, "version 2 is pinned by ada@laptop"),
        (PINNED_2, True, _identity("3"), Action.HOLD, "to allow promotions run: okawari unpin aapl"),
        (BARRED_2, False, _identity("3"), Action.PROMOTE, "better by far"),
        (BARRED_2, False, _identity("3", "graph 2"), Action.KEEP, r"equals version 2 \(the same graph\), which ada@"),
        (
            BARRED_2,
            True,
            _identity("3", snapshot_digest="data 2"),
            Action.KEEP,
            r"\(the same candidate, settings and snapshot\).*it is wrong.*run: okawari unbar aapl 2",
        ),
        (BARRED_2, False, _identity("3", snapshot_digest="data 2", settings_sha256="x"), Action.PROMOTE, "better"),
        (BARRED_2, False, _identity("3", snapshot_digest="data 2", settings_sha256=None), Action.PROMOTE, "better"),
        (BARRED_2, False, _identity("3", snapshot_digest="data 2", candidate="sarima"), Action.PROMOTE, "better"),
    ],
)
def test_a_challenger_that_passed_the_gate_is_limited_by_what_persons_have_ruled(
    standing: Standing, approval: bool, challenger: Identity, action: str, told: str, small_case: Case
) -> None:
    case = replace(small_case, gate=Gate(holdout=40, calibration=60, approval=approval))
    limited = limit_promotion(BETTER, challenger, standing, case)
    assert limited.action == action
    assert re.search(told, limited.reason), limited.reason
    assert limited.facts["identity"] == asdict(challenger)


def test_a_challenger_that_did_not_pass_the_gate_neither_waits_nor_is_held(small_case: Case) -> None:
    kept = Decision(Kind.PROMOTION, Action.KEEP, "worse")
    limited = limit_promotion(kept, _identity("3"), PINNED_2, small_case)
    assert (limited.action, limited.reason) == (Action.KEEP, "worse")


# --- the alias ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alias", "action", "version"),
    [
        (AliasFacts(champion="2", promoted="2"), None, None),
        (AliasFacts(champion=None, promoted=None), None, None),
        (AliasFacts(champion="1", promoted="2"), Action.SET_CHAMPION, "2"),
        (AliasFacts(champion=None, promoted="2"), Action.SET_CHAMPION, "2"),
        (AliasFacts(champion="1", promoted="2", moved=HandMove()), Action.ADOPT, "1"),
        (AliasFacts(champion="1", promoted=None, moved=HandMove()), Action.ADOPT, "1"),
        (AliasFacts(champion="1", promoted="2", moved=HandMove("other columns")), Action.PUT_BACK, "2"),
        (AliasFacts(champion="1", promoted=None, moved=HandMove("other columns")), Action.PUT_BACK, None),
        (AliasFacts(champion=None, promoted="2", moved=HandMove()), Action.PUT_BACK, "2"),
    ],
)
def test_the_alias_is_finished_adopted_or_put_back(alias: AliasFacts, action: str | None, version: str | None) -> None:
    repair = decide_alias(alias)
    assert (repair and repair.action, repair and repair.parameters["version"]) == (action, version)


GATE_2, PERSON_2 = read_standing(_promoted("1", "2")), read_standing(_rule(_promoted("1"), promote("2")))
DONE_1, DONE_2 = Move(decision_id="g1", version="1"), Move(decision_id="g2", version="2")


@pytest.mark.parametrize(
    ("standing", "version", "move", "moved"),
    [
        (GATE_2, "1", DONE_1, False),  # the training was killed before it moved the alias
        (GATE_2, "1", None, False),  # state from before moves were noted
        (GATE_2, None, DONE_1, False),
        (GATE_2, "1", DONE_2, True),
        (GATE_2, None, DONE_2, True),
        (GATE_2, "3", DONE_1, True),  # moved by hand before the training that promoted 2 moved it
        (PERSON_2, "3", DONE_1, False),  # a person's order of a later time than the move by hand
        (Standing(), "1", None, True),
    ],
)
def test_a_move_by_hand_is_told_from_a_move_that_is_unfinished(
    standing: Standing, version: str | None, move: Move | None, moved: bool
) -> None:
    assert was_moved(Alias(version=version, move=move), standing) is moved


ORDERS = st.lists(
    st.sampled_from([
        rollback, unpin, approve, reject, *(order(v) for order in (promote, pin, unbar, adopt) for v in "123")
    ]),
    max_size=12,
)  # fmt: skip


@given(
    orders=ORDERS, trainings=st.lists(st.sampled_from([Action.PROMOTE, Action.AWAIT_APPROVAL, Action.KEEP]), max_size=5)
)
def test_after_any_orders_there_is_one_champion_that_no_person_has_barred(
    orders: list[Step], trainings: list[Action]
) -> None:
    ruled = [*_promoted("1"), *(_gate(action, str(n)) for n, action in enumerate(trainings, start=2))]
    for order in orders:
        facts = _facts(ruled, registered="123456")
        try:
            ruled = _record(ruled, order(facts))
        except InvalidInput:
            continue
        standing = read_standing(ruled)
        assert standing.champion is not None
        assert standing.served[0] == standing.champion.version
        assert len(set(standing.served)) == len(standing.served)
        assert not standing.is_barred(standing.champion.version)
        assert standing.pin is None or standing.pin.version == standing.champion.version
        assert standing.waiting is None or not standing.is_barred(standing.waiting.version)
