"""Quantize: build the 8-bit variants of a training's graph, measure them here, and decide which may serve."""

from __future__ import annotations

from prefect import flow, get_run_logger

from flows.publish import show_table
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.variants import compare_variants
from okawari.models.windows import WindowSet
from okawari.registry import runs
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots


@flow(name="quantize", flow_run_name="quantize {case}")
def quantize(case: str, run_id: str, cause_id: str | None = None) -> str:
    """Compare the variants of the graph that a training left in its run; returns the variant that may serve.

    Args:
        case: name of the case.
        run_id: the training's run; it holds `variants/fp32.onnx`.
        cause_id: the recorded decision that this belongs to.
    """
    problem = load_case(case)
    content = runs.load_file(run_id, "variants/fp32.onnx")
    found = compare_variants(content, _load_holdout(problem, run_id), problem, threads=load_settings().threads)
    for name, variant in found.contents.items():
        runs.record_file(run_id, variant, f"variants/{name}.onnx")
    runs.record_table(run_id, found.table, "variants.json")
    decision = found.decision
    show_table(problem, "variants", found.table, f"{decision.action}: {decision.reason}")
    decision_log.record_decision(case, decision, cause=cause_id, run_id=run_id)
    get_run_logger().info("%s: variant %s serves: %s", case, decision.action, decision.reason)
    return decision.action


def _load_holdout(case: Case, run_id: str) -> WindowSet:
    readings = snapshots.load_readings(case, runs.load_snapshot_version(run_id))
    return split_windows(cut_windows(readings, case), case).holdout
