"""Quantize: build the 8-bit variants of a training's graph, measure them here, and decide which one may serve."""

from __future__ import annotations

from dataclasses import dataclass

from okawari.case import Case
from okawari.dataset.folds import plan_folds
from okawari.dataset.windows import cut_windows
from okawari.errors import NotYet
from okawari.evaluation.variants import compare_variants
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import parse_model, read_labels
from okawari.models.windows import WindowSet
from okawari.registry import runs
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.contracts import know_case
from okawari.training.host import Host

JUDGED_GRAPH = "judged.onnx"
"""File of a training's run with the graph of the last fold, which has not learned the windows that it is judged on."""


@dataclass(frozen=True)
class Quantizing:
    """Input of a comparison of variants: the fp32 graph that is to serve, and the run that stores the files.

    `judged_graph` is that of the same recipe that has not learned `windows`; losses are measured with it. `cause_id` is
    the id of the recorded decision that the comparison belongs to.
    """

    case: Case
    graph: bytes
    judged_graph: bytes
    windows: WindowSet
    run_id: str
    cause_id: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The variant that may serve, and its graph."""

    variant: str
    graph: bytes


def load_quantizing(case: Case, run_id: str, cause_id: str | None = None) -> Quantizing:
    """Load the graphs of a finished training from its run, and the judged windows of its last fold.

    Raises:
        NotYet: there is no such run, or it has no graph.
    """
    graph = runs.load_file(run_id, "variants/fp32.onnx")
    readings = snapshots.load_readings(case, runs.load_snapshot_version(run_id))
    case = know_graph(know_case(case, readings), read_labels(parse_model(graph)))
    windows = plan_folds(cut_windows(readings, case), case).parts[-1].judged
    return Quantizing(case, graph, _load_judged(run_id) or graph, windows, run_id, cause_id)


def _load_judged(run_id: str) -> bytes | None:
    """The graph of the last fold; None for an earlier version of Okawari, whose graphs have learned no holdout."""
    try:
        return runs.load_file(run_id, JUDGED_GRAPH)
    except NotYet:
        return None


def quantize_graph(given: Quantizing, host: Host) -> Chosen:
    """Compare the variants of a graph, record them and the decision; returns the one that may serve."""
    case, run_id = given.case, given.run_id
    threads = load_settings().threads
    found = compare_variants(given.graph, given.windows, case, threads=threads, judged=given.judged_graph)
    for name, variant in found.contents.items():
        runs.record_file(run_id, variant, f"variants/{name}.onnx")
    runs.record_table(run_id, found.table, "variants.json")
    decision = found.decision
    host.show_table(case, "variants", found.table, f"{decision.action}: {decision.reason}")
    decision_log.record_decision(case.name, decision, cause=given.cause_id, run_id=run_id)
    host.log(f"{case.name}: variant {decision.action} serves: {decision.reason}")
    return Chosen(decision.action, found.contents[decision.action])
