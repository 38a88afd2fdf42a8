"""Open requests for a training, from the records of a case.

A request is a verdict that requires a training, a request by a person or a schedule (`Kind.REQUEST`), or a training
that died without a result. Requests are rows of the decision log, so none is lost with a run, and one training answers
all requests of its case that were recorded before it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from okawari.cases.loader import load_case
from okawari.loop.standings import load_standing
from okawari.policy.decision import Action, Cause, Decision, Kind, Verdict
from okawari.policy.queueing import Waiting, compute_wait_s
from okawari.registry import versions
from okawari.storage import decision_log, snapshots

Row = Mapping[str, Any]

_LOOK_BACK = 500
_VERDICTS: Mapping[tuple[str, str], Cause] = {
    (Kind.DRIFT, Verdict.DRIFTED): "drift",
    (Kind.PERFORMANCE, Verdict.DEGRADED): "performance",
}


@dataclass(frozen=True, kw_only=True)
class Open:
    """An open request: the id of its record, its cause, its time, and whether a person made it."""

    record: str
    cause: Cause
    at: datetime
    by_person: bool = False


@dataclass(kw_only=True)
class History:
    """The requests of a case and its trainings so far, from its records in their order."""

    open: dict[str, Open] = field(default_factory=dict)
    n_attempts: int = 0
    """Trainings since the last one with a result."""
    failed: bool = False
    """Whether the last one of these failed for its own reason."""
    last_at: datetime | None = None
    """When the last of these began or failed."""
    started_at: list[datetime] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Read the next record."""
        if (request := _read_request(row)) is not None:
            self.open[request.record] = request
        elif row["kind"] == Kind.PROMOTION:
            self._end(row)
        elif row["kind"] == Kind.RETRAIN:
            {Action.TRAIN: self._start, Action.SKIP: self._skip, Action.FAIL: self._fail}[row["action"]](row)

    def _start(self, row: Row) -> None:
        """A training answers all earlier requests, and is one itself until it has a result."""
        by_person = any(each.by_person for each in self.open.values())
        self.open = {row["id"]: Open(record=row["id"], cause=row["facts"]["cause"], at=row["at"], by_person=by_person)}
        self.n_attempts, self.failed, self.last_at = self.n_attempts + 1, False, row["at"]
        self.started_at.append(row["at"])

    def _skip(self, row: Row) -> None:
        """The limits that skip one automatic request hold for all of them."""
        self.open.pop(row["cause"], None)
        self._keep_persons()

    def _fail(self, row: Row) -> None:
        self.open.pop(row["cause"], None)
        self.failed, self.last_at = True, row["at"]

    def _end(self, row: Row) -> None:
        """A result closes its training. With another champion, earlier verdicts are about a version that is gone."""
        known = self.open.pop(row["cause"], None)
        if known is None or row["action"] == Action.PROMOTE:
            self._keep_persons()
        self.n_attempts, self.failed, self.last_at = 0, False, None

    def _keep_persons(self) -> None:
        self.open = {record: each for record, each in self.open.items() if each.by_person}


def read_history(rows: Iterable[Row]) -> History:
    """The requests and trainings of a case, from its records in their order, the oldest first."""
    history = History()
    for row in rows:
        history.add(row)
    return history


def load_history(case_name: str) -> History:
    """The requests and trainings of a case, as recorded."""
    return read_history(reversed(decision_log.load_decisions(case_name, _LOOK_BACK)))


def _read_request(row: Row) -> Open | None:
    if row["kind"] == Kind.REQUEST:
        facts = row["facts"]
        return Open(record=row["id"], cause=facts["cause"], at=row["at"], by_person=bool(facts["by_person"]))
    cause = _VERDICTS.get((row["kind"], row["action"]))
    if cause is None or row["cause"] is not None:  # a verdict with a cause repeats the request of that cause
        return None
    return Open(record=row["id"], cause=cause, at=row["at"])


# --- the open requests of a case as one ---------------------------------------------------------------------------


def find_waiting(case_name: str) -> Waiting | None:
    """The open requests of a case; None if there are none and the case has a champion, or no data to train on."""
    history = load_history(case_name)
    if history.open:
        return _join(case_name, history)
    case = load_case(case_name)
    if snapshots.snapshot_number(case) is None or versions.load_champion(case_name) is not None:
        return None
    if load_standing(case_name).waiting is not None:  # a challenger waits for a person's approval
        return None
    wait_s = max(measure_wait_s(history), _measure_budget_s(history, case.retrain.daily_budget))
    return Waiting(case=case_name, cause="missing", since=datetime.now(UTC), due_in_s=wait_s)


def _join(case_name: str, history: History) -> Waiting:
    requests = list(history.open.values())
    first = next((each for each in requests if each.by_person), requests[-1])
    wait_s = 0.0 if first.by_person else measure_wait_s(history)
    return Waiting(
        case=case_name,
        cause=first.cause,
        record=first.record,
        by_person=first.by_person,
        since=min(each.at for each in requests if each.by_person == first.by_person),
        newest=max(each.at for each in requests),
        due_in_s=wait_s,
    )


def measure_wait_s(history: History) -> float:
    """Seconds until the next automatic training after trainings without a result; 0 if it may start now."""
    if history.last_at is None:
        return 0.0
    wait_s = compute_wait_s(history.n_attempts, failed=history.failed)
    return max(0.0, wait_s - (datetime.now(UTC) - history.last_at).total_seconds())


def _measure_budget_s(history: History, budget: int) -> float:
    """Seconds until the next day (UTC) if the trainings of today reach the budget; 0 if they do not."""
    now = datetime.now(UTC)
    if sum(at.date() == now.date() for at in history.started_at) < budget:
        return 0.0
    tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return (tomorrow - now).total_seconds()


def is_open(case_name: str, record: str) -> bool:
    """Whether a request waits for its training, or for a decision to skip it."""
    return record in load_history(case_name).open


# --- making requests ----------------------------------------------------------------------------------------------


def is_answered(case_name: str, record: str) -> bool:
    """Whether a record is a request for a training that is not open any more."""
    row = decision_log.find_decision(case_name, record)
    is_request = row is not None and (
        _read_request(row) is not None or (row["kind"], row["action"]) == (Kind.RETRAIN, Action.TRAIN)
    )
    return is_request and not is_open(case_name, record)


def record_request(case_name: str, cause: Cause, reason: str, *, by_person: bool) -> str:
    """Record a request for a training; returns the id of its record."""
    facts = {"cause": cause, "by_person": by_person}
    return decision_log.record_decision(case_name, Decision(Kind.REQUEST, Action.TRAIN, reason, facts))
