"""Monitor: has the data drifted since the champion was trained, and does the champion still perform as measured?

Three verdicts are never mixed: `ingest` records quality; this flow records drift and performance and emits them as
events, on which Prefect's automations start a training. A verdict that repeats the newest one (same snapshot, same
champion, same facts) is neither recorded nor emitted again; a request for a training that got lost is found by
`reconcile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import pandas as pd
from prefect import flow, get_run_logger

from flows.publish import emit, show_link, show_table
from monitoring.drift import DriftVerdict, measure_drift
from monitoring.performance import ALPHA, PerformanceVerdict, join_verdicts, measure_hits, measure_performance
from monitoring.report import build_report
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.clients import orchestrator
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.evaluation.ground_truth import Matured, list_matured
from okawari.graph.imputation_stage import read_medians
from okawari.graph.inference import parse_model, read_labels
from okawari.loop.widths import update_widths
from okawari.policy.decision import Decision, Kind, Verdict
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.imputation import Imputation
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, snapshots
from okawari.storage.snapshots import Snapshot


@dataclass(frozen=True)
class Watched:
    """The inputs of the drift and the performance verdict."""

    case: Case
    champion: Version
    snapshot: Snapshot
    readings: pd.DataFrame


@flow(name="monitor", flow_run_name="monitor {case}")
def monitor(case: str) -> dict[str, Any]:
    """Record the drift and the performance verdict on a case's newest snapshot; again if a newer one came meanwhile."""
    problem = load_case(case)
    prediction_log.absorb_journal(case)
    while True:
        seen = snapshots.snapshot_number(problem)
        found = _judge(problem)
        if snapshots.snapshot_number(problem) == seen:
            return found


def _judge(problem: Case) -> dict[str, Any]:
    case = problem.name
    snapshot, champion = snapshots.load_snapshot(problem), versions.load_champion(case)
    if snapshot is None:
        get_run_logger().info("%s: nothing ingested yet, so there is nothing to monitor", case)
        return {}
    if champion is None:
        return _record_missing_champion(problem, snapshot)
    watched = Watched(problem, champion, snapshot, snapshots.load_readings(problem, snapshot.version))
    _follow_outcomes(watched)
    drift, drift_id = _judge_drift(watched)
    return {"drift": drift, "performance": _judge_performance(watched, drift_id if drift == Verdict.DRIFTED else None)}


def _record_missing_champion(case: Case, snapshot: Snapshot) -> dict[str, Any]:
    reason = f"snapshot {snapshot.version} exists, but there is no champion"
    verdict, is_new = decision_log.record_once(
        case.name, Decision(Kind.PERFORMANCE, Verdict.NO_CHAMPION, reason), snapshot_version=snapshot.version
    )
    # A training in progress will set the champion.
    if is_new and "train" not in orchestrator.list_active_flows(case.name):
        emit(events.CHAMPION_MISSED, case, {"reason": reason}, trace=verdict)
    get_run_logger().info("%s: %s", case.name, reason)
    return {"performance": Verdict.NO_CHAMPION}


# --- drift --------------------------------------------------------------------------------------------------------


def _judge_drift(watched: Watched) -> tuple[str, str]:
    case, rule = watched.case, watched.case.drift
    reference, current = _cut_reference(watched)
    compared = reference.tail(rule.reference), current.tail(rule.current)
    verdict = measure_drift(*compared, rule, in_order=case.layout.in_order)
    decision_id, is_new = _record(watched, Decision(Kind.DRIFT, verdict.verdict, verdict.reason, verdict.facts()))
    if is_new and verdict.verdict != Verdict.NOT_ENOUGH_DATA:
        _publish_report(watched, *compared, verdict)
    if is_new and verdict.verdict == Verdict.DRIFTED:
        emit(events.DRIFT_DETECTED, case, _payload(watched, verdict.reason), trace=decision_id)
    return verdict.verdict, decision_id


def _cut_reference(watched: Watched) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features up to the champion's snapshot, and features of the later readings."""
    features = compute_feature_frame(watched.readings, watched.case, _load_imputation(watched))
    is_known = features[watched.case.time] <= pd.Timestamp(watched.champion.trained_until)
    columns = [name for name in features.columns if name != watched.case.time]
    return features.loc[is_known, columns], features.loc[~is_known, columns]


def _load_imputation(watched: Watched) -> Imputation | None:
    """The medians in the champion's graph; None where no value can be missing, or the graph has other columns."""
    if not watched.case.may_have_gaps:
        return None
    return read_medians(read_labels(parse_model(versions.load_graph(watched.champion))), watched.case)


