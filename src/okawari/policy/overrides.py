"""A person's decisions about versions, and how they limit the gate.

Each `decide_...` of a person's order returns the decision to record, or raises `InvalidInput` with what came, what is
allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.policy.decision import Action, Decision, Kind
from okawari.policy.standing import Bar, Identity, Ruling, Standing

NO_REASON = "no reason given"


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who decides, and why."""

    by: str
    reason: str = NO_REASON


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """The versions of a case: the rulings about them, the alias, and all registered versions."""

    case: str
    standing: Standing = field(default_factory=Standing)
    champion: str | None = None
    """The version that the alias points to."""
    registered: Mapping[str, Identity | None] = field(default_factory=dict)
    """All registered versions, oldest first; None for a version that was not registered by a training."""


def decide_rollback(facts: VersionFacts, order: Order) -> Decision:
    """Serve the version before the champion again, skipping barred ones and their equals, and bar the champion."""
    current = facts.champion
    if current is None:
        raise InvalidInput(f"Case {facts.case} has no champion to roll back; run: okawari run {facts.case}.")
    _require_unpinned(facts)
    previous = find_previous(facts)
    if previous is None:
        raise InvalidInput(
            f"No version of case {facts.case} served before version {current} and is neither barred nor equal to it; "
            f"choose one of okawari versions {facts.case} and run: okawari promote {facts.case} VERSION."
        )
    return _rule(facts, order, Action.ROLL_BACK, previous, _describe_change(facts, previous), barred=current)


def find_previous(facts: VersionFacts) -> str | None:
    """The version that a rollback serves again; None if there is none."""
    current = facts.registered.get(facts.champion or "")
    return next((each for each in facts.standing.served if _is_allowed(facts, each, current)), None)


def _is_allowed(facts: VersionFacts, version: str, current: Identity | None) -> bool:
    identity = facts.registered.get(version)
    if version == facts.champion or identity is None:
        return False
    is_equal = current is not None and identity.describe_likeness(current) is not None
    return not is_equal and facts.standing.find_bar(identity) is None


def decide_promote(facts: VersionFacts, order: Order, version: str) -> Decision:
    """Make a registered version the champion, which lifts its bar."""
    _require_registered(facts, version)
    if version == facts.champion:
        raise InvalidInput(
            f"Version {version} of case {facts.case} is the champion already. To keep it against later promotions run: "
            f"okawari pin {facts.case} {version}."
        )
    _require_unpinned(facts)
    return _rule(facts, order, Action.PROMOTE, version, _describe_change(facts, version))


def decide_pin(facts: VersionFacts, order: Order, version: str) -> Decision:
    """Make a version the champion and hold it until the pin is removed."""
    _require_registered(facts, version)
    _require_unpinned(facts)
    return _rule(facts, order, Action.PIN, version, f"version {version} stays until: okawari unpin {facts.case}")


def decide_unpin(facts: VersionFacts, order: Order) -> Decision:
    """Let trainings promote again."""
    pin = facts.standing.pin
    if pin is None:
        raise InvalidInput(
            f"Case {facts.case} has no pinned version, so nothing is held. To hold one run: "
            f"okawari pin {facts.case} VERSION."
        )
    return _rule(facts, order, Action.UNPIN, pin.version, f"version {pin.version} may be replaced again")


def decide_approve(facts: VersionFacts, order: Order, version: str | None = None) -> Decision:
    """Make the challenger that waits the champion."""
    waiting = _require_waiting(facts, version)
    _require_registered(facts, waiting.version)
    _require_unpinned(facts)
    return _rule(
        facts, order, Action.APPROVE, waiting.version, f"version {waiting.version} instead of {facts.champion}"
    )


def decide_reject(facts: VersionFacts, order: Order, version: str | None = None) -> Decision:
    """Bar the challenger that waits."""
    waiting = _require_waiting(facts, version)
    text = f"version {waiting.version} does not serve"
    return _rule(facts, order, Action.REJECT, waiting.version, text, barred=waiting.version)


def decide_unbar(facts: VersionFacts, order: Order, version: str) -> Decision:
    """Lift the bar of a version, so that an equal one may be promoted."""
    if not facts.standing.is_barred(version):
        barred = [bar.identity.version for bar in facts.standing.bars]
        raise InvalidInput(
            f"Version {version} of case {facts.case} is not barred; {_list_texts(barred, 'barred')}. "
            f"See: okawari versions {facts.case}."
        )
    return _rule(facts, order, Action.UNBAR, version, f"version {version} and its equals may be promoted again")


