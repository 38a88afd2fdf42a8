"""Requests for a training: whose turn it is, and which are open, as tables of what is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.loop.requests import History, read_history
from okawari.policy.queueing import Started, Waiting, compute_wait_s, decide_turn, list_next, list_training

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def _waiting(case: str, minute: int = 0, **change: Any) -> Waiting:
    return Waiting(
        **{"case": case, "cause": "drift", "record": case, "since": DAY + timedelta(minutes=minute), **change}
    )


OWN = _waiting("own", 5)
EARLIER, LATER = _waiting("earlier", 1), _waiting("later", 9)
PERSON = _waiting("person", 9, by_person=True)
RESTING = _waiting("resting", 1, due_in_s=60.0)


# --- whose turn it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "waiting", "training", "limit", "action", "told"),
    [
        (OWN, [], [], 1, "train", "a slot is free"),
        (OWN, [OWN, LATER], [], 1, "train", "a slot is free"),
        (OWN, [EARLIER], [], 1, "wait", "waits behind 1 earlier request; position 2"),
        (OWN, [EARLIER], [], 2, "train", "a slot is free"),
        (OWN, [EARLIER, PERSON], [], 2, "wait", "2 earlier requests; position 3"),
        (OWN, [PERSON], [], 1, "wait", "position 2"),
        (OWN, [RESTING], [], 1, "train", "a slot is free"),
        (OWN, [], ["aapl"], 1, "wait", "waits behind the training of aapl; position 1 in the queue"),
        (OWN, [], ["aapl"], 2, "train", "a slot is free"),
        (OWN, [], ["aapl", "cpi"], 2, "wait", "waits behind the training of aapl and the training of cpi; position 1"),
        (OWN, [EARLIER], ["earlier"], 2, "train", "a slot is free"),
        (OWN, [], ["own"], 2, "join", "joins the training of own that runs now"),
        (PERSON, [EARLIER], [], 1, "train", "a slot is free"),
        (PERSON, [], ["person"], 2, "wait", "waits for the end of the training of person"),
        (RESTING, [], [], 1, "wait", "may start in 1 min"),
    ],
)
def test_the_turn_of_a_request(
    own: Waiting, waiting: list[Waiting], training: list[str], limit: int, action: str, told: str
) -> None:
    decision = decide_turn(own, waiting, training, limit)
    assert (decision.kind, decision.action) == ("request", action)
    assert told in decision.reason


_CASES = st.sampled_from("abcdef")
_requests = st.lists(
    st.builds(_waiting, _CASES, st.integers(0, 9), by_person=st.booleans(), due_in_s=st.sampled_from([0.0, 5.0])),
    unique_by=lambda each: each.case,
)


@given(waiting=_requests, training=st.lists(_CASES, unique=True), limit=st.integers(1, 4))
def test_what_starts_fits_the_slots_and_passes_over_nobody(
    waiting: list[Waiting], training: list[str], limit: int
) -> None:
    chosen = list_next(waiting, training, limit)
    assert len(chosen) + len(training) <= max(limit, len(training))
    assert not {each.case for each in chosen} & set(training)
    left = [each for each in waiting if each not in chosen and each.case not in training and each.due_in_s == 0]
    assert not left or len(chosen) + len(training) >= limit
    assert not any(each.by_person for each in left) or all(each.by_person for each in chosen)


@given(
    st.lists(
        st.builds(Started, id=st.uuids().map(str), case=_CASES, at=st.sampled_from("123")), unique_by=lambda r: r.id
    ),
    st.integers(1, 3),
)
def test_every_run_finds_the_same_runs_in_training(started: list[Started], limit: int) -> None:
    """A run looks at those before it; together they never train a case twice, or more than the limit."""
    trains = []
    for run in started:
        ahead = list_training([each for each in started if (each.at, each.id) < (run.at, run.id)], limit)
        if run.case not in ahead and len(ahead) < limit:
            trains.append(run.case)
    assert sorted(trains) == sorted(list_training(started, limit))


@pytest.mark.parametrize(
    ("n_attempts", "failed", "wait_s"),
    [
        (0, False, 0),
        (2, False, 0),
        (3, False, 600),
        (5, False, 2400),
        (1, True, 600),
        (2, True, 1200),
        (99, True, 86400),
    ],
)
def test_trainings_without_a_result_are_repeated_ever_more_rarely(n_attempts: int, failed: bool, wait_s: float) -> None:
    assert compute_wait_s(n_attempts, failed=failed) == wait_s


# --- what is open -------------------------------------------------------------------------------------------------


def _record(name: str, kind: str, action: str, cause: str | None = None, **facts: Any) -> dict[str, Any]:
    return {"id": name, "kind": kind, "action": action, "cause": cause, "facts": facts, "at": DAY}


DRIFT = _record("drift", "drift", "drifted")
REPEATED = _record("repeated", "performance", "degraded", cause="drift")
DEGRADED = _record("degraded", "performance", "degraded")
ASKED = _record("asked", "request", "train", cause=None)
ASKED["facts"] = {"cause": "asked", "by_person": True}
TRAIN = _record("train", "retrain", "train", "drift")
TRAIN["facts"] = {"cause": "drift"}
AGAIN = {**TRAIN, "id": "again", "cause": "train"}
SKIP = _record("skip", "retrain", "skip", "drift")
FAIL = _record("fail", "retrain", "fail", "train")
KEEP = _record("keep", "promotion", "keep", "train")
PROMOTE = _record("promote", "promotion", "promote", "train")
OTHER = [_record("q", "quality", "accepted"), _record("v", "variant", "fp32", "train"), _record("r", "repair", "train")]


@pytest.mark.parametrize(
    ("rows", "open_ones"),
    [
        ([], []),
        (OTHER, []),
        ([DRIFT], ["drift"]),
        ([DRIFT, REPEATED], ["drift"]),
        ([DRIFT, DEGRADED, ASKED], ["drift", "degraded", "asked"]),
        ([DRIFT, SKIP], []),
        ([DRIFT, ASKED, SKIP], ["asked"]),  # limits hold for automatic requests alone
        ([DRIFT, TRAIN], ["train"]),  # it runs, or it died
        ([DRIFT, ASKED, TRAIN], ["train"]),
        ([DRIFT, TRAIN, AGAIN], ["again"]),
        ([DRIFT, TRAIN, KEEP], []),
        ([DRIFT, ASKED, TRAIN, PROMOTE], []),
        ([DRIFT, TRAIN, FAIL], []),  # it failed for its own reason
        ([DRIFT, TRAIN, ASKED, PROMOTE], ["asked"]),  # recorded after the training began
        ([DRIFT, TRAIN, DEGRADED, KEEP], ["degraded"]),
        ([DRIFT, TRAIN, DEGRADED, PROMOTE], []),  # about a champion that is gone
        ([DRIFT, {**KEEP, "cause": None}], []),
    ],
)
def test_open_requests_are_those_that_nothing_has_answered(rows: list[dict[str, Any]], open_ones: list[str]) -> None:
    assert list(read_history(rows).open) == open_ones


def test_a_training_that_died_keeps_the_rank_of_the_person_who_asked() -> None:
    assert read_history([DRIFT, ASKED, TRAIN]).open["train"].by_person
    assert not read_history([DRIFT, TRAIN]).open["train"].by_person


def test_trainings_without_a_result_are_counted_until_one_has_a_result() -> None:
    def count(history: History) -> tuple[int, bool]:
        return history.n_attempts, history.failed

    assert count(read_history([TRAIN, AGAIN])) == (2, False)
    assert count(read_history([TRAIN, FAIL])) == (1, True)
    assert count(read_history([TRAIN, FAIL, AGAIN, {**KEEP, "cause": "again"}])) == (0, False)
