"""Reconcile: compare the state of the loop with its records and start the missing steps.

Events make the loop fast; reconcile makes it correct. It starts the same deployments as events, and only after an event
had `grace_s` seconds to do so. A repeated `train` is skipped by its limits; a repeated `monitor` or `package` adds
nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow, get_run_logger

from flows.publish import PrefectHost, emit
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.clients import orchestrator
from okawari.clients.prediction_service import Client
from okawari.errors import CasesFailed, OkawariError
from okawari.loop import turns
from okawari.loop.deliveries import settle_deliveries
from okawari.loop.facts import gather_loop, read_serving
from okawari.policy.decision import Action, Decision, Kind
from okawari.policy.repair import GRACE_S, Repair, Serving, decide_repairs
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log, tables
from okawari.training.champion import ALIAS_REPAIRS, confirm_move, repair_alias

_BUCKET_MINUTES = 10
"""The same repair starts at most once in so many minutes; if that run dies too, a later pass starts it again."""


@flow(name="reconcile", flow_run_name="reconcile")
def reconcile(case: str | None = None, grace_s: float = GRACE_S, asked: bool = False) -> dict[str, list[str]]:
    """Repair one case or, if None, every case of `OKAWARI_CASES`; returns the started repairs, by case.

    A case that fails stops no other; the flow then fails with its name.

    Args:
        case: name of the case.
        grace_s: how long, in seconds, the event of a new record may take before it counts as lost.
        asked: whether a person asks for it; then the champion is packaged again even after packagings without effect.
    """
    names = load_settings().case_names if case is None else (case,)
    done, failed = _reconcile_each(names, grace_s, asked)
    if failed:
        raise CasesFailed(_explain(done, failed)) from next(iter(failed.values()))
    return done


def _reconcile_each(
    names: tuple[str, ...], grace_s: float, asked: bool
) -> tuple[dict[str, list[str]], dict[str, Exception]]:
    """The repairs of each case, and the errors of those that failed: these stop no other case."""
    done: dict[str, list[str]] = {}
    failed: dict[str, Exception] = {}
    for name in names:
        try:
            done[name] = _reconcile_case(load_case(name), grace_s, asked=asked)
        except Exception as error:  # a case's own code, a library or a server may raise anything
            get_run_logger().exception("%s: reconcile failed", name)
            failed[name] = error
    return done, failed


def _explain(done: dict[str, list[str]], failed: dict[str, Exception]) -> str:
    failures = "; ".join(f"{name}: {error}" for name, error in failed.items())
    return f"{failures}. The other cases were handled: {', '.join(done) or 'none'}."


def _reconcile_case(case: Case, grace_s: float, *, asked: bool = False) -> list[str]:
    prediction_log.absorb_journal(case.name)
    for delivery in settle_deliveries(case, datetime.now(UTC), emit):
        get_run_logger().info("%s: delivery %s, which waited, is %s", case.name, delivery.id, delivery.verdict)
    confirm_move(case)
    active, names = orchestrator.list_active_flows(case.name), {*load_settings().case_names, case.name}
    may_train = turns.may_start(case.name, names)
    loop = gather_loop(case, serving=_load_serving(case), active=active, may_train=may_train)
    repairs = decide_repairs(loop, grace_s, asked=asked)
    for repair in repairs:
        get_run_logger().info("%s: %s, because %s", case.name, repair.action, repair.reason)
        if repair.action in ALIAS_REPAIRS:
            repair_alias(case, repair, PrefectHost())
            continue
        facts = {**repair.parameters, **repair.facts}
        decision = Decision(Kind.REPAIR, repair.action, repair.reason, facts)
        _perform(case, repair, decision_log.record_decision(case.name, decision))
    tables.compact_records(case.name)
    if not repairs:
        get_run_logger().info("%s: nothing to repair", case.name)
    # A repair of the alias takes no time, so the same pass starts the repairs that follow from it.
    is_set = any(repair.action in ALIAS_REPAIRS for repair in repairs)
    follow_up = _reconcile_case(case, grace_s, asked=asked) if is_set else []
    return [*(repair.action for repair in repairs), *follow_up]


def _perform(case: Case, repair: Repair, decision_id: str) -> None:
    """Start the run of a repair; a repair without a run is only a record."""
    if repair.action in orchestrator.LOOP_FLOWS:
        key = _choose_key(case, repair, decision_id)
        orchestrator.start_run(repair.action, {"case": case.name, **repair.parameters}, idempotency_key=key)


def _choose_key(case: Case, repair: Repair, decision_id: str) -> str:
    """Packagings are counted in the records; other repairs start at most once in `_BUCKET_MINUTES`."""
    if repair.action == Action.PACKAGE:
        return f"{repair.action}-{case.name}-{decision_id}"
    now = datetime.now(UTC)
    bucket = now.replace(minute=now.minute - now.minute % _BUCKET_MINUTES)
    record = repair.parameters.get("cause_id")
    return f"{repair.action}-{case.name}-{repair.reason}-{record}-{bucket:%Y%m%d%H%M}"


def _load_serving(case: Case) -> Serving | None:
    """What the service serves; None if it does not answer or does not know the case."""
    try:
        with Client(timeout=5) as client:
            return read_serving(client, case.name)
    except OkawariError:
        return None
