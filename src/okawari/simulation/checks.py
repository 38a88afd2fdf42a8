"""Check the rehearsal's claims about the loop against the records; each claim comes with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from okawari.case import Case
from okawari.clients import orchestrator
from okawari.errors import OkawariError
from okawari.loop.lineage import trace_prediction
from okawari.policy.decision import Action, Kind, Verdict
from okawari.simulation.load_generator import LoadGenerator
from okawari.storage import decision_log, prediction_log

_RUNS_SEEN = 200


@dataclass(frozen=True, kw_only=True)
class Month:
    """The results of one month of new readings."""

    month: str
    ended_at: str
    snapshot: int
    asked: int
    rmse: float
    coverage: float
    drift: str
    performance: str
    trainings: int
    gate: str
    champion: str
    serving: str
    swap_s: float | None
    seconds: float
    failed_requests: int
    prediction_id: str


@dataclass(frozen=True)
class Link:
    """One claim about the loop, whether it held, and the evidence (`seen`)."""

    claim: str
    held: bool
    seen: str


def judge_rehearsal(case: Case, months: Sequence[Month], load: LoadGenerator) -> list[Link]:
    """Check every claim about the loop against the finished months."""
    return [
        _check_drift(months),
        _check_trainings(case, months),
        _check_gate(case),
        _check_swaps(months, load),
        _check_requests(load),
        _check_journal(case, months),
        _check_lineage(months),
    ]


def _check_drift(months: Sequence[Month]) -> Link:
    drifted = [month.month for month in months if month.drift == Verdict.DRIFTED]
    return Link("real drift was found", bool(drifted), ", ".join(drifted) or f"in none of {len(months)} months")


def _check_trainings(case: Case, months: Sequence[Month]) -> Link:
    asked = sum(month.trainings for month in months)
    runs = [run for run in orchestrator.list_runs("train", limit=_RUNS_SEEN) if run.automated and run.succeeded]
    held = asked > 0 and len(runs) >= asked
    return Link(
        "events alone started the trainings", held, f"{asked} verdicts requested one, {len(runs)} automated runs"
    )


def _check_gate(case: Case) -> Link:
    decisions = decision_log.load_decisions(case.name, _RUNS_SEEN, kind=Kind.PROMOTION)
    promoted = sum(row["action"] == Action.PROMOTE for row in decisions)
    seen = f"{len(decisions)} decisions: {promoted} promoted (the first champion among them)"
    return Link("the gate decided on every challenger", len(decisions) > 1, seen)


def _check_swaps(months: Sequence[Month], load: LoadGenerator) -> Link:
    stale = [month.month for month in months if not month.champion.startswith(f"{month.serving} ")]
    promoted = [month for month in months if month.gate == Action.PROMOTE]
    unseen = [month.month for month in promoted if month.swap_s is None]
    versions = " > ".join(load.versions)
    seen = f"{len(promoted)} promoted while requests ran; versions that answered: {versions}"
    return Link("the service swapped in each promotion while requests ran", not stale and not unseen, seen)


def _check_requests(load: LoadGenerator) -> Link:
    first = f"; first: {load.failures[0]}" if load.failures else ""
    seen = f"{load.n_requests} requests, {len(load.failures)} failed{first}"
    return Link("no request failed", not load.failures, seen)


def _check_journal(case: Case, months: Sequence[Month]) -> Link:
    known = set(prediction_log.load_predictions(case.name)["id"])
    missing = [month.month for month in months if month.prediction_id not in known]
    return Link(
        "every answer is recorded", not missing, f"missing in {missing}" if missing else f"{len(known)} answers"
    )


def _check_lineage(months: Sequence[Month]) -> Link:
    try:
        chains = [trace_prediction(month.prediction_id) for month in months]
    except OkawariError as broken:
        return Link("each answer can be explained", False, str(broken))
    longest = max((len(chain.decisions) for chain in chains), default=0)
    return Link("each answer can be explained", bool(chains), f"{len(chains)} chains, up to {longest} decisions")
