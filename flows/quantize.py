"""Quantize: build the 8-bit variants of a training's graph, measure them here, and decide which may serve."""

from __future__ import annotations

from dataclasses import asdict

from prefect import flow, get_run_logger

from flows.announce import show_table
from okawari import records, store, tracking
from okawari.case import Case
from okawari.cases import load_case
from okawari.models.recipe import WindowSet
from okawari.policy import VariantFacts, decide_variant
from okawari.quantize import VariantRow, build_variants, measure_variants
from okawari.settings import load_settings
from okawari.windows import cut_windows, split_windows


@flow(name="quantize", flow_run_name="quantize {case}")
def quantize(case: str, run_id: str, cause_id: str | None = None) -> str:
    """Compare the variants of the graph that a training left in its run; returns the variant that may serve.

    Args:
        case: name of the case.
        run_id: the training's run; it holds `variants/fp32.onnx`.
        cause_id: the recorded decision that this belongs to.
    """
    problem = load_case(case)
    variants = build_variants(tracking.load_file(run_id, "variants/fp32.onnx"))
    rows = measure_variants(variants, _load_holdout(problem, run_id), problem, threads=load_settings().threads)
    for row in rows:
        tracking.record_file(run_id, variants.contents[row.variant], f"variants/{row.variant}.onnx")
    tracking.record_table(run_id, [asdict(row) for row in rows], "variants.json")
    fp32, *quantized = (_to_facts(row) for row in rows)
    decision = decide_variant(fp32, quantized, problem.gate)
    show_table(problem, "variants", [asdict(row) for row in rows], f"{decision.action}: {decision.reason}")
    records.record_decision(case, decision, cause=cause_id, run_id=run_id)
    get_run_logger().info("%s: variant %s serves: %s", case, decision.action, decision.reason)
    return decision.action


def _load_holdout(case: Case, run_id: str) -> WindowSet:
    readings = store.load_readings(case, tracking.load_snapshot_version(run_id))
    return split_windows(cut_windows(readings, case), case).holdout


def _to_facts(row: VariantRow) -> VariantFacts:
    return VariantFacts(variant=row.variant, bytes=row.n_bytes, latency_ms=row.latency_ms, loss=row.loss)
