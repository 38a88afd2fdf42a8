"""The state of a case's loop at one glance, for the page and the command line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from okawari.cases.loader import load_case
from okawari.errors import ServerUnreachable
from okawari.policy.decision import Kind
from okawari.registry import versions
from okawari.registry.client import require_server
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.snapshots import Snapshot


@dataclass(frozen=True, kw_only=True)
class LoopState:
    """Snapshot, champion, serving version, newest verdicts and decision of a case; None where there is none yet."""

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
    """What could not be asked, as a sentence; the rest of the state stands."""


def read_state(case_name: str) -> LoopState:
    """Gather the state of a case from snapshots, registry and records.

    A registry that does not answer within 2 s is left out; `problem` says so.
    """
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
        require_server()
        champion = versions.load_champion(case_name)
    except ServerUnreachable as problem:
        return None, str(problem)
    if champion is None:
        return None, None
    promotion = next((row for row in decisions if row["id"] == champion.decision_id), None)
    return {**asdict(champion), "promoted_at": promotion and promotion["at"]}, None


def _newest(decisions: list[dict[str, Any]], *kinds: str) -> dict[str, Any] | None:
    """The newest record of some kinds; `verdict` repeats its action, which is what a verdict's action is."""
    found = next((row for row in decisions if row["kind"] in kinds), None)
    return None if found is None else {**found, "verdict": found["action"]}
