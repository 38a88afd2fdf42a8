"""Ingest: source -> check rows -> judge the delivery -> snapshot, or hold.

Damaged rows go to quarantine with their reasons. A delivery that is far outside of what is usual is held until a person
accepts or discards it; nothing of it is stored as readings before.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from flows.publish import emit
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.column_remarks import describe_truths
from okawari.data.file_format import Stated
from okawari.data.files import choose_source
from okawari.data.local_days import read_until
from okawari.data.swapped_days import find_swapped_days
from okawari.data.tabular import RawTable
from okawari.data.validation import check_readings, list_unused
from okawari.data.writing import read_writing
from okawari.errors import InvalidInput, SourceUnavailable
from okawari.loop.arrivals import Origin
from okawari.loop.deliveries import Taken, take_delivery
from okawari.policy.decision import Decision, Kind, Verdict
from okawari.schema.calendar import Calendar
from okawari.storage import decision_log, snapshots
from okawari.storage.contracts import check_case, list_unsaid


@flow(name="ingest", flow_run_name="ingest {case}")
def ingest(
    case: str,
    until: date | None = None,
    file: Path | None = None,
    live: bool = False,
    new_edition: bool = False,
    time_format: str = "",
    decimal: str = "",
) -> dict[str, Any]:
    """Read, check and judge a case's readings, and store or hold them.

    Args:
        case: name of the case.
        until: last day to ingest (all days, if None).
        file: a table, or a folder of tables or of pictures, to read instead of the case's source.
        live: read the case's live source.
        new_edition: the source has published its history anew; revisions of any number are accepted.
        time_format: how the file's times are written; found out, if empty.
        decimal: the decimal mark of the file's numbers; found out, if empty.

    Raises:
        SourceUnavailable: the source cannot be read for a reason outside its data; nothing is recorded.
        InvalidInput: the whole table is refused, which is recorded as a quality verdict.
    """
    problem = load_case(case)
    source = choose_source(problem, file, live, Stated(time_format=time_format, decimal=decimal))
    changes = check_case(problem)  # a changed case file is no verdict on the data
    for change in changes:
        get_run_logger().info("%s: %s", case, change)
    try:
        raw = read_until(problem, source, until)
        _tell(case, raw)
        calendar = snapshots.load_calendar(problem)
        checked = check_readings(
            raw.frame,
            problem,
            datetime.now(UTC),
            broken=raw.broken,
            calendar=calendar,
            writing=read_writing(raw, problem),
            origins=raw.origins,
        )
        origin = Origin(
            source=_name_source(file, live=live),
            edition="" if file is not None else "live" if live else "source",
            replaces_history=new_edition,
            ends_cut=raw.ends_cut,
            notes=_list_notes(problem, raw, calendar, stated=bool(time_format)),
            remarks=list_unsaid(case, [*changes, *describe_truths(raw.frame, problem)]),
            unused=list_unused(raw.frame, problem),
        )
        taken = take_delivery(problem, checked.good, checked.refused, origin, datetime.now(UTC), emit)
    except SourceUnavailable:
        raise  # nothing was read, so this is not a verdict on the data
    except InvalidInput as refused:
        verdict = decision_log.record_decision(case, Decision(Kind.QUALITY, Verdict.REFUSED, str(refused)))
        emit(events.DATA_REFUSED, problem, {"reason": str(refused)}, trace=verdict)
        raise
    return _report(problem, taken)


def _list_notes(case: Case, raw: RawTable, calendar: Calendar | None, *, stated: bool) -> tuple[str, ...]:
    """What differs from the case in how the table is written; times of a stated format are not doubted."""
    if stated or not case.time_columns:
        return tuple(raw.notes)
    swapped = find_swapped_days(raw.frame[case.time], raw.time_format, calendar)
    return (*raw.notes, swapped) if swapped else tuple(raw.notes)


def _tell(case: str, raw: RawTable) -> None:
    """Log what was assumed about the file, and what differs from the case."""
    for sentence in (*raw.assumed, *(f"{note}." for note in raw.notes)):
        get_run_logger().info("%s: %s", case, sentence)


def _name_source(file: Path | None, *, live: bool) -> str:
    if file is not None:
        return str(Path(file).resolve())
    return "live source" if live else "source"


def _report(case: Case, taken: Taken) -> dict[str, Any]:
    """Write what became of the delivery to the log, and return it as values."""
    log, snapshot, counts = get_run_logger().info, taken.snapshot, taken.counts
    if taken.kept_rows and snapshot is not None:
        kept = "%s: %d stored readings differ from the source and were kept, because the source ends before %s"
        log(kept, case.name, taken.kept_rows, snapshot.last_at)
    if taken.left_out:
        left = (
            "%s: %d rows are left out, because they are in a delivery that is held, waits or was discarded; "
            "`okawari deliveries %s` lists them, and `okawari accept` stores one"
        )
        log(left, case.name, taken.left_out, case.name)
    if taken.decision is not None:
        log("%s: %s", case.name, taken.decision.reason)
    if taken.delivery is not None and taken.delivery.is_open:
        at = None if snapshot is None else snapshot.version
        return {"snapshot": at, "delivery": taken.delivery.id, "state": str(taken.delivery.state)}
    assert snapshot is not None  # something is stored, or the delivery would have been refused
    facts = {
        "rows": snapshot.rows, "new": taken.new_rows, "revised": counts.revised, "filled": counts.filled,
        "quarantined": counts.refused,
    }  # fmt: skip
    if counts.filled:
        log("%s: %d stored rows got values of columns that the case has since", case.name, counts.filled)
    log(
        "%s: %d new and %d revised readings, %d known before, %d refused; snapshot %d has %d rows until %s",
        case.name, taken.new_rows, counts.revised, taken.unchanged, counts.refused,
        snapshot.version, snapshot.rows, snapshot.last_at,
    )  # fmt: skip
    return {"snapshot": snapshot.version, **facts}
