"""The state of a loop: which record is shown as the last decision, and of which version a verdict and a report are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from okawari.cases.loader import load_case
from okawari.loop.facts import is_settled
from okawari.loop.status import read_state
from okawari.policy.decision import Action, Decision, Kind, Verdict
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.storage.decision_log import record_decision


@pytest.fixture
def promoted(train_version: Callable[..., Version]) -> Version:
    """A champion whose training is on record."""
    version = train_version()
    versions.set_champion("aapl", version.version)
    decision = Decision(Kind.PROMOTION, Action.PROMOTE, "better")
    record_decision("aapl", decision, id=version.decision_id, snapshot_version=0, model_version=version.version)
    return version


def _watch(drift: Verdict, version: str) -> str:
    verdict = record_decision("aapl", Decision(Kind.DRIFT, drift, ""), snapshot_version=0, model_version=version)
    performance = Decision(Kind.PERFORMANCE, Verdict.NOT_ENOUGH_DATA, "")
    record_decision("aapl", performance, snapshot_version=0, model_version=version)
    return verdict


def test_a_skip_does_not_hide_how_the_last_training_ended(promoted: Version) -> None:
    assert read_state("aapl").request is None
    record_decision("aapl", Decision(Kind.RETRAIN, Action.SKIP, "too few readings"))
    state = read_state("aapl")
    assert state.decision is not None and state.request is not None
    assert (state.decision["action"], state.request["action"]) == ("promote", "skip")


def test_before_a_training_has_ended_the_newest_decision_on_one_is_shown(promoted: Version) -> None:
    skipped = record_decision("blobs", Decision(Kind.RETRAIN, Action.SKIP, "too few readings"))
    state = read_state("blobs")
    assert state.decision is not None and state.decision["id"] == skipped
    assert state.request is None


def test_a_verdict_on_a_version_that_was_replaced_is_past(
    promoted: Version, train_version: Callable[..., Version]
) -> None:
    _watch(Verdict.DRIFTED, promoted.version)
    state = read_state("aapl")
    assert not state.is_past(state.drift) and not state.is_past(state.performance)
    versions.set_champion("aapl", train_version(growth=0.02).version)
    state = read_state("aapl")
    assert state.is_past(state.drift) and state.is_past(state.performance)
    assert not state.is_past(state.quality)  # data are of no version
    assert not state.is_past(None)


def test_a_report_belongs_to_the_newest_verdict_that_had_enough_data(promoted: Version) -> None:
    assert read_state("aapl").reported is None
    drifted = _watch(Verdict.DRIFTED, promoted.version)
    _watch(Verdict.NOT_ENOUGH_DATA, promoted.version)
    state = read_state("aapl")
    assert state.reported is not None and state.reported["id"] == drifted


def test_a_loop_is_settled_when_each_verdict_has_its_answer(promoted: Version) -> None:
    case = load_case("aapl")
    assert not is_settled(case)  # the snapshot was not looked at
    drifted = _watch(Verdict.DRIFTED, promoted.version)
    assert not is_settled(case)  # the drift waits for a training
    record_decision("aapl", Decision(Kind.RETRAIN, Action.SKIP, "too few readings"), cause=drifted)
    assert is_settled(case)
    assert is_settled(load_case("blobs"))  # nothing ingested
