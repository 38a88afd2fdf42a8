"""Change the champion: record the decision, move the alias, package the version. Only home of these three steps.

The decision is recorded before the alias is moved, and the move is noted after it. So `reconcile` can finish what a
killed process has begun, and it can tell a move of Okawari from a person's move in MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from okawari import events
from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.loop.hindrances import find_hindrance
from okawari.loop.standings import gather_alias, gather_version_facts, load_standing
from okawari.policy.decision import Action, Decision, Kind
from okawari.policy.overrides import VersionFacts, adopt_alias
from okawari.policy.repair import Repair, decide_alias
from okawari.registry import versions
from okawari.registry.versions import Move
from okawari.storage import decision_log
from okawari.training.host import Host
from okawari.training.package import load_packaging, package_version

ALIAS_REPAIRS = (Action.SET_CHAMPION, Action.ADOPT, Action.PUT_BACK)
_RECORDED_ONLY = (Action.UNPIN, Action.REJECT, Action.UNBAR)
"""Decisions of a person that leave the champion as it is."""


def carry_out(case: Case, decision: Decision, host: Host) -> None:
    """Record a person's decision and, if it makes a version the champion, move the alias and package the version.

    Raises:
        InvalidInput: the version cannot serve; nothing is recorded or moved.
    """
    version = str(decision.facts["version"])
    if not changes_champion(decision):
        _record(case, decision, version)
        return
    if (hindrance := find_hindrance(case, version)) is not None:
        raise InvalidInput(f"Version {version} of case {case.name} cannot serve, so nothing is changed. {hindrance}")
    packaging = load_packaging(case, version)
    decision_id = _record(case, decision, version)
    if finish_move(case) == version:
        host.emit(events.MODEL_PROMOTED, case, decision.facts, trace=decision_id)
        package_version(packaging, host)


def changes_champion(decision: Decision) -> bool:
    """Whether a person's decision makes another version the champion."""
    return decision.action not in _RECORDED_ONLY and decision.facts["version"] != decision.facts["replaced"]


def finish_move(case: Case) -> str | None:
    """Move the alias to the version of the newest ruling, and note it; returns that version.

    It may be another one than the caller has recorded: of processes that rule at the same time, the last one wins.
    """
    facts = gather_version_facts(case.name)
    champion, version = facts.standing.champion, facts.standing.choose_champion(facts.registered)
    if champion is None or version is None:
        return None
    versions.move_champion(case.name, Move(decision_id=champion.id, version=version))
    return version


def confirm_move(case: Case) -> None:
    """Note the newest ruling as carried out if the alias already points to its version."""
    champion, alias = load_standing(case.name).champion, versions.load_alias(case.name)
    if champion is None or alias.version != champion.version:
        return
    if alias.move is None or alias.move.decision_id != champion.id:
        versions.note_move(case.name, Move(decision_id=champion.id, version=champion.version))


def settle_alias(case: Case, host: Host) -> None:
    """Finish, adopt or put back a move of the alias, so that the alias and the rulings agree."""
    confirm_move(case)
    if (repair := decide_alias(gather_alias(case))) is not None:
        host.log(f"{case.name}: {repair.action}, because {repair.reason}")
        repair_alias(case, repair, host)


def repair_alias(case: Case, repair: Repair, host: Host) -> None:
    """Record and perform a repair of the alias (`ALIAS_REPAIRS`)."""
    if repair.action == Action.ADOPT:
        _adopt(case, gather_version_facts(case.name), str(repair.parameters["version"]), host)
        return
    decision = Decision(Kind.REPAIR, repair.action, repair.reason, repair.parameters)
    decision_id = decision_log.record_decision(case.name, decision, model_version=repair.parameters["version"])
    if repair.action == Action.PUT_BACK:
        facts: Mapping[str, Any] = {"version": repair.parameters["version"], "reason": repair.reason}
        host.emit(events.CHAMPION_PUT_BACK, case, facts, trace=decision_id)
    if repair.parameters["version"] is None:
        versions.clear_champion(case.name)
    else:
        finish_move(case)


def _adopt(case: Case, facts: VersionFacts, version: str, host: Host) -> None:
    decision = adopt_alias(facts, version)
    decision_id = _record(case, decision, version)
    versions.note_move(case.name, Move(decision_id=decision_id, version=version))
    host.emit(events.CHAMPION_ADOPTED, case, decision.facts, trace=decision_id)


def _record(case: Case, decision: Decision, version: str) -> str:
    """Record a person's decision. Its cause is the gate's ruling on the version, where the lineage continues."""
    known = next((each.known for each in versions.list_versions(case.name) if each.version == version), None)
    return decision_log.record_decision(
        case.name,
        decision,
        cause=None if known is None else known.decision_id,
        snapshot_version=None if known is None else known.snapshot_version,
        run_id=None if known is None else known.run_id,
        model_version=version,
    )
