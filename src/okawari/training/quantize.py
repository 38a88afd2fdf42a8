"""Quantize: build the 8-bit variants of a training's graph, measure them here, and decide which one may serve."""

from __future__ import annotations

from dataclasses import dataclass

from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.variants import compare_variants
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import parse_model, read_labels
from okawari.models.windows import WindowSet
from okawari.registry import runs
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.contracts import know_case
from okawari.training.host import Host


@dataclass(frozen=True)
class Quantizing:
    """Input of a comparison of variants: the fp32 graph, the held-out windows, and the run that stores the files.

    `cause_id` is the id of the recorded decision that the comparison belongs to.
    """

    case: Case
    graph: bytes
    holdout: WindowSet
    run_id: str
    cause_id: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The variant that may serve, and its graph."""

    variant: str
    graph: bytes


def load_quantizing(case: Case, run_id: str, cause_id: str | None = None) -> Quantizing:
    """Load the fp32 graph of a finished training from its run, and the holdout of its snapshot.

    Raises:
        NotYet: there is no such run, or it has no graph.
    """
    graph = runs.load_file(run_id, "variants/fp32.onnx")
    readings = snapshots.load_readings(case, runs.load_snapshot_version(run_id))
    case = know_graph(know_case(case, readings), read_labels(parse_model(graph)))
    return Quantizing(case, graph, split_windows(cut_windows(readings, case), case).holdout, run_id, cause_id)


def quantize_graph(given: Quantizing, host: Host) -> Chosen:
    """Compare the variants of a graph, record them and the decision; returns the one that may serve."""
    case, run_id = given.case, given.run_id
    found = compare_variants(given.graph, given.holdout, case, threads=load_settings().threads)
    for name, variant in found.contents.items():
        runs.record_file(run_id, variant, f"variants/{name}.onnx")
    runs.record_table(run_id, found.table, "variants.json")
    decision = found.decision
    host.show_table(case, "variants", found.table, f"{decision.action}: {decision.reason}")
    decision_log.record_decision(case.name, decision, cause=given.cause_id, run_id=run_id)
    host.log(f"{case.name}: variant {decision.action} serves: {decision.reason}")
    return Chosen(decision.action, found.contents[decision.action])
