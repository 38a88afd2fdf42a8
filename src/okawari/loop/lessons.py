"""What a case's contract learns from a stored delivery, and the facts that the verdict on the next one is based on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from okawari.case import Case
from okawari.contract.case_words import start_contract
from okawari.contract.contract import Contract, TimeMeaning
from okawari.contract.editions import rebase_contract
from okawari.contract.gaps import find_far_times
from okawari.contract.levels import Shift
from okawari.contract.moves import Jump
from okawari.contract.usual import (
    find_jumps,
    find_shifts,
    learn_accepted,
    learn_counts,
    learn_shifts,
    learn_table,
    list_numbers,
    list_unjudged,
)
from okawari.loop.arrivals import Arrived, Origin
from okawari.policy.delivery import ACCEPTED_NOTES, DeliveryFacts, Edition
from okawari.schema.columns import find_words
from okawari.storage import snapshots
from okawari.storage.contracts import load_contract, update_contract
from okawari.storage.delivery_log import Delivery
from okawari.storage.snapshots import Snapshot

_UNUSED = "unused"
"""Name in a contract's dialect: the columns of its tables that the case does not use, as JSON."""


def gather_facts(case: Case, contract: Contract | None, arrived: Arrived, origin: Origin) -> DeliveryFacts:
    """What `judge_delivery` needs to know of a delivery."""
    edition = _find_edition(contract, arrived, origin)
    moved = find_moved(case, contract, arrived, is_edition=edition is not None)
    if moved and not _is_declared(contract, origin):
        edition = None  # part of the history has another unit, which no adjustment does
    first = "" if arrived.refused.empty else str(arrived.refused["reason"].iloc[0])
    return DeliveryFacts(
        counts=arrived.counts,
        first_refusal=first,
        moved=moved,
        edition=edition,
        new_shares={column.name: column.new_share for column in find_words(case.known_columns)},
        far_times=_find_far_times(case, arrived),
        ends_cut=bool(origin.ends_cut),
        notes=origin.notes,
        remarks=origin.remarks,
        unused=[] if contract is None else [name for name in origin.unused if name not in _list_unused(contract)],
        unjudged=[] if contract is None or arrived.changed.empty else list_unjudged(contract, case),
    )


def _find_far_times(case: Case, arrived: Arrived) -> str:
    stored = snapshots.find_stored(case)
    if stored is None or not case.key_columns:
        return ""
    return find_far_times(stored[case.time], arrived.changed[case.time])


def _list_unused(contract: Contract) -> list[str]:
    """The columns of earlier deliveries that the case does not use."""
    found: list[str] = json.loads(contract.dialect.get(_UNUSED, "[]"))
    return found


def _find_edition(contract: Contract | None, arrived: Arrived, origin: Origin) -> Edition | None:
    """The declared replacement that a delivery is, if it revises readings."""
    if contract is None or not arrived.counts.revised:
        return None
    n_revised = f"{arrived.counts.revised:,} stored readings are replaced"
    if _is_declared(contract, origin):
        what = "declared as a new edition of the history" if origin.replaces_history else "edition of the live source"
        return Edition(reason=f"{what}: {n_revised}", factors=arrived.factors or {})
    if arrived.factors is not None:
        reason = f"the whole history is rescaled, as adjusted prices are: {n_revised}"
        return Edition(reason=reason, factors=arrived.factors)
    return None


def _is_declared(contract: Contract | None, origin: Origin) -> bool:
    return origin.replaces_history or (origin.edition == "live" and contract is not None and contract.edition != "live")


