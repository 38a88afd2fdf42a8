"""Ingest: source -> check -> snapshot. Damaged rows go to quarantine with their reasons; all valid rows are stored."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from flows.publish import emit
from okawari import events
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.data.files import choose_source
from okawari.data.tabular import read_table
from okawari.data.validation import Checked, check_readings
from okawari.errors import InvalidInput, SourceUnavailable
from okawari.policy.decision import Decision, Kind, Verdict
from okawari.storage import decision_log, snapshots


@flow(name="ingest", flow_run_name="ingest {case}")
def ingest(case: str, until: date | None = None, file: Path | None = None, live: bool = False) -> dict[str, Any]:
    """Read, check and store a case's readings.

    Args:
        case: name of the case.
        until: last day to ingest (all days, if None).
        file: a .csv or .parquet file, or a folder of pictures, to read instead of the case's source.
        live: read the case's live source.

    Raises:
        SourceUnavailable: the source cannot be read for a reason outside its data; nothing is recorded.
        InvalidInput: the whole table is refused, which is recorded as a quality verdict.
    """
    problem = load_case(case)
    source = choose_source(problem, file, live)
    try:
        raw = read_table(source, until)
        held = snapshots.load_calendar(problem)
        checked = check_readings(raw.frame, problem, datetime.now(UTC), broken=raw.broken, calendar=held)
        return _store(problem, checked, from_source=source is problem.source)
    except SourceUnavailable:
        raise  # nothing was read, so this is not a verdict on the data
    except InvalidInput as refused:
        verdict = decision_log.record_decision(case, Decision(Kind.QUALITY, Verdict.REFUSED, str(refused)))
        emit(events.DATA_REFUSED, problem, {"reason": str(refused)}, trace=verdict)
        raise


def _store(case: Case, checked: Checked, *, from_source: bool) -> dict[str, Any]:
    done = snapshots.record_readings(case, checked.good, checked.refused, datetime.now(UTC), from_source=from_source)
    facts = {
        "rows": done.snapshot.rows,
        "new": done.new_rows,
        "revised": done.revised_rows,
        "quarantined": done.quarantined_rows,
    }
    snapshot = done.snapshot
    if done.new_rows + done.revised_rows + done.quarantined_rows:
        action = Verdict.ACCEPTED if checked.refused.empty else Verdict.ACCEPTED_IN_PART
        decision = Decision(Kind.QUALITY, action, checked.reason, facts)
        verdict = decision_log.record_decision(case.name, decision, snapshot_version=snapshot.version)
        if done.new_rows + done.revised_rows:
            emit(events.DATA_INGESTED, case, {"snapshot": snapshot.version, **facts}, trace=verdict)
    if done.kept_rows:
        kept = "%s: %d stored readings differ from the source and were kept, because the source ends before %s"
        get_run_logger().info(kept, case.name, done.kept_rows, snapshot.last_at)
    get_run_logger().info(
        "%s: %d new and %d revised readings, %d refused; snapshot %d has %d rows until %s",
        case.name, done.new_rows, done.revised_rows, done.quarantined_rows,
        snapshot.version, snapshot.rows, snapshot.last_at,
    )  # fmt: skip
    return {"snapshot": snapshot.version, **facts}
