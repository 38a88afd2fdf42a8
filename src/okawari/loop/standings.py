"""The rulings on the versions of a case, from the decision log and the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from okawari.case import Case
from okawari.loop.hindrances import find_hindrance
from okawari.policy.decision import Kind
from okawari.policy.overrides import VersionFacts
from okawari.policy.repair import AliasFacts, HandMove
from okawari.policy.standing import RULING_KINDS, Identity, Ruling, Standing, read_standing
from okawari.registry import versions
from okawari.registry.versions import Alias, Version
from okawari.storage import decision_log

_MOST_RULINGS = 100_000
"""A bar holds until a person lifts it, so all rulings are read."""


def load_standing(case_name: str) -> Standing:
    """The result of all recorded rulings of a case. Needs no server."""
    rows = decision_log.load_decisions(case_name, _MOST_RULINGS, kind=RULING_KINDS)
    return read_standing(_to_ruling(row) for row in reversed(rows))


def gather_version_facts(case_name: str) -> VersionFacts:
    """The facts for a person's decision about versions, as of now."""
    return VersionFacts(
        case=case_name,
        standing=load_standing(case_name),
        champion=versions.load_alias(case_name).version,
        registered=list_identities(versions.list_versions(case_name)),
    )


def gather_alias(case: Case) -> AliasFacts:
    """The alias and the rulings about it, as of now. A version that a person has set is checked."""
    standing, alias = load_standing(case.name), versions.load_alias(case.name)
    promoted = standing.choose_champion([each.version for each in versions.list_versions(case.name)])
    if alias.version == promoted or not was_moved(alias, standing):
        return AliasFacts(champion=alias.version, promoted=promoted)
    hindrance = None if alias.version is None else find_hindrance(case, alias.version)
    return AliasFacts(champion=alias.version, promoted=promoted, moved=HandMove(hindrance))


def was_moved(alias: Alias, standing: Standing) -> bool:
    """Whether a person has moved an alias that does not point to the champion of the rulings.

    Okawari notes each of its moves when it is done. If the newest ruling is not noted, its move is unfinished. But if
    the alias has left the noted version as well, a person has moved it since; then the gate's ruling yields to that
    person, and a person's ruling is finished.
    """
    if alias.move is None or standing.champion is None:
        return standing.champion is None
    if alias.move.decision_id == standing.champion.id:
        return True
    return alias.version not in (None, alias.move.version) and standing.champion.kind == Kind.PROMOTION


def list_identities(listed: Sequence[versions.Listed]) -> dict[str, Identity | None]:
    """The identity of each registered version; None for a version that was not registered by a training."""
    return {each.version: None if each.known is None else to_identity(each.known) for each in listed}


def to_identity(version: Version) -> Identity:
    """What makes a registered version equal to another one."""
    return Identity(
        version=version.version,
        candidate=version.candidate,
        graph_sha256=version.graph_sha256,
        snapshot_digest=version.snapshot_digest,
        settings_sha256=version.settings_sha256,
    )


def _to_ruling(row: Mapping[str, Any]) -> Ruling:
    return Ruling(
        id=row["id"],
        kind=row["kind"],
        action=row["action"],
        version=str(row["model_version"]),
        reason=row["reason"],
        at=row["at"],
        facts=row["facts"],
    )