def find_moved(
    case: Case, contract: Contract | None, arrived: Arrived, *, is_edition: bool = False
) -> list[Jump | Shift]:
    """The jumps of a series, or the shifts of records; none in the first delivery."""
    stored = snapshots.find_stored(case)
    if contract is None or stored is None or arrived.changed.empty:
        return []
    if not (key := list(case.key_columns)):
        return [*find_shifts(contract, case, arrived.changed)]
    merged = pd.concat([stored.assign(_new=False), arrived.changed.assign(_new=True)])
    merged = merged.drop_duplicates(key, keep="last").sort_values(case.time)
    if is_edition:
        history = merged[merged[case.time] <= stored[case.time].max()]
        contract = rebase_contract(contract, case, history)
    return [*find_jumps(contract, case, merged, merged["_new"].to_numpy(dtype=bool))]


@dataclass(frozen=True)
class Lesson:
    """What a contract learns from a stored delivery."""

    delivery: Delivery
    arrived: Arrived
    origin: Origin
    found: Sequence[Jump | Shift]
    snapshot: Snapshot
    by_person: bool


def ensure_contract(case: Case) -> Contract | None:
    """The contract with its usual figures; None before the first delivery.

    A table that was stored before figures were kept is measured now.
    """
    contract, stored = load_contract(case.name), snapshots.find_stored(case)
    if stored is None:
        return None
    names = [column.name for column in list_numbers(case)]
    if contract is not None and all((known := contract.find(name)) and "values" in known.usual for name in names):
        return contract
    return update_contract(case, lambda known: learn_table(_add_columns(known, case), case, stored))


def _add_columns(contract: Contract, case: Case) -> Contract:
    """The contract with the columns of the case that it lacks."""
    for column in start_contract(case).columns:
        if contract.find(column.name) is None:
            contract = contract.with_column(column)
    return contract


def learn_delivery(case: Case, lesson: Lesson) -> None:
    """Store the next version of the contract with what a stored delivery adds to it; a repeated call adds nothing."""
    table = snapshots.find_stored(case)
    assert table is not None

    def learn(contract: Contract) -> Contract:
        if contract.delivery == lesson.delivery.key:
            return contract
        origin, delivered = lesson.origin, lesson.arrived.changed
        contract = _add_columns(contract, case)
        if not lesson.by_person:
            contract = learn_shifts(contract, case, delivered)
        if lesson.by_person:
            contract = learn_accepted(contract, lesson.found)
        contract = learn_counts(contract, lesson.arrived.counts, by_person=lesson.by_person)
        contract = learn_table(contract, case, table)
        return replace(
            contract,
            delivery=lesson.delivery.key,
            edition=origin.edition or contract.edition,
            remarks=(*contract.remarks, *origin.remarks),
            time=_describe_time(case),
            dialect=_learn_dialect(contract.dialect, case, origin),
        )

    update_contract(case, learn, lesson.snapshot.version)


def _describe_time(case: Case) -> TimeMeaning | None:
    """How the times of a series are written, and the steps of its calendar."""
    if not case.time_columns:
        return None
    return TimeMeaning(
        name=case.time,
        format=getattr(case.source, "time_format", "iso"),
        zone=case.zone,
        frequency=case.frequency or "",
        holidays=case.holidays,
    )


def _learn_dialect(dialect: Mapping[str, str], case: Case, origin: Origin) -> Mapping[str, str]:
    """How the source's files are written, and what a person has accepted beside it.

    Files without a last line end are usual if the first one is like that, or once a person has accepted one.
    """
    written = getattr(case.source, "format", None)
    learned = {**dialect, **({} if written is None else {name: str(value) for name, value in asdict(written).items()})}
    if origin.ends_cut is not None and not (dialect.get("ends_cut") == "yes" and not origin.ends_cut):
        learned["ends_cut"] = "yes" if origin.ends_cut else "no"
    if origin.unused:
        learned[_UNUSED] = json.dumps(list(dict.fromkeys((*json.loads(learned.get(_UNUSED, "[]")), *origin.unused))))
    if origin.notes:
        known = learned.get(ACCEPTED_NOTES, "").split(" | ")
        learned[ACCEPTED_NOTES] = " | ".join(dict.fromkeys(filter(None, (*known, *origin.notes))))
    return learned
