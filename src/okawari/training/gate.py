"""The gate: compare the challenger with the baseline and the champion in pairs, decide, register and record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from okawari.evaluation.contest import Contest
from okawari.evaluation.metrics import skill_share
from okawari.graph.inference import parse_model
from okawari.loop.standings import load_standing, to_identity
from okawari.policy.decision import Decision
from okawari.policy.overrides import limit_promotion
from okawari.policy.promotion import Card, decide_promotion, decide_refresh
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.storage import decision_log
from okawari.storage.deployable import digest
from okawari.training.fitting import Training, digest_settings
from okawari.training.quantize import Chosen
from okawari.training.rivals import Rival, find_rival


@dataclass(frozen=True)
class Judged:
    """The gate's decision with its id, and the challenger's version with its graph."""

    decision_id: str
    decision: Decision
    version: Version
    graph: bytes


def judge_challenger(training: Training, contest: Contest, chosen: Chosen) -> Judged:
    """Decide between the challenger and the champion; register the version of the challenger, and record the decision.

    Args:
        training: the data and the folds that all candidates share.
        contest: the candidates and what they have shown.
        chosen: the challenger's graph, fitted on everything, in the precision that serves.
    """
    case, card, baseline = training.case, contest.cards[contest.place], contest.cards[0]
    rival = find_rival(training, contest.contenders, contest.challenger, chosen.graph)
    compared = _decide(training, contest, rival)
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


def _decide(training: Training, contest: Contest, rival: Rival | None) -> Decision:
    gate, card, baseline = training.case.gate, contest.cards[contest.place], contest.cards[0]
    if rival is not None and rival.is_same:
        return decide_refresh(card, rival.card, rival.n_new, gate, differs=rival.differs)
    return decide_promotion(card, None if rival is None else rival.card, baseline, gate)


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
