"""The gate: compare the challenger with the baseline and the champion in pairs, decide, register and record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from okawari.evaluation.contest import Contest
from okawari.evaluation.evidence import compare_pair, describe_design
from okawari.evaluation.metrics import skill_share
from okawari.graph.inference import parse_model
from okawari.loop.standings import load_standing, to_identity
from okawari.policy.comparison import Comparison
from okawari.policy.decision import Decision
from okawari.policy.overrides import limit_promotion
from okawari.policy.promotion import Card, decide_promotion, decide_refresh
from okawari.registry import runs, versions
from okawari.registry.versions import Version
from okawari.storage import decision_log
from okawari.storage.deployable import digest
from okawari.training.fitting import Training, digest_settings
from okawari.training.quantize import Chosen
from okawari.training.rivals import Pairs, Rival, find_rival


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
    if rival is None:
        return decide_promotion(card, None, baseline, gate, others=contest.cards)
    found = None if rival.pairs is None else _compare(training, contest, rival.pairs, rival)
    if rival.is_same:
        return decide_refresh(card, rival.card, rival.n_new, gate, differs=rival.differs, fresh=found)
    intervals = _compare_intervals(training, contest, rival)
    decision = decide_promotion(card, rival.card, baseline, gate, found, intervals=intervals)
    if rival.pairs is None or rival.pairs.source != "learned":
        return decision
    return replace(decision, reason=f"{decision.reason} (by answers of the champion to rows that it may have learned)")


def _compare(training: Training, contest: Contest, pairs: Pairs, rival: Rival) -> Comparison:
    """The challenger against the champion, corrected for its choice among the candidates (the same recipe is none)."""
    design, rows = describe_design(training.folds), slice(None) if pairs.rows is None else pairs.rows
    known = {contest.challenger.recipe.name, rival.card.candidate}
    others = [each.scores.losses_BK[rows] for each in contest.contenders if each.recipe.name not in known]
    return compare_pair(
        pairs.challenger_BK,
        pairs.champion_BK,
        pairs.floor_BK,
        design if pairs.rows is None else design.take_part(),
        loss_name=contest.challenger.scores.loss_name,
        rivals=[] if rival.is_same else others,
    )


def _compare_intervals(training: Training, contest: Contest, rival: Rival) -> Comparison | None:
    """The interval scores of the challenger against the champion's, if both are in the contest and have intervals."""
    found = {each.recipe.name: each.scores.interval_losses_BK for each in contest.contenders}
    own, other = found[contest.challenger.recipe.name], found.get(rival.card.candidate)
    if own is None or other is None or rival.pairs is None or rival.pairs.source != "contest":
        return None
    design = describe_design(training.folds)
    made = design if len(own) == len(training.folds.judged) else design.take_part()
    return compare_pair(own, other, other, made, loss_name="interval score")


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
