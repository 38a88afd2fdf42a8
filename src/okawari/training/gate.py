"""The gate: score the challenger's chosen variant and the champion on the same rows, decide, register and record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from okawari.case import Case
from okawari.evaluation.candidates import score_graph
from okawari.evaluation.metrics import skill_share
from okawari.graph.inference import parse_model
from okawari.loop.standings import load_standing, to_identity
from okawari.policy.decision import Decision
from okawari.policy.overrides import limit_promotion
from okawari.policy.promotion import Card, decide_promotion
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.storage import decision_log
from okawari.storage.deployable import digest
from okawari.training.fitting import Training
from okawari.training.quantize import Chosen


@dataclass(frozen=True)
class Judged:
    """The gate's decision with its id, and the challenger's version with its graph."""

    decision_id: str
    decision: Decision
    version: Version
    graph: bytes


def judge_challenger(training: Training, candidate: str, baseline: Card, chosen: Chosen) -> Judged:
    """Decide between the challenger's chosen variant and the champion; register the version and record the decision."""
    case = training.case
    card = score_graph(candidate, chosen.graph, training.split.holdout, case)
    assert card is not None, "a graph that was just built takes the case's readings"
    compared = decide_promotion(card, _score_champion(training), baseline, case.gate)
    decision_id = decision_log.new_id()
    facts = {**_describe_version(training, card, baseline, chosen), "decision_id": decision_id}
    version = versions.register_version(case, training.run_id, parse_model(chosen.graph), facts)
    registered = versions.load_version(case.name, version)
    decision = limit_promotion(compared, to_identity(registered), load_standing(case.name), case)
    decision_log.record_decision(
        case.name,
        decision,
        id=decision_id,
        cause=training.retrain_id,
        snapshot_version=training.snapshot.version,
        run_id=training.run_id,
        model_version=version,
    )
    runs.record_file(training.run_id, f"{decision.action}: {decision.reason}\n".encode(), "verdict.txt")
    return Judged(decision_id, decision, registered, chosen.graph)


def _score_champion(training: Training) -> Card | None:
    champion = versions.load_champion(training.case.name)
    if champion is None:
        return None
    return score_graph(champion.candidate, versions.load_graph(champion), training.split.holdout, training.case)


def _describe_version(training: Training, card: Card, baseline: Card, chosen: Chosen) -> dict[str, Any]:
    return {
        "candidate": card.candidate,
        "variant": chosen.variant,
        "graph_sha256": digest(chosen.graph),
        "snapshot_version": training.snapshot.version,
        "snapshot_digest": training.snapshot.digest,
        "trained_until": training.snapshot.last_at,
        "coverage_share": None if card.interval_score is None else training.case.coverage_share,
        "measured_share": card.coverage_share,
        "loss_name": card.loss_name,
        "loss": card.loss,
        "skill_share": skill_share(card.loss, baseline.loss),
        "settings_sha256": digest_settings(training.case, card.candidate),
    }


def digest_settings(case: Case, candidate: str) -> str:
    """Digest of all that a fit depends on besides the data: settings of the recipe, columns, features, task, splits."""
    recipe = next(each for each in case.candidates if each.name == candidate)
    described = case.describe()
    fit = {name: described[name] for name in ("columns", "features", "task", "seed")}
    split = {name: described["gate"][name] for name in ("holdout", "calibration", "validation_share")}
    content = json.dumps([recipe.describe(), fit, split], sort_keys=True, default=str)
    return digest(content.encode())
