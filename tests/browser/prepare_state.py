"""Fills a state folder the way the loop does, in seconds: real history ingested, the baseline registered as champion,
a drift verdict with its report, and decisions. Run with the folder in `OKAWARI_HOME`; `--empty` only makes the folder.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from monitoring.drift import measure_drift
from monitoring.report import build_report
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.validation import check_readings
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.graph.build import build_graph
from okawari.graph.inference import parse_model
from okawari.models.cores import ConstantCore
from okawari.policy.decision import Decision
from okawari.registry import runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import digest

N_NEW = 60  # readings that came after the champion was trained


def prepare(case: Case) -> None:
    """Everything that the page shows of a case."""
    raw = case.source.read().tail(1200)
    broken = raw.tail(2).assign(close=-1.0, date=raw["date"].tail(2) + pd.Timedelta(days=700))
    checked = check_readings(pd.concat([raw, broken]), case, _now())
    snapshot = snapshots.record_readings(case, checked.good, checked.refused, _now()).snapshot
    decision_log.record_decision(case.name, Decision("quality", "accepted in part", checked.reason))
    readings = snapshots.load_readings(case)
    _promote(case, snapshot, str(readings[case.time].iloc[-N_NEW - 1].date()))
    _compare(case, readings)
    reason = (
        "only 12 new rows since the last training; at least 20 are needed <script>document.title='taken over'</script>"
    )
    decision_log.record_decision(case.name, Decision("retrain", "skip", reason))


def _promote(case: Case, snapshot: snapshots.Snapshot, trained_until: str) -> None:
    graph = build_graph(ConstantCore(np.zeros(case.task.horizon)), case, None)
    decision = Decision("promotion", "promote", "no candidate beat the baseline, so random_walk serves (RMSE 1.021)")
    decision_id = decision_log.record_decision(case.name, decision, snapshot_version=snapshot.version)
    facts = {
        "candidate": "random_walk",
        "variant": "fp32",
        "graph_sha256": digest(graph),
        "snapshot_version": snapshot.version,
        "snapshot_digest": snapshot.digest,
        "trained_until": trained_until,
        "decision_id": decision_id,
        "loss_name": "RMSE",
        "loss": 1.021,
        "skill_share": 0.0,
    }
    with runs.record_training(case, snapshot, snapshots.load_readings(case).tail(5), {}) as run_id:
        version = versions.register_version(case, run_id, parse_model(graph), facts)
    versions.set_champion(case.name, version)


def _compare(case: Case, readings: pd.DataFrame) -> None:
    features = compute_feature_frame(readings, case).drop(columns=case.time)
    reference, current = features.iloc[:-N_NEW].tail(case.drift.reference), features.tail(N_NEW)
    verdict = measure_drift(reference, current, case.drift)
    decision_log.record_decision(case.name, Decision("drift", verdict.verdict, verdict.reason, verdict.facts()))
    report = build_report(reference, current, verdict, title=case.title)
    report.save(load_settings().reports_dir / case.name / "drift.html")


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    load_settings().state_dir.mkdir(parents=True, exist_ok=True)
    if "--empty" not in sys.argv:
        prepare(load_case("aapl"))
