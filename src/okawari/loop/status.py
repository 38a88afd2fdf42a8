"""The state of the loop of a case, for the page and the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from okawari.cases.loader import load_case
from okawari.errors import ServerUnreachable
from okawari.policy.decision import Kind
from okawari.registry import versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.snapshots import Snapshot


@dataclass(frozen=True, kw_only=True)
class LoopState:
    """Snapshot, champion, newest verdicts and newest decision of a case; None where there is none yet."""

    case: str
    title: str
    snapshot: Snapshot | None
    quarantined: int
    champion: dict[str, Any] | None
    quality: dict[str, Any] | None
    drift: dict[str, Any] | None
    performance: dict[str, Any] | None
    decision: dict[str, Any] | None
    report: Path | None
    problem: str | None = None
    """The error message if MLflow did not answer; the other fields are still valid."""


def read_state(case_name: str) -> LoopState:
    """Read the state of a case from snapshots, registry and records."""
    case = load_case(case_name)
    decisions = decision_log.load_decisions(case_name, 200)
    champion, problem = _read_champion(case_name, decisions)
    report = load_settings().reports_dir / case_name / "drift.html"
    return LoopState(
        case=case.name,
        title=case.title,
        snapshot=snapshots.load_snapshot(case),
        quarantined=snapshots.count_quarantined(case),
        champion=champion,
        quality=_newest(decisions, Kind.QUALITY),
        drift=_newest(decisions, Kind.DRIFT),
        performance=_newest(decisions, Kind.PERFORMANCE),
        decision=_newest(decisions, Kind.PROMOTION, Kind.RETRAIN),
        report=report if report.is_file() else None,
        problem=problem,
    )


def _read_champion(case_name: str, decisions: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, str | None]:
    try:
        champion = versions.load_champion(case_name)
    except ServerUnreachable as problem:
        return None, str(problem)
    if champion is None:
        return None, None
    promotion = next((row for row in decisions if row["id"] == champion.decision_id), None)
    return {**asdict(champion), "promoted_at": promotion and promotion["at"]}, None


def _newest(decisions: list[dict[str, Any]], *kinds: str) -> dict[str, Any] | None:
    """The newest record of the given kinds, with its action as `verdict` as well."""
    found = next((row for row in decisions if row["kind"] in kinds), None)
    return None if found is None else {**found, "verdict": found["action"]}