def adopt_alias(facts: VersionFacts, version: str) -> Decision:
    """The record of a move of the alias that was made by hand."""
    order = Order(by="a person in MLflow", reason="the alias was moved by hand")
    replaced = None if facts.standing.champion is None else facts.standing.champion.version
    before = replace(facts, champion=replaced)
    return _rule(before, order, Action.ADOPT, version, _describe_change(before, version))


def limit_promotion(decision: Decision, challenger: Identity, standing: Standing, case: Case) -> Decision:
    """Apply the rulings of persons to the gate's decision, and record the challenger's identity with it.

    A challenger that equals a barred version is not promoted. A pinned version stays. If the gate needs an approval,
    the challenger waits for a person.
    """
    decision = replace(decision, facts={**decision.facts, "identity": asdict(challenger)})
    if decision.action != Action.PROMOTE:
        return decision
    action, reason = _limit(challenger, standing, case)
    return replace(decision, action=action, reason=f"{decision.reason}{reason}")


def _limit(challenger: Identity, standing: Standing, case: Case) -> tuple[str, str]:
    if (found := standing.find_bar(challenger)) is not None:
        return Action.KEEP, f"; but {_describe_bar(case.name, *found)}"
    if standing.pin is not None:
        return Action.HOLD, f"; but {_describe_pin(case.name, standing.pin)}"
    if case.gate.approval:
        return Action.AWAIT_APPROVAL, f"; it waits for a person: okawari approve {case.name} {challenger.version}"
    return Action.PROMOTE, ""


def _describe_bar(case: str, bar: Bar, likeness: str) -> str:
    barred = bar.identity.version
    return (
        f"it equals version {barred} ({likeness}), which {bar.ruling.by} barred ({bar.ruling.reason}); "
        f"to allow it run: okawari unbar {case} {barred}"
    )


def _describe_pin(case: str, pin: Ruling) -> str:
    return f"version {pin.version} is pinned by {pin.by} ({pin.reason}); to allow promotions run: okawari unpin {case}"


def _require_registered(facts: VersionFacts, version: str) -> None:
    if version not in facts.registered:
        raise InvalidInput(
            f"Case {facts.case} has no registered version {version}; {_list_texts([*facts.registered], 'registered')}. "
            f"Choose one of okawari versions {facts.case}."
        )


def _require_unpinned(facts: VersionFacts) -> None:
    pin = facts.standing.pin
    if pin is not None:
        raise InvalidInput(
            f"Version {pin.version} of case {facts.case} is pinned by {pin.by} ({pin.reason}); a pinned version stays. "
            f"Run first: okawari unpin {facts.case}."
        )


def _require_waiting(facts: VersionFacts, version: str | None) -> Ruling:
    waiting, case = facts.standing.waiting, facts.case
    if waiting is None:
        raise InvalidInput(
            f"No challenger of case {case} waits for approval. To promote one of okawari versions {case} run: "
            f"okawari promote {case} VERSION."
        )
    if version not in (None, waiting.version):
        raise InvalidInput(
            f"Version {version} of case {case} does not wait for approval; version {waiting.version} does. "
            f"Name that one, or run: okawari promote {case} VERSION."
        )
    return waiting


def _describe_change(facts: VersionFacts, version: str) -> str:
    replaced = "no version" if facts.champion is None else facts.champion
    return f"version {version} instead of {replaced}"


def _list_texts(versions: list[str], what: str) -> str:
    return f"{what} are {', '.join(versions)}" if versions else f"none is {what}"


def _rule(
    facts: VersionFacts, order: Order, action: Action, version: str, text: str, *, barred: str | None = None
) -> Decision:
    """The decision as it is recorded; `barred` is the version that it bars."""
    recorded: dict[str, Any] = {
        "version": version,
        "replaced": facts.champion,
        "by": order.by,
        "identity": _describe(facts, version),
    }
    if barred is not None:
        recorded["barred"] = _describe(facts, barred)
    return Decision(Kind.PERSON, action, f"{text}: {order.reason}", recorded)


def _describe(facts: VersionFacts, version: str) -> dict[str, Any] | None:
    identity = facts.registered.get(version)
    return None if identity is None else asdict(identity)
