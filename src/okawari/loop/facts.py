"""Facts from the records of a case, as inputs of pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any

from okawari.case import Case
from okawari.clients.prediction_service import Client
from okawari.loop import requests
from okawari.loop.standings import gather_alias, load_standing
from okawari.policy.decision import Action, Cause, Kind
from okawari.policy.repair import MAX_PACKAGINGS, AliasFacts, Loop, Serving, Unanswered
from okawari.policy.retraining import RetrainFacts
from okawari.policy.standing import Ruling
from okawari.registry import versions
from okawari.storage import decision_log, snapshots

_LOOK_BACK = 500
_SERVING_REPAIRS = (Action.PACKAGE, Action.SERVES_AGAIN, Action.NEEDS_PERSON)


def gather_retrain_facts(case: Case, cause: Cause) -> RetrainFacts:
    """The facts for `decide_retrain`, as of now."""
    trainings = decision_log.load_decisions(case.name, _LOOK_BACK, kind=Kind.PROMOTION)
    today = datetime.now(UTC).date()
    return RetrainFacts(
        cause=cause,
        has_champion=_has_champion(gather_alias(case)),
        new_readings=_count_new_readings(case, trainings),
        trainings_today=sum(at.date() == today for at in requests.load_history(case.name).started_at),
        rejections_in_a_row=_count_rejections(trainings),
        awaits_approval=load_standing(case.name).waiting is not None,
    )


def gather_loop(case: Case, *, serving: Serving | None, active: frozenset[str], may_train: bool = True) -> Loop:
    """The facts for `decide_repairs`, as of now.

    Args:
        case: whose loop.
        serving: what the service serves; None if it does not answer.
        active: the flows that have a run of this case that waits or runs.
        may_train: whether a training of this case may start now.
    """
    newest, alias, standing = snapshots.snapshot_number(case), gather_alias(case), load_standing(case.name)
    champion, deployment = alias.champion, _newest(case, Kind.DEPLOYMENT)
    graph_sha256 = None if champion is None else versions.find_digest(case.name, champion)
    packagings, needs_person = (0, False) if champion is None else _count_packagings(case, champion, graph_sha256)
    return Loop(
        snapshot=newest,
        champion=champion,
        promoted=alias.promoted,
        serving=_last_deployed(deployment) if serving is None else serving,
        is_monitored=champion is not None and _is_monitored(case, newest, champion),
        unanswered=_find_unanswered(case),
        active=active,
        may_train=may_train,
        ingested_s=_age_s(_find_ingest(case, newest)),
        promoted_s=_measure_age_s(standing.champion),
        deployed_s=_age_s(deployment),
        champion_sha256=graph_sha256,
        packagings=packagings,
        needs_person=needs_person,
        moved=alias.moved,
        awaits_approval=standing.waiting is not None,
    )


def read_serving(client: Client, case_name: str) -> Serving | None:
    """What a service serves of a case; None if it does not know the case. Raises like the client."""
    found = next((each for each in client.cases() if each.name == case_name), None)
    if found is None:
        return None
    if (model := found.model) is None:
        return Serving(None, None, found.refused)
    return Serving(model.version, model.graph_sha256, found.refused)


def _has_champion(alias: AliasFacts) -> bool:
    """Whether there is a champion, also while its alias is not set yet or was deleted by hand."""
    return (alias.promoted or alias.champion) is not None


def _measure_age_s(champion: Ruling | None) -> float:
    """Seconds since the champion's ruling; infinite where the process that recorded it does not package."""
    if champion is None or champion.at is None or champion.action == Action.ADOPT:
        return inf
    return _age_s({"at": champion.at})


def is_settled(case: Case) -> bool:
    """Whether `monitor` has a verdict on the newest snapshot and no training request is open."""
    newest = snapshots.snapshot_number(case)
    return newest is None or (_is_watched(case, newest) and not requests.load_history(case.name).open)


def _count_new_readings(case: Case, trainings: list[dict[str, Any]]) -> int:
    """Readings that came after the snapshot of the last finished training; all, if there was none."""
    version = trainings[0]["snapshot_version"] if trainings else None
    if version is None:
        newest = snapshots.load_snapshot(case)
        return 0 if newest is None else newest.rows
    learned = snapshots.load_snapshot(case, version)
    assert learned is not None  # a snapshot that a training learned from is never removed
    return snapshots.count_newer(case, learned)


def _count_rejections(trainings: list[dict[str, Any]]) -> int:
    for count, training in enumerate(trainings):
        if training["action"] != Action.KEEP:
            return count
    return len(trainings)


def _newest(case: Case, kind: str) -> dict[str, Any] | None:
    return next(iter(decision_log.load_decisions(case.name, 1, kind=kind)), None)


def _last_deployed(deployment: dict[str, Any] | None) -> Serving:
    return Serving(None if deployment is None else str(deployment["model_version"]))


def _count_packagings(case: Case, version: str, graph_sha256: str | None) -> tuple[int, bool]:
    """Packagings of this graph that repairs started since it last served, and whether a person is needed.

    A deployment after the record that a person is needed starts the count again: a person has done something.
    """
    wanted, count, is_deployed = (version, graph_sha256), 0, False
    for row in decision_log.load_decisions(case.name, _LOOK_BACK):
        is_deployed |= row["kind"] == Kind.DEPLOYMENT
        if row["kind"] != Kind.REPAIR or row["action"] not in _SERVING_REPAIRS:
            continue
        is_same = (row["facts"].get("version"), row["facts"].get("graph_sha256")) == wanted
        if not is_same or row["action"] == Action.SERVES_AGAIN:
            break
        if row["action"] == Action.NEEDS_PERSON:
            return (count, False) if is_deployed else (MAX_PACKAGINGS, True)
        count += 1
    return count, False


def _is_monitored(case: Case, snapshot: int | None, version: str) -> bool:
    verdict = _newest(case, Kind.DRIFT)
    return verdict is not None and (verdict["snapshot_version"], verdict["model_version"]) == (snapshot, version)


def _is_watched(case: Case, snapshot: int) -> bool:
    """Whether a verdict on this snapshot is recorded, even if it is that there was no champion."""
    found = decision_log.load_decisions(case.name, _LOOK_BACK, kind=Kind.PERFORMANCE)
    return any(row["snapshot_version"] == snapshot for row in found)


def _find_ingest(case: Case, snapshot: int | None) -> dict[str, Any] | None:
    found = decision_log.load_decisions(case.name, _LOOK_BACK, kind=Kind.QUALITY)
    return next((row for row in found if row["snapshot_version"] == snapshot), None)


def _age_s(record: dict[str, Any] | None) -> float:
    """Seconds since something was recorded; infinite where nothing was.

    A record of the future was made while the clock was ahead. It counts as old as it is far away, so it delays nothing.
    """
    return inf if record is None else abs((datetime.now(UTC) - record["at"]).total_seconds())


def _find_unanswered(case: Case) -> Unanswered | None:
    """The open request for a training that comes next in this case; one that may not start yet is left out."""
    waiting = requests.find_waiting(case.name)
    if waiting is None or waiting.record is None or waiting.due_in_s > 0:
        return None
    return Unanswered(waiting.cause, waiting.record, (datetime.now(UTC) - waiting.newest).total_seconds())
