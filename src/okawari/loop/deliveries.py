"""Take a delivery: judge it, then store it, hold it, or let it wait behind a held one; and a person's decisions on it.

Every step can be repeated: readings are merged by their keys, a contract learns each delivery once, a person's decision
has an id that follows from the delivery, and the state of the delivery is changed last. So a killed call is taken up by
the next one (`settle_deliveries`), and nothing is lost or stored twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.contract.usual import Counts
from okawari.errors import InvalidInput
from okawari.loop.arrivals import (
    Arrived,
    Origin,
    compare_rows,
    describe_arrival,
    leave_out,
    read_origin,
    unpack_delivery,
)
from okawari.loop.lessons import Lesson, ensure_contract, find_moved, gather_facts, learn_delivery
from okawari.policy.decision import Action, Decision, Kind, Verdict
from okawari.policy.delivery import judge_delivery
from okawari.storage import decision_log, delivery_log, quarantine, snapshots
from okawari.storage.delivery_log import Delivery, State, advise
from okawari.storage.snapshots import Snapshot


class Emit(Protocol):
    """Emits one of `okawari.events`; `trace` is the id of the decision behind it."""

    def __call__(self, name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
        """Emit an event."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a delivery; `delivery` is None if it changed nothing."""

    snapshot: Snapshot | None
    counts: Counts
    decision: Decision | None = None
    delivery: Delivery | None = None
    kept_rows: int = 0
    unchanged: int = 0
    left_out: int = 0

    @property
    def new_rows(self) -> int:
        """Stored readings that are new."""
        return self.counts.new


# --- taking a delivery --------------------------------------------------------------------------------------------


def take_delivery(
    case: Case, good: pd.DataFrame, refused: pd.DataFrame, origin: Origin, now: datetime, emit: Emit
) -> Taken:
    """Judge checked rows, and store or hold them. Deliveries that a killed call left behind are settled first.

    Args:
        case: the case that owns the readings.
        good: the checked readings.
        refused: the refused rows, with a column `reason`.
        origin: where they come from.
        now: aware time of arrival.
        emit: emits the event of the verdict.

    Raises:
        InvalidInput: no row is valid, and nothing is stored yet.
    """
    settle_deliveries(case, now, emit)
    stored = snapshots.find_stored(case)
    if stored is None and good.empty:
        quarantine.record_refused(case, refused, now)
        first = refused["reason"].iloc[0]
        raise InvalidInput(
            f"None of the {len(refused)} rows for case {case.name} is valid; first: {first}. Correct the table or the "
            "case file; all are in its quarantine."
        )
    kept = delivery_log.load_kept(case.name)
    arrived = compare_rows(case, leave_out(case, good, refused, kept, origin), stored, origin, now)
    unchanged = Taken(
        snapshot=snapshots.load_snapshot(case), counts=arrived.counts, kept_rows=arrived.kept_rows,
        unchanged=arrived.unchanged, left_out=arrived.left_out,
    )  # fmt: skip
    if arrived.is_empty:
        return unchanged
    delivery = describe_arrival(case, arrived, origin, now)
    if (first := next((each for each in kept if each.is_open), None)) is not None:
        return _wait(case, delivery, first, unchanged)
    return _judge(case, delivery, arrived, emit)


def _wait(case: Case, delivery: Delivery, first: Delivery, unchanged: Taken) -> Taken:
    reason = f"{delivery.rows} rows wait, because delivery {first.id} is held. {advise(case.name, first.id)}"
    delivery = delivery_log.record_delivery(case.name, replace(delivery, reason=reason))
    decision = Decision(Kind.QUALITY, Verdict.WAITS, reason, {"delivery": delivery.id, "behind": first.id})
    decision_log.record_decision(case.name, decision)
    return replace(unchanged, counts=Counts(rows=0), decision=decision, delivery=delivery)


def _judge(case: Case, delivery: Delivery, arrived: Arrived, emit: Emit) -> Taken:
    """Judge a delivery against what is stored now, and store or hold it."""
    contract = ensure_contract(case)
    origin = read_origin(delivery)
    facts = gather_facts(case, contract, arrived, origin)
    decision = judge_delivery(contract, facts)
    if decision.action == Verdict.HELD:
        return _hold(case, delivery, decision, emit)
    snapshot = _store(case, delivery, arrived)
    learn_delivery(case, Lesson(delivery, arrived, origin, facts.moved, snapshot, by_person=False))
    delivery = replace(delivery, state=State.ACCEPTED, verdict=decision.action, reason=decision.reason)
    delivery = delivery_log.record_delivery(case.name, replace(delivery, content=None, refused=()))
    _announce(case, decision, arrived, snapshot, emit)
    return Taken(
        snapshot=snapshot, counts=arrived.counts, decision=decision, delivery=delivery, kept_rows=arrived.kept_rows,
        unchanged=arrived.unchanged, left_out=arrived.left_out,
    )  # fmt: skip


def _hold(case: Case, delivery: Delivery, decision: Decision, emit: Emit) -> Taken:
    delivery = replace(delivery, state=State.HELD, verdict=Verdict.HELD, reason=decision.reason)
    delivery = delivery_log.record_delivery(case.name, delivery)
    reason = f"delivery {delivery.id} is held: {decision.reason}. {advise(case.name, delivery.id)}"
    held = replace(decision, reason=reason, facts={**decision.facts, "delivery": delivery.id})
    trace = decision_log.record_decision(case.name, held, id=_make_id(case, delivery, Verdict.HELD))
    emit(events.DATA_HELD, case, {"delivery": delivery.id, "reason": reason}, trace=trace)
    return Taken(snapshot=snapshots.load_snapshot(case), counts=Counts(rows=0), decision=held, delivery=delivery)


