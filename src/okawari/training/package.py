"""Package: put a version into the model store, from which the service loads it, and build the Bento around it.

BentoML's home is `bentos`, which the core may not import, so its command runs as a process of its own: one for both
steps, because the import of BentoML takes most of its time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from okawari import events
from okawari.case import Case
from okawari.dataset.windows import last_window
from okawari.errors import NotYet, OkawariError
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import Graph, parse_model, read_labels
from okawari.models.windows import Values
from okawari.policy.decision import Action, Decision, Kind
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import Deployable, Golden, make_manifest, record_golden
from okawari.training.host import Host

_TIMEOUT_S = 300


@dataclass(frozen=True)
class Packaging:
    """A version with its graph, and the newest `history` readings of its snapshot."""

    case: Case
    version: Version
    graph: bytes
    recent: pd.DataFrame


def load_packaging(case: Case, version: str | None = None) -> Packaging:
    """Load a registered version (the champion, if None) with its graph and its newest readings.

    Raises:
        NotYet: there is no such version.
    """
    chosen = versions.load_champion(case.name) if version is None else versions.load_version(case.name, version)
    if chosen is None:
        raise NotYet(f"Case {case.name} has no champion to package; run: okawari run {case.name}.")
    recent = snapshots.load_readings(case, chosen.snapshot_version).tail(case.history).reset_index(drop=True)
    return Packaging(case, chosen, versions.load_graph(chosen), recent)


def package_version(given: Packaging, host: Host) -> dict[str, Any]:
    """Deploy a version. Returns its number, and the tags of its model store entry and of the Bento."""
    case, chosen = given.case, given.version
    with tempfile.TemporaryDirectory() as folder:
        _assemble(given).save(Path(folder))
        done = _run_bentos("release", folder)
    reason = f"version {chosen.version} stored as {done['tag']}, built as {done['bento']}"
    decision_id = decision_log.record_decision(
        case.name,
        Decision(Kind.DEPLOYMENT, Action.DEPLOYED, reason, done),
        cause=chosen.decision_id,
        snapshot_version=chosen.snapshot_version,
        run_id=chosen.run_id,
        model_version=chosen.version,
    )
    stored = {name: done[name] for name in ("tag", "added")}
    host.emit(events.MODEL_DEPLOYED, case, {"version": chosen.version, **stored}, trace=decision_id)
    host.log(f"{case.name}: {reason}")
    return {"version": chosen.version, **done}


def _assemble(given: Packaging) -> Deployable:
    case = know_graph(given.case, read_labels(parse_model(given.graph)))
    window = last_window(given.recent, case)
    return Deployable(
        manifest=make_manifest(given.version),
        golden=_record_golden(case, given.graph, window),
        graph=given.graph,
        recent=given.recent,
    )


def _record_golden(case: Case, graph: bytes, window: Values) -> Golden:
    levels = window[..., [] if case.level_index is None else case.level_index]
    summed = case.task.transform.find_summand(levels)
    return record_golden(window, Graph.load(graph).answer(window).mean_BH, summed)


def _run_bentos(*arguments: str) -> dict[str, Any]:
    """Run a command of `bentos.deploy` and return the JSON object in its last line of output."""
    command = [sys.executable, "-m", "bentos.deploy", *arguments]
    done = subprocess.run(command, cwd=load_settings().root, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode:
        raise OkawariError(f"{' '.join(command[1:])} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
