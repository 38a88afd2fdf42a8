"""Package: put a version into the model store, where the service finds it, and build the Bento around it.

BentoML's home is `bentos`, which flows may not import: its commands run as programs of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from flows.publish import emit
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.windows import last_window
from okawari.errors import NotYet, OkawariError
from okawari.graph.inference import Graph
from okawari.models.windows import Floats
from okawari.policy.decision import Decision
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import Deployable, Golden, Manifest, record_golden

_TIMEOUT_S = 300


@flow(name="package", flow_run_name="package {case}")
def package(case: str, version: str | None = None) -> dict[str, Any]:
    """Make a version the one that serves.

    Args:
        case: name of the case.
        version: registered version; the champion, if None.
    """
    problem = load_case(case)
    chosen = versions.load_champion(case) if version is None else versions.load_version(case, version)
    if chosen is None:
        raise NotYet(f"Case {case} has no champion to package; run: okawari run {case}.")
    with tempfile.TemporaryDirectory() as folder:
        _assemble(problem, chosen).save(Path(folder))
        stored = _run_bentos("put", folder)
    built = _run_bentos("build")
    reason = f"version {chosen.version} stored as {stored['tag']}, built as {built['bento']}"
    decision_id = decision_log.record_decision(
        case,
        Decision("deployment", "deployed", reason, {**stored, **built}),
        cause=chosen.decision_id,
        snapshot_version=chosen.snapshot_version,
        run_id=chosen.run_id,
        model_version=chosen.version,
    )
    emit(events.MODEL_DEPLOYED, problem, {"version": chosen.version, **stored}, trace=decision_id)
    get_run_logger().info("%s: %s", case, reason)
    return {"version": chosen.version, **stored, **built}


def _assemble(case: Case, version: Version) -> Deployable:
    graph = versions.load_graph(version)
    readings = snapshots.load_readings(case, version.snapshot_version).tail(case.history)
    question = last_window(readings, case)
    return Deployable(
        manifest=_describe(version),
        golden=_record_golden(case, graph, question),
        graph=graph,
        recent=readings.reset_index(drop=True),
    )


def _record_golden(case: Case, graph: bytes, question: Floats) -> Golden:
    levels = question[..., case.level_index] if case.level_index is not None else question[..., :0]
    summed = case.task.transform.find_summand(levels)
    return record_golden(question, Graph.load(graph).answer(question).mean_BH, summed)


def _describe(version: Version) -> Manifest:
    return Manifest(
        case=version.case,
        version=version.version,
        run_id=version.run_id,
        candidate=version.candidate,
        variant=version.variant,
        graph_sha256=version.graph_sha256,
        snapshot_version=version.snapshot_version,
        snapshot_digest=version.snapshot_digest,
        trained_until=version.trained_until,
        decision_id=version.decision_id,
        coverage_share=version.coverage_share,
        measured_share=version.measured_share,
    )


def _run_bentos(*arguments: str) -> dict[str, Any]:
    """One command of `bentos.deploy`; it prints one JSON line last."""
    command = [sys.executable, "-m", "bentos.deploy", *arguments]
    done = subprocess.run(command, cwd=load_settings().root, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode:
        raise OkawariError(f"{' '.join(command[1:])} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
