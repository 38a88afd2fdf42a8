"""Train: decide whether to train, fit the candidates, refit and quantize the best, run the gate, package the promoted.

The readings are read once; later steps get windows and graphs from memory. The order of effects is register, record,
alias, deploy. If a process dies in between, `reconcile` detects it and resumes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from okawari import events
from okawari.case import Case
from okawari.dataset.folds import BIG_TABLE, Folds, plan_folds
from okawari.dataset.windows import cut_windows
from okawari.errors import NotYet, OkawariError, ServerUnreachable
from okawari.evaluation.candidates import Contender, choose_candidates
from okawari.evaluation.contest import Contest, choose_winner
from okawari.evaluation.evidence import describe_design
from okawari.evaluation.leaderboard import build_leaderboard
from okawari.evaluation.refit import Refit
from okawari.loop.facts import gather_retrain_facts
from okawari.loop.requests import is_open
from okawari.models.combination import list_fitted
from okawari.models.protocols import Recipe
from okawari.policy.decision import Action, Cause, Decision, Kind
from okawari.policy.retraining import decide_retrain
from okawari.registry import runs
from okawari.registry.client import name_outage
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.contracts import check_case, know_case
from okawari.training.champion import finish_move, settle_alias
from okawari.training.combining import combine_candidates
from okawari.training.evidence_file import gather_evidence, record_evidence
from okawari.training.fitting import Training, fit_candidate, refit_winner
from okawari.training.gate import Judged, judge_challenger
from okawari.training.host import Host
from okawari.training.package import Packaging, package_version
from okawari.training.quantize import JUDGED_GRAPH, Quantizing, quantize_graph

_REASON_LIMIT = 500
"""Longest error message that is recorded, in characters."""


@dataclass(frozen=True)
class Request:
    """A request for a training: its cause (all causes but `asked` have limits) and its reason as text.

    `cause_id` is the id of the recorded verdict behind the request.
    """

    case: Case
    cause: Cause = "schedule"
    reason: str = ""
    cause_id: str | None = None


def train_case(request: Request, host: Host) -> dict[str, Any]:
    """Fit a new challenger if there is a reason, and promote it if it is better.

    Returns:
        action (skip, promote, keep, await approval or hold) and reason; after a training also version and candidate.

    Raises:
        NotYet: nothing has been ingested.
    """
    case, snapshot = request.case, snapshots.load_snapshot(request.case)
    if snapshot is None:
        raise NotYet(f"Case {case.name} has no readings yet; run: okawari run {case.name}.")
    with name_outage():
        decision = decide_retrain(gather_retrain_facts(case, request.cause), case.retrain)
    needless = decision.action == Action.SKIP and request.cause == "missing" and not _is_recorded(request)
    if request.reason and not needless:
        decision = replace(decision, reason=f"{decision.reason} ({request.reason})")
    host.log(f"{case.name}: {decision.action}: {decision.reason}")
    if needless:
        # Another training has met the request already, so there is nothing to decide or to record.
        return {"action": Action.SKIP, "reason": decision.reason}
    links = {"cause": request.cause_id, "snapshot_version": snapshot.version}
    retrain_id = decision_log.record_decision(case.name, decision, **links)
    if decision.action == "skip":
        return {"action": Action.SKIP, "reason": decision.reason}
    with _record_failure(request, retrain_id), name_outage():
        with _open_training(request, snapshot, retrain_id, host) as training:
            judged = _compare_candidates(training, host)
        return _conclude(training, judged, host)


def _is_recorded(request: Request) -> bool:
    return request.cause_id is not None and is_open(request.case.name, request.cause_id)


@contextmanager
def _record_failure(request: Request, retrain_id: str) -> Iterator[None]:
    """Record that a training failed for its own reason, so that `reconcile` does not start it again.

    A training that dies with its process or with a server leaves no such record; `reconcile` takes it up.
    """
    try:
        yield
    except ServerUnreachable:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:_REASON_LIMIT]
        decision = Decision(Kind.RETRAIN, Action.FAIL, reason, {"cause": request.cause})
        decision_log.record_decision(request.case.name, decision, cause=retrain_id)
        raise


@contextmanager
def _open_training(request: Request, snapshot: snapshots.Snapshot, retrain_id: str, host: Host) -> Iterator[Training]:
    """Read the snapshot, cut its windows and open the training's run.

    Only one training of a case runs at a time, so other open runs are abandoned and get closed.
    """
    for note in check_case(request.case):
        host.log(f"{request.case.name}: {note}")
    runs.close_abandoned(request.case)
    readings = snapshots.load_readings(request.case, snapshot.version)
    case = know_case(request.case, readings)
    folds = plan_folds(cut_windows(readings, case), case)
    tags = {"okawari.cause": request.cause, "okawari.decision_id": retrain_id}
    with runs.record_training(case, snapshot, readings, tags) as run_id:
        host.show_link(case, "training", runs.page_url(run_id), f"Training on snapshot {snapshot.version}")
        recent = readings.tail(case.history).reset_index(drop=True)
        yield Training(case, snapshot, folds, recent, readings[case.time], run_id, retrain_id)


def _compare_candidates(training: Training, host: Host) -> Judged:
    case, run_id = training.case, training.run_id
    recipes = choose_candidates(case, load_settings().candidate_names)
    contenders = list(_fit_all(training, list_fitted(recipes), host))
    contenders += combine_candidates(training, recipes, contenders, host)
    _publish_leaderboard(training, contenders, host)
    record_evidence(run_id, gather_evidence(contenders, training.folds.judged.at_B))
    contest = _choose(contenders, training.folds, case, host)
    refit = _refit(training, contest.challenger, host)
    runs.record_file(run_id, refit.graph, "variants/fp32.onnx")
    runs.record_file(run_id, contest.challenger.graph, JUDGED_GRAPH)
    windows, judged_graph = training.folds.parts[-1].judged, contest.challenger.graph
    quantizing = Quantizing(case, refit.graph, judged_graph, windows, run_id, training.retrain_id)
    chosen = host.run_step(f"quantize {contest.challenger.recipe.name}", quantize_graph, quantizing, host)
    settle_alias(case, host)  # so that the gate compares with the version that a person has set by hand
    return judge_challenger(training, contest, chosen)


def _fit_all(training: Training, recipes: Sequence[Recipe], host: Host) -> Iterator[Contender]:
    """Fit all candidates, the baseline first. One whose library fails on this data is left out of the contest.

    Raises:
        InvalidInput: a recipe refuses the case; that is mended in the case's file.
    """
    for recipe in recipes:
        try:
            yield _fit(training, recipe, host)
        except (OkawariError, ServerUnreachable):
            raise
        except (ValueError, ArithmeticError) as error:
            if recipe is recipes[0]:
                raise
            why = f"{type(error).__name__}: {error}"[:_REASON_LIMIT]
            host.log(f"{training.case.name}: {recipe.name} is left out of this contest, because its fit failed ({why})")


def _fit(training: Training, recipe: Recipe, host: Host) -> Contender:
    contender = host.run_step(f"fit {recipe.name}", fit_candidate, training, recipe, host)
    card, name = contender.card, training.case.name
    host.log(f"{name}: {recipe.name} has {card.loss_name} {card.loss:.4f} after {contender.fit_s:.1f} s")
    return contender


def _refit(training: Training, winner: Contender, host: Host) -> Refit:
    refit = host.run_step(f"refit {winner.recipe.name}", refit_winner, training, winner, host)
    name, what = training.case.name, winner.recipe.name
    if refit.fault is not None:
        host.log(
            f"{name}: {what}, fitted on everything, must not serve, because {refit.fault}; that of the last origin does"
        )
    else:
        host.log(f"{name}: {what} is fitted on all {refit.n_taught} windows after {refit.fit_s:.1f} s")
    return refit


def _publish_leaderboard(training: Training, contenders: Sequence[Contender], host: Host) -> None:
    folds = training.folds
    rows = build_leaderboard(contenders, describe_design(folds))
    runs.record_table(training.run_id, rows, "leaderboard.json")
    best, floor = rows[0], contenders[0].recipe.name
    fits = f"{folds.n_fits} fit" + "s" * (folds.n_fits > 1)
    if folds.n_fits < training.case.gate.origins:
        fits += f" (more than {BIG_TABLE:,} windows are not fitted {training.case.gate.origins} times)"
    caption = f"{len(folds.judged)} windows judged by {fits} of each; skill is measured against {floor}"
    host.show_table(training.case, "leaderboard", rows, caption)
    runs.record_metrics(
        training.run_id,
        {"best_loss": min(each.scores.loss for each in contenders), "best_skill_share": best["skill_share"]},
    )


def _choose(contenders: Sequence[Contender], folds: Folds, case: Case, host: Host) -> Contest:
    contest = choose_winner(contenders, case.gate, describe_design(folds))
    for card in contest.cards[1:]:
        if card.interval_fault is not None:
            host.log(f"{case.name}: {card.candidate} cannot be promoted, because it {card.interval_fault}")
    return contest


def _conclude(training: Training, judged: Judged, host: Host) -> dict[str, Any]:
    case, decision, version = training.case, judged.decision, judged.version
    host.log(f"{case.name}: {decision.action} version {version.version}: {decision.reason}")
    facts = {"version": version.version, "candidate": version.candidate, "reason": decision.reason}
    if decision.action == Action.PROMOTE and finish_move(case) == version.version:
        host.emit(events.MODEL_PROMOTED, case, facts, trace=judged.decision_id)
        packaging = Packaging(case, version, judged.graph, training.recent)
        host.run_step(f"package version {version.version}", package_version, packaging, host)
    else:
        event = events.APPROVAL_REQUESTED if decision.action == Action.AWAIT_APPROVAL else events.MODEL_REJECTED
        host.emit(event, case, facts, trace=judged.decision_id)
    return {"action": decision.action, **facts}