def _publish_report(watched: Watched, reference: pd.DataFrame, current: pd.DataFrame, verdict: DriftVerdict) -> None:
    case, snapshot = watched.case, watched.snapshot
    title = f"{case.title}: snapshot {snapshot.version} against version {watched.champion.version}'s reference"
    report = build_report(reference, current, verdict, title=title)
    newest = load_settings().reports_dir / case.name / "drift.html"
    report.save(newest)
    run_id = runs.record_monitoring(case, snapshot, newest.read_bytes(), _numbers(verdict))
    show_table(case, "drift", verdict.facts()["columns"], verdict.reason)
    show_link(case, "drift-report", runs.page_url(run_id), f"Drift report of snapshot {snapshot.version}")


def _numbers(verdict: DriftVerdict) -> Mapping[str, float]:
    distances = {f"distance_{column.column}": column.distance for column in verdict.columns}
    return {**distances, **{f"p_{column.column}": column.p_value for column in verdict.columns}}


# --- intervals ----------------------------------------------------------------------------------------------------


def _follow_outcomes(watched: Watched) -> None:
    """Widen or narrow the champion's intervals by the outcomes that have arrived."""
    factor = update_widths(watched.case, watched.champion, watched.readings)
    if factor is not None:
        texts = ", ".join(f"{each:.2f}" for each in factor.factor_H)
        get_run_logger().info(
            "%s: intervals %s have %s times the calibrated width, by %d outcomes",
            watched.case.name, factor.name, texts, factor.n_outcomes,
        )  # fmt: skip


# --- performance --------------------------------------------------------------------------------------------------


def _judge_performance(watched: Watched, drift_id: str | None) -> str:
    """Record the verdict. If this run found drift too, drift is the cause, and its event requests the training."""
    verdict = _measure_all(watched)
    decision = Decision(Kind.PERFORMANCE, verdict.verdict, verdict.reason, verdict.facts())
    decision_id, is_new = _record(watched, decision, cause=drift_id)
    if is_new and verdict.verdict == Verdict.DEGRADED:
        payload, is_duplicate = _payload(watched, verdict.reason), drift_id is not None
        emit(events.PERFORMANCE_DEGRADED, watched.case, payload, trace=decision_id, is_duplicate=is_duplicate)
    return verdict.verdict


def _measure_all(watched: Watched) -> PerformanceVerdict:
    """The verdict over all heads, each tested at its share of `ALPHA`."""
    case, name = watched.case, watched.case.name
    predictions, outcomes = prediction_log.load_predictions(name), prediction_log.load_outcomes(name)
    known = watched.readings[watched.readings[case.time] <= pd.Timestamp(watched.champion.trained_until)]
    matured = list_matured(case, predictions, outcomes, watched.readings, known)
    verdicts = {each.head.name: _measure(each.head, each, watched, ALPHA / len(matured)) for each in matured}
    return join_verdicts(verdicts) if case.task.named_targets else verdicts[matured[0].head.name]


@singledispatch
def _measure(head: Head, matured: Matured, watched: Watched, alpha: float) -> PerformanceVerdict:
    raise NotImplementedError(f"No performance verdict is defined for {type(head).__name__}; register it here.")


@_measure.register
def _measure_number(head: NumberHead, matured: Matured, watched: Watched, alpha: float) -> PerformanceVerdict:
    return measure_performance(
        _pick_own(watched, matured.pairs),
        coverage_share=_choose_coverage(watched),
        baseline=matured.baseline,
        min_rows=watched.case.retrain.min_outcomes,
        alpha=alpha,
    )


@_measure.register
def _measure_label(head: LabelHead, matured: Matured, watched: Watched, alpha: float) -> PerformanceVerdict:
    hits, min_rows = _pick_own(watched, matured.pairs)["hit"], watched.case.retrain.min_outcomes
    return measure_hits(hits, baseline_share=matured.common_share, min_rows=min_rows, alpha=alpha)


def _pick_own(watched: Watched, pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[pairs["version"] == watched.champion.version]


def _choose_coverage(watched: Watched) -> float:
    """Nominal coverage of the champion's intervals. Without intervals the bounds are empty and not tested."""
    nominal = watched.champion.coverage_share or watched.case.coverage_share
    assert nominal is not None, "a case of numbers has a coverage_share"
    return nominal


def _record(watched: Watched, decision: Decision, *, cause: str | None = None) -> tuple[str, bool]:
    """Record a verdict unless it repeats the newest one; returns its id and whether it was recorded now."""
    get_run_logger().info("%s: %s %s: %s", watched.case.name, decision.kind, decision.action, decision.reason)
    return decision_log.record_once(
        watched.case.name,
        decision,
        cause=cause,
        snapshot_version=watched.snapshot.version,
        model_version=watched.champion.version,
    )


def _payload(watched: Watched, reason: str) -> dict[str, Any]:
    return {"reason": reason, "snapshot": watched.snapshot.version, "version": watched.champion.version}
