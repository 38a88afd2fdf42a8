"""Train: decide whether, fit the candidates, quantize the best, let the gate decide, and package what is promoted.

These steps always follow each other, so `quantize` and `package` are subflows of one run. The order of effects is
register, record, alias, deploy: whichever process dies in between, `reconcile` can tell and go on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.package import package
from flows.publish import emit, show_link, show_table
from flows.quantize import quantize
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.splits import Split, split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import NotYet
from okawari.evaluation.candidates import Contender, choose_candidates, fit_contender, score_graph
from okawari.evaluation.leaderboard import build_cards, build_leaderboard
from okawari.evaluation.metrics import skill_share
from okawari.graph.inference import parse_model
from okawari.loop.facts import gather_retrain_facts
from okawari.models.fit_context import Progress, Workbench
from okawari.models.protocols import Recipe, Storable
from okawari.models.search.trials import SearchedModel, find_storable
from okawari.policy.decision import Cause, Decision
from okawari.policy.promotion import Card, choose_challenger, decide_promotion
from okawari.policy.retraining import decide_retrain
from okawari.registry import figures, runs, versions
from okawari.registry.versions import Version
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import digest
from okawari.storage.snapshots import Snapshot

_LINES_PER_FIT = 12
_WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Training:
    """What every step of one training works on."""

    case: Case
    snapshot: Snapshot
    split: Split
    run_id: str
    retrain_id: str


@flow(name="train", flow_run_name="train {case}")
def train(case: str, cause: Cause = "schedule", reason: str = "", cause_id: str | None = None) -> dict[str, Any]:
    """Bring a fresh challenger, if there is reason to, and promote it, if it is better.

    Args:
        case: name of the case.
        cause: why a training is asked for; all but `asked` are rationed.
        reason: the same in words, for the record.
        cause_id: the recorded verdict that asked for it.
    """
    problem = load_case(case)
    decision = decide_retrain(gather_retrain_facts(problem, cause), problem.retrain)
    if decision.action == "skip" and cause == "missing":
        # Another training has met the request meanwhile: there is nothing left to decide, and nothing to record.
        get_run_logger().info("%s: %s: %s", case, decision.action, decision.reason)
        return {"action": "skip", "reason": decision.reason}
    if reason:
        decision = replace(decision, reason=f"{decision.reason} ({reason})")
    snapshot = snapshots.load_snapshot(problem)
    if snapshot is None:
        raise NotYet(f"Case {case} has no readings yet; run: okawari run {case}.")
    retrain_id = decision_log.record_decision(case, decision, cause=cause_id, snapshot_version=snapshot.version)
    get_run_logger().info("%s: %s: %s", case, decision.action, decision.reason)
    if decision.action == "skip":
        return {"action": "skip", "reason": decision.reason}
    return _hold_contest(problem, snapshot, retrain_id, cause)


def _hold_contest(case: Case, snapshot: Snapshot, retrain_id: str, cause: str) -> dict[str, Any]:
    with _open_training(case, snapshot, retrain_id, cause) as training:
        contenders = [_fit(training, recipe) for recipe in choose_candidates(case, load_settings().candidate_names)]
        _publish_leaderboard(training, contenders)
        challenger = _choose(contenders, case)
        runs.record_file(training.run_id, challenger.graph, "variants/fp32.onnx")
        variant = quantize(case.name, training.run_id, retrain_id)
        decision_id, promotion, version = _judge(training, challenger, contenders[0].card, variant)
    return _conclude(case, decision_id, promotion, version)


@contextmanager
def _open_training(case: Case, snapshot: Snapshot, retrain_id: str, cause: str) -> Iterator[Training]:
    """Cut the snapshot and open the training's run. Only one training runs at a time, so others still open are dead."""
    runs.close_abandoned(case)
    readings = snapshots.load_readings(case, snapshot.version)
    split = split_windows(cut_windows(readings, case), case)
    tags = {"okawari.cause": cause, "okawari.decision_id": retrain_id}
    with runs.record_training(case, snapshot, readings, tags) as run_id:
        show_link(case, "training", runs.page_url(run_id), f"Training on snapshot {snapshot.version}")
        yield Training(case, snapshot, split, run_id, retrain_id)


# --- candidates ---------------------------------------------------------------------------------------------------


@task(task_run_name="fit {recipe.name}", cache_policy=NO_CACHE)
def _fit(training: Training, recipe: Recipe) -> Contender:
    settings = load_settings()
    with (
        runs.record_candidate(training.case, training.run_id, recipe.name, recipe.describe()) as run_id,
        tempfile.TemporaryDirectory() as folder,
    ):
        bench = Workbench(
            device=settings.device,
            threads=settings.threads,
            study=_locate_study(training, recipe),
            start=_fetch_start(training, recipe, Path(folder)),
        )
        progress = _log_progress(training.case, recipe)
        contender = fit_contender(recipe, training.case, training.split, progress, bench)
        _record_contender(training, contender, run_id)
    card = contender.card
    get_run_logger().info(
        "%s: %s has %s %.4f after %.1f s",
        training.case.name,
        recipe.name,
        card.loss_name,
        card.loss,
        contender.fit_s,
    )
    return contender


