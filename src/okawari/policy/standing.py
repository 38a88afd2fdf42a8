"""What the recorded decisions say about the versions of a case: champion, pin, bars, and the challenger that waits.

A *ruling* is a recorded decision about which version may serve: one of the gate (kind `promotion`) or of a person
(kind `person`). Rulings are applied in the order in which they were recorded; their times are only shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from okawari.policy.decision import Action, Kind

RULING_KINDS = (Kind.PROMOTION, Kind.PERSON)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes two versions equal: the same graph, or the same settings fitted on the same data."""

    version: str
    candidate: str
    graph_sha256: str
    snapshot_digest: str
    settings_sha256: str | None = None
    """Digest of the recipe's settings and of the parts of the case that a fit depends on; None for older versions."""

    def describe_likeness(self, other: Identity) -> str | None:
        """What both have in common if they are equal, else None."""
        if self.graph_sha256 == other.graph_sha256:
            return "the same graph"
        ours, theirs = _describe_fit(self), _describe_fit(other)
        return "the same candidate, settings and snapshot" if ours is not None and ours == theirs else None


def _describe_fit(identity: Identity) -> tuple[str, ...] | None:
    if identity.settings_sha256 is None:
        return None
    return identity.candidate, identity.settings_sha256, identity.snapshot_digest


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """One ruling. `version` is the version that it is about; after a rollback, the version that serves again."""

    id: str
    kind: str
    action: str
    version: str
    reason: str = ""
    at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """The person or, for the gate's rulings, "the gate"."""
        return str(self.facts.get("by", "the gate"))

    @property
    def identity(self) -> Identity | None:
        """The identity of `version`; None where it was not recorded."""
        return _read_identity(self.facts.get("identity"))

    @property
    def barred(self) -> Identity | None:
        """The version that this ruling bars."""
        return _read_identity(self.facts.get("barred"))


def _read_identity(found: Mapping[str, Any] | None) -> Identity | None:
    return None if found is None else Identity(**found)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A version that a person decided against; neither it nor an equal one is promoted until the bar is lifted."""

    identity: Identity
    ruling: Ruling


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The result of all rulings about the versions of a case."""

    champion: Ruling | None = None
    """The ruling that made the champion; None if there was none."""
    served: tuple[str, ...] = ()
    """Versions that have been champion, each once, the newest (the present champion) first."""
    pin: Ruling | None = None
    """The ruling that holds the champion; its version is the champion's."""
    bars: tuple[Bar, ...] = ()
    waiting: Ruling | None = None
    """The gate's ruling on the challenger that waits for approval."""
    held: tuple[str, ...] = ()
    """Versions that passed the gate while another one was pinned."""
    person: Ruling | None = None
    """The newest ruling of a person."""

    def find_bar(self, identity: Identity | None) -> tuple[Bar, str] | None:
        """The bar that applies to a version, and what the version has in common with the barred one."""
        if identity is None:
            return None
        found = ((bar, bar.identity.describe_likeness(identity)) for bar in self.bars)
        return next(((bar, likeness) for bar, likeness in found if likeness is not None), None)

    def is_barred(self, version: str) -> bool:
        """Whether this very version is barred."""
        return any(bar.identity.version == version for bar in self.bars)

    def choose_champion(self, registered: Collection[str]) -> str | None:
        """The version that the alias has to point to: the champion; if it is no longer registered, the one before."""
        return next((each for each in self.served if each in registered and not self.is_barred(each)), None)


def read_standing(rulings: Iterable[Ruling]) -> Standing:
    """Apply all rulings, given oldest first."""
    standing = Standing()
    for ruling in rulings:
        apply = _EFFECTS.get((ruling.kind, ruling.action))
        if apply is not None:
            standing = apply(standing, ruling)
        if ruling.kind == Kind.PERSON:
            standing = replace(standing, person=ruling)
    return standing


def _promote_automatically(standing: Standing, ruling: Ruling) -> Standing:
    """A training may record its promotion just after a person has pinned or barred; then the person's ruling holds."""
    if standing.pin is not None or standing.find_bar(ruling.identity) is not None:
        return standing
    return _set_champion(standing, ruling)


def _set_champion(standing: Standing, ruling: Ruling) -> Standing:
    """Make the ruling's version the champion. A pin moves along, and a challenger that waits was compared in vain."""
    served = (ruling.version, *(each for each in standing.served if each != ruling.version))
    pin = None if standing.pin is None else ruling
    return replace(standing, champion=ruling, served=served, pin=pin, waiting=None)


def _choose(standing: Standing, ruling: Ruling) -> Standing:
    """A person makes a version the champion, which lifts its bar."""
    return _set_champion(_lift(standing, ruling), ruling)


def _roll_back(standing: Standing, ruling: Ruling) -> Standing:
    """A waiting challenger goes on waiting: a rollback says nothing about it."""
    return replace(_bar(_set_champion(standing, ruling), ruling), waiting=standing.waiting)


def _pin(standing: Standing, ruling: Ruling) -> Standing:
    is_champion = standing.champion is not None and standing.champion.version == ruling.version
    chosen = _lift(standing, ruling) if is_champion else _choose(standing, ruling)
    return replace(chosen, pin=ruling)


def _unpin(standing: Standing, ruling: Ruling) -> Standing:
    return replace(standing, pin=None)


def _wait(standing: Standing, ruling: Ruling) -> Standing:
    return standing if standing.find_bar(ruling.identity) is not None else replace(standing, waiting=ruling)


def _hold(standing: Standing, ruling: Ruling) -> Standing:
    return replace(standing, held=(*standing.held, ruling.version))


def _reject(standing: Standing, ruling: Ruling) -> Standing:
    is_waiting = standing.waiting is not None and standing.waiting.version == ruling.version
    return replace(_bar(standing, ruling), waiting=None if is_waiting else standing.waiting)


def _bar(standing: Standing, ruling: Ruling) -> Standing:
    if ruling.barred is None:
        return standing
    return replace(standing, bars=(*standing.bars, Bar(identity=ruling.barred, ruling=ruling)))


def _lift(standing: Standing, ruling: Ruling) -> Standing:
    return replace(standing, bars=tuple(bar for bar in standing.bars if bar.identity.version != ruling.version))


_EFFECTS: Mapping[tuple[str, str], Callable[[Standing, Ruling], Standing]] = {
    (Kind.PROMOTION, Action.PROMOTE): _promote_automatically,
    (Kind.PROMOTION, Action.AWAIT_APPROVAL): _wait,
    (Kind.PROMOTION, Action.HOLD): _hold,
    (Kind.PERSON, Action.PROMOTE): _choose,
    (Kind.PERSON, Action.APPROVE): _choose,
    (Kind.PERSON, Action.ADOPT): _choose,
    (Kind.PERSON, Action.ROLL_BACK): _roll_back,
    (Kind.PERSON, Action.PIN): _pin,
    (Kind.PERSON, Action.UNPIN): _unpin,
    (Kind.PERSON, Action.REJECT): _reject,
    (Kind.PERSON, Action.UNBAR): _lift,
}