def _announce(case: Case, decision: Decision, arrived: Arrived, snapshot: Snapshot, emit: Emit) -> None:
    """Record the verdict on stored rows, and emit the event if there are readings among them."""
    counts = arrived.counts
    facts = {
        "rows": snapshot.rows,
        "new": counts.new,
        "revised": counts.revised,
        "filled": counts.filled,
        "quarantined": counts.refused,
    }
    recorded = replace(decision, facts={**decision.facts, **facts})
    trace = decision_log.record_decision(case.name, recorded, snapshot_version=snapshot.version)
    if not arrived.changed.empty:
        emit(events.DATA_INGESTED, case, {"snapshot": snapshot.version, **facts}, trace=trace)


# --- a person's decisions -----------------------------------------------------------------------------------------


def accept_delivery(case_name: str, delivery_id: str, by: str, now: datetime, emit: Emit) -> Delivery:
    """Store a held or discarded delivery, record who decided it, and judge the waiting ones.

    Raises:
        InvalidInput: there is no such delivery, or it waits behind another one.
    """
    case, delivery = load_case(case_name), _find_decidable(case_name, delivery_id)
    if delivery.state != State.ACCEPTED:
        delivery = _accept(case, delivery, by, now, emit)
    settle_deliveries(case, now, emit)
    return delivery


def _accept(case: Case, delivery: Delivery, by: str, now: datetime, emit: Emit) -> Delivery:
    arrived, origin = unpack_delivery(case, delivery, now), read_origin(delivery)
    reason = f"{by} accepted delivery {delivery.id}, which was {delivery.state}: {delivery.reason}"
    decision = Decision(Kind.DELIVERY, Action.ACCEPT, reason, {"by": by, "delivery": delivery.id})
    decision_log.record_decision(case.name, decision, id=_make_id(case, delivery, Action.ACCEPT))
    found = find_moved(case, ensure_contract(case), arrived)
    snapshot = _store(case, delivery, arrived)
    learn_delivery(case, Lesson(delivery, arrived, origin, found, snapshot, by_person=True))
    verdict = Verdict.ACCEPTED_IN_PART if arrived.counts.refused else Verdict.ACCEPTED
    stored = Decision(Kind.QUALITY, verdict, f"delivery {delivery.id} is accepted by {by}")
    _announce(case, stored, arrived, snapshot, emit)
    done = replace(delivery, state=State.ACCEPTED, verdict=verdict, content=None, refused=())
    return delivery_log.record_delivery(case.name, done)


def discard_delivery(case_name: str, delivery_id: str, by: str, now: datetime, emit: Emit) -> Delivery:
    """Leave a held delivery out for good, record who decided it, and judge the waiting ones.

    Raises:
        InvalidInput: there is no such delivery, it waits behind another one, or it is stored already.
    """
    case, delivery = load_case(case_name), _find_decidable(case_name, delivery_id)
    if delivery.state == State.ACCEPTED:
        raise InvalidInput(
            f"Delivery {delivery.id} of case {case_name} is stored already; only a held one can be discarded."
        )
    if delivery.state == State.HELD:
        reason = f"{by} discarded delivery {delivery.id}: {delivery.reason}"
        decision = Decision(Kind.DELIVERY, Action.DISCARD, reason, {"by": by, "delivery": delivery.id})
        trace = decision_log.record_decision(case.name, decision, id=_make_id(case, delivery, Action.DISCARD))
        delivery = delivery_log.record_delivery(case.name, replace(delivery, state=State.DISCARDED))
        emit(events.DATA_DISCARDED, case, {"delivery": delivery.id, "reason": reason}, trace=trace)
    settle_deliveries(case, now, emit)
    return delivery


def _find_decidable(case_name: str, delivery_id: str) -> Delivery:
    delivery = delivery_log.find_delivery(case_name, delivery_id)
    if delivery.state == State.WAITING:
        held = delivery_log.find_held(case_name)
        if held is not None:
            raise InvalidInput(
                f"Delivery {delivery.id} of case {case_name} waits behind {held.id} and is not judged yet; decide "
                f"about {held.id} first. {advise(case_name, held.id)}"
            )
    return delivery


def settle_deliveries(case: Case, now: datetime, emit: Emit) -> list[Delivery]:
    """Judge the waiting deliveries in their order, until one is held; returns those that were judged.

    It does nothing while a delivery is held.
    """
    judged: list[Delivery] = []
    if not delivery_log.load_deliveries(case.name, 1, delivery_log.OPEN):
        return judged
    for delivery in delivery_log.load_kept(case.name):
        if delivery.state == State.HELD:
            break
        if delivery.state == State.WAITING:
            taken = _judge(case, delivery, unpack_delivery(case, delivery, now), emit)
            assert taken.delivery is not None
            judged.append(taken.delivery)
            if taken.delivery.state == State.HELD:
                break
    return judged


def _store(case: Case, delivery: Delivery, arrived: Arrived) -> Snapshot:
    quarantine.record_refused(case, arrived.refused, delivery.at)
    return snapshots.store_readings(case, arrived.changed)


def _make_id(case: Case, delivery: Delivery, action: str) -> str:
    """The id of the record of a decision about a delivery: a repeated decision is recorded once."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{case.name}/{delivery.key}/{action}").hex
