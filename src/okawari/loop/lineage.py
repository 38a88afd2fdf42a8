"""Lineage: the model version, training, snapshot and decisions behind a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.errors import OkawariError
from okawari.formats import format_number
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import parse_model, read_labels
from okawari.policy.decision import Action, Kind
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.storage import decision_log, prediction_log, snapshots
from okawari.storage.deployable import digest
from okawari.storage.snapshots import Snapshot
from okawari.storage.tables import Unreadable

_LOOK_BACK = 10_000
_CHOICES = (Action.PROMOTE, Action.APPROVE, Action.ADOPT, Action.ROLL_BACK, Action.PIN)
"""Decisions of a person after which a version serves."""


class BrokenChain(OkawariError, RuntimeError):
    """The lineage is broken: a record is missing, or a digest differs from the recorded one."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The records behind one prediction. `decisions` go from the one that made its version the champion, by a person or
    by the gate, back to the first verdict that caused it.
    """

    prediction: Mapping[str, Any]
    version: Version
    run_url: str
    snapshot: Snapshot
    decisions: tuple[Mapping[str, Any], ...]
    answer: str
    """The predicted value as text."""


def trace_prediction(prediction_id: str, index: int = 0) -> Lineage:
    """Load the records behind a prediction and check every digest.

    Args:
        prediction_id: the `id` of an answer of the service.
        index: position of the prediction in that answer, from 0.

    Raises:
        NotYet: no such prediction, version or run is on record.
        BrokenChain: the graph or the snapshot differs from the recorded one.
    """
    prediction = prediction_log.find_prediction(prediction_id, index)
    case = load_case(prediction["case"])
    version = versions.load_version(case.name, prediction["version"])
    _require_same("graph", prediction["graph_sha256"], version.graph_sha256)
    graph = versions.load_graph(version)
    _require_same("graph", version.graph_sha256, digest(graph))
    snapshot = _load_snapshot(case, version.snapshot_version)
    label = case.task.heads[0].write_json(prediction.get("label"))
    _require_same("snapshot", version.snapshot_digest, snapshot.digest)
    return Lineage(
        prediction={**prediction, "label": label},
        version=version,
        run_url=runs.page_url(version.run_id),
        snapshot=snapshot,
        decisions=tuple(_walk_causes(case.name, _find_ruling(version, prediction["at"]))),
        answer=_format_prediction(know_graph(case, read_labels(parse_model(graph))), prediction["mean"])
        + _format_times(prediction),
    )


def _format_prediction(case: Case, mean: Sequence[float]) -> str:
    if len(mean) != case.task.width and case.task.n_steps is None:
        return (
            f"{', '.join(format_number(value, beside=mean) for value in mean)} (the task of the case has changed since)"
        )
    heads = case.task.heads
    texts = [head.format_answer(mean[head.columns]) for head in heads]
    if len(heads) == 1:
        return texts[0]
    return ", ".join(f"{head.name} {text}" for head, text in zip(heads, texts, strict=True))


def _format_times(prediction: Mapping[str, Any]) -> str:
    """The times that the answer is for; empty if they are not known, and for records."""
    times = prediction.get("times")
    if times is None or not len(times):
        return ""
    return f" for {times[0]}" if len(times) == 1 else f" for {times[0]} to {times[-1]}"


def _load_snapshot(case: Case, version: int) -> Snapshot:
    try:
        snapshot = snapshots.measure_snapshot(case, version)
    except Unreadable as damage:
        raise BrokenChain(f"Snapshot {version} of case {case.name} is damaged. {damage}") from damage
    if snapshot is None:
        raise BrokenChain(f"Snapshot {version} of case {case.name} is missing; restore the state folder from a backup.")
    return snapshot


def _find_ruling(version: Version, answered_at: Any) -> str:
    """Id of the decision by which the version served: a person's newest one before the answer, or the gate's."""
    rows = decision_log.load_decisions(version.case, _LOOK_BACK, kind=Kind.PERSON)
    ours = (row for row in rows if row["model_version"] == version.version and row["action"] in _CHOICES)
    before = (row for row in ours if row["at"] <= pd.Timestamp(answered_at))
    return next((str(row["id"]) for row in before), version.decision_id)


def _walk_causes(case_name: str, decision_id: str | None) -> list[Mapping[str, Any]]:
    chain: list[Mapping[str, Any]] = []
    while decision_id is not None and len(chain) < 20:
        decision = decision_log.find_decision(case_name, decision_id)
        if decision is None:
            raise BrokenChain(
                f"Decision {decision_id} of case {case_name} is not on record; the lineage cannot be traced further."
            )
        chain.append(decision)
        decision_id = decision["cause"]
    return chain


def _require_same(what: str, recorded: str, found: str) -> None:
    if recorded != found:
        raise BrokenChain(f"The {what} was recorded with sha256 {recorded[:12]}, but {found[:12]} was found.")
