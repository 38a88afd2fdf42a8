"""The state of the loop of a case, for the page and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from okawari.cases.loader import load_case
from okawari.errors import ServerUnreachable
from okawari.loop.standings import load_standing
from okawari.policy.decision import Action, Kind, Verdict, describe_outcome
from okawari.policy.standing import Standing
from okawari.registry import versions
from okawari.registry.client import require_server
from okawari.settings import load_settings
from okawari.storage import decision_log, delivery_log, keyed_outcomes, quarantine, snapshots
from okawari.storage.delivery_log import Delivery, State, advise
from okawari.storage.snapshots import Snapshot

_LOOK_BACK = 200
"""Newest records that the state is read from."""


@dataclass(frozen=True, kw_only=True)
class LoopState:
    """Snapshot, champion, newest verdicts and decisions of a case; None where there is none yet.

    `drift` and `performance` are of the version that was the champion when they were recorded (`is_past`).
    """

    case: str
    title: str
    snapshot: Snapshot | None
    quarantined: int
    champion: dict[str, Any] | None
    quality: dict[str, Any] | None
    drift: dict[str, Any] | None
    performance: dict[str, Any] | None
    decision: dict[str, Any] | None
    """How the last training ended; the newest decision on a training, where none has ended yet."""
    request: dict[str, Any] | None
    """What was decided on a training since then: it was started, or skipped."""
    report: Path | None
    reported: dict[str, Any] | None
    """The drift verdict that the report belongs to; None where that is older than the records that were read."""
    refused_outcomes: int = 0
    """Outcomes by a key that no prediction had."""
    refused_outcome: dict[str, Any] | None = None
    """The newest of them."""
    alarm: str | None = None
    """Why a person is needed, if `reconcile` has recorded it and nothing has been deployed since."""
    problem: str | None = None
    """The error message if MLflow did not answer; the other fields are still valid."""
    standing: Standing = field(default_factory=Standing)
    """Pin, bars, the challenger that waits, and the last decision of a person."""
    put_back: dict[str, Any] | None = None
    """The newest repair that put the alias back, if no person has decided since."""
    deliveries: tuple[Delivery, ...] = ()
    """The held delivery and those that wait behind it, oldest first."""

    @property
    def held(self) -> str | None:
        """What is held, why, and what a person does about it, as one sentence; None if nothing is."""
        found = next((each for each in self.deliveries if each.state == State.HELD), None)
        if found is None:
            return None
        waiting = [each.id for each in self.deliveries if each.state == State.WAITING]
        behind = f" {', '.join(waiting)} {'waits' if len(waiting) == 1 else 'wait'} behind it." if waiting else ""
        return f"Delivery {found.id} is held: {found.reason}.{behind} {advise(self.case, found.id)}"

    def is_past(self, verdict: Mapping[str, Any] | None) -> bool:
        """Whether a verdict was on a version that is not the champion any more."""
        judged = None if verdict is None else verdict["model_version"]
        return judged is not None and self.champion is not None and judged != self.champion["version"]


def read_state(case_name: str) -> LoopState:
    """Read the state of a case from snapshots, registry and records.

    A registry that does not answer within 2 s is left out; `problem` says so.
    """
    case = load_case(case_name)
    decisions = decision_log.load_decisions(case_name, _LOOK_BACK)
    champion, problem = _read_champion(case_name, decisions)
    report = load_settings().reports_dir / case_name / "drift.html"
    decision, request = _find_decisions(decisions)
    return LoopState(
        case=case.name,
        title=case.title,
        snapshot=snapshots.load_snapshot(case),
        quarantined=quarantine.count_quarantined(case),
        champion=champion,
        quality=_find_quality(decisions),
        drift=_newest(decisions, Kind.DRIFT),
        performance=_newest(decisions, Kind.PERFORMANCE),
        decision=decision,
        request=request,
        report=report if report.is_file() else None,
        reported=_find_reported(decisions),
        refused_outcomes=keyed_outcomes.count_refused(case_name),
        refused_outcome=keyed_outcomes.find_newest_refused(case_name),
        alarm=_find_alarm(decisions),
        problem=problem,
        standing=load_standing(case_name),
        put_back=_find_put_back(decisions),
        deliveries=tuple(reversed(delivery_log.load_deliveries(case_name, _LOOK_BACK, delivery_log.OPEN))),
    )


def _read_champion(case_name: str, decisions: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, str | None]:
    try:
        require_server()
        champion = versions.load_champion(case_name)
    except ServerUnreachable as problem:
        return None, str(problem)
    if champion is None:
        return None, None
    promotion = next((row for row in decisions if row["id"] == champion.decision_id), None)
    return {**asdict(champion), "promoted_at": promotion and promotion["at"]}, None


def _find_decisions(decisions: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """How the last training ended, and what was decided on a training since; records are newest first."""
    newest, ended = _newest(decisions, Kind.PROMOTION, Kind.RETRAIN), _newest(decisions, Kind.PROMOTION)
    if ended is None or newest is None or newest["id"] == ended["id"]:
        return newest, None
    return ended, newest


def _find_quality(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest verdict on data, or that a person has discarded the held delivery since."""
    told = (row for row in decisions if row["kind"] == Kind.QUALITY or row["action"] == Action.DISCARD)
    found = next(told, None)
    return None if found is None else {**found, "verdict": describe_outcome(found["kind"], found["action"])}


def _find_alarm(decisions: list[dict[str, Any]]) -> str | None:
    """The reason of the newest record on serving, if it is that a person is needed."""
    about_serving = (Action.PACKAGE, Action.SERVES_AGAIN, Action.NEEDS_PERSON)
    newest = next((row for row in decisions if row["kind"] == Kind.DEPLOYMENT or row["action"] in about_serving), None)
    return newest["reason"] if newest is not None and newest["action"] == Action.NEEDS_PERSON else None


def _find_reported(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """`monitor` writes a report with each drift verdict for which there is enough data."""
    return next(
        (row for row in decisions if row["kind"] == Kind.DRIFT and row["action"] != Verdict.NOT_ENOUGH_DATA), None
    )


def _find_put_back(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    for row in decisions:
        if row["kind"] == Kind.PERSON:
            return None
        if (row["kind"], row["action"]) == (Kind.REPAIR, Action.PUT_BACK):
            return row
    return None


def _newest(decisions: list[dict[str, Any]], *kinds: str) -> dict[str, Any] | None:
    """The newest record of the given kinds, with its action as `verdict` as well."""
    found = next((row for row in decisions if row["kind"] in kinds), None)
    return None if found is None else {**found, "verdict": found["action"]}