def _record_contender(training: Training, contender: Contender, run_id: str) -> None:
    name, history = contender.recipe.name, contender.model.history
    runs.record_metrics(run_id, {**contender.scores.numbers, "fit_s": contender.fit_s})
    runs.record_history(run_id, history)
    if (storable := find_storable(contender.model)) is not None:
        _record_weights(run_id, storable)
    if isinstance(contender.model, SearchedModel):
        runs.record_search(training.case, run_id, contender.model)
    if history:
        runs.record_figure(run_id, figures.draw_history(history, f"{name}: loss per epoch"), "loss.png")
    case, title = training.case, f"{name} on the holdout"
    figure = figures.draw_holdout(contender.answer, training.split.holdout, case, title)
    runs.record_figure(run_id, figure, figures.name_figure(case))


def _record_weights(run_id: str, model: Storable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _WEIGHTS
        model.save_weights(path)
        runs.record_file(run_id, path.read_bytes(), _WEIGHTS)


def _fetch_start(training: Training, recipe: Recipe, folder: Path) -> Path | None:
    """The weights that a warm recipe had in the champion's training, as a file; None where there are none."""
    champion = versions.load_champion(training.case.name)
    if champion is None or not getattr(recipe, "warm", False):
        return None
    run_id = runs.find_candidate(training.case, champion.run_id, recipe.name)
    if run_id is None:
        return None
    try:
        (folder / _WEIGHTS).write_bytes(runs.load_file(run_id, _WEIGHTS))
    except NotYet:
        return None
    get_run_logger().info("%s: %s starts from champion version %s", training.case.name, recipe.name, champion.version)
    return folder / _WEIGHTS


def _locate_study(training: Training, recipe: Recipe) -> Path:
    """Where a search keeps its trials, so that the next training on this snapshot goes on where a killed one was."""
    folder = load_settings().studies_dir / training.case.name / f"snapshot_{training.snapshot.version}"
    return folder / f"{recipe.name}.db"


def _log_progress(case: Case, recipe: Recipe) -> Progress:
    """Progress as log lines, which the command line turns into a bar."""
    logger = get_run_logger()

    def show(done: int, planned: int, numbers: Mapping[str, float]) -> None:
        if done % max(1, planned // _LINES_PER_FIT) == 0 or done == planned:
            values = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
            logger.info("%s: %s: step %d of %d, %s", case.name, recipe.name, done, planned, values)

    return show


def _publish_leaderboard(training: Training, contenders: list[Contender]) -> None:
    rows = build_leaderboard(contenders)
    runs.record_table(training.run_id, rows, "leaderboard.json")
    best, floor = rows[0], contenders[0].recipe.name
    caption = f"{training.case.gate.holdout} held-out windows; skill is measured against {floor}"
    show_table(training.case, "leaderboard", rows, caption)
    runs.record_metrics(
        training.run_id,
        {"best_loss": min(each.scores.loss for each in contenders), "best_skill_share": best["skill_share"]},
    )


def _choose(contenders: list[Contender], case: Case) -> Contender:
    baseline, *others = build_cards(contenders)
    chosen = choose_challenger(baseline, others, case.gate)
    return next(contender for contender in contenders if contender.recipe.name == chosen.candidate)


# --- gate ---------------------------------------------------------------------------------------------------------


def _judge(training: Training, challenger: Contender, baseline: Card, variant: str) -> tuple[str, Decision, Version]:
    """Hold the challenger, as it would serve, against the champion on the same rows; register and record."""
    case, holdout = training.case, training.split.holdout
    graph = runs.load_file(training.run_id, f"variants/{variant}.onnx")
    card = score_graph(challenger.recipe.name, graph, holdout, case)
    assert card is not None, "a graph that was just built takes the case's readings"
    decision = decide_promotion(card, _score_champion(training), baseline, case.gate)
    decision_id = decision_log.new_id()
    facts = _describe_version(training, card, baseline, graph, variant)
    version = versions.register_version(
        case, training.run_id, parse_model(graph), {**facts, "decision_id": decision_id}
    )
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
    return decision_id, decision, versions.load_version(case.name, version)


def _score_champion(training: Training) -> Card | None:
    champion = versions.load_champion(training.case.name)
    if champion is None:
        return None
    return score_graph(champion.candidate, versions.load_graph(champion), training.split.holdout, training.case)


def _describe_version(training: Training, card: Card, baseline: Card, graph: bytes, variant: str) -> dict[str, Any]:
    return {
        "candidate": card.candidate,
        "variant": variant,
        "graph_sha256": digest(graph),
        "snapshot_version": training.snapshot.version,
        "snapshot_digest": training.snapshot.digest,
        "trained_until": training.snapshot.last_at,
        "coverage_share": None if card.interval_score is None else training.case.coverage_share,
        "measured_share": card.coverage_share,
        "loss_name": card.loss_name,
        "loss": card.loss,
        "skill_share": skill_share(card.loss, baseline.loss),
    }


def _conclude(case: Case, decision_id: str, decision: Decision, version: Version) -> dict[str, Any]:
    get_run_logger().info("%s: %s version %s: %s", case.name, decision.action, version.version, decision.reason)
    facts = {"version": version.version, "candidate": version.candidate, "reason": decision.reason}
    if decision.action == "promote":
        versions.set_champion(case.name, version.version)
        emit(events.MODEL_PROMOTED, case, facts, trace=decision_id)
        package(case.name, version.version)
    else:
        emit(events.MODEL_REJECTED, case, facts, trace=decision_id)
    return {"action": decision.action, **facts}
