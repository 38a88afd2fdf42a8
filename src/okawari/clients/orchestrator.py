"""HTTP client of the Prefect server: starts runs, follows them and reads their logs. Does not import Prefect.

The command line, the page and the simulation use this client; flows use Prefect itself.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from okawari.clients.prefect_api import send_request
from okawari.errors import OkawariError
from okawari.polling import poll
from okawari.progress import Step, Watch, ignore_step

LOOP_FLOWS = ("monitor", "train", "package")
URGENT_QUEUE = "urgent"
"""Queue of the work pool for runs that a person waits for; the runner takes them before those of other queues."""
QUEUED = "Queued"
"""Name of the state of a run that ended because its training has to wait."""
_ACTIVE = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
_CLOCK_SKEW = timedelta(seconds=60)
"""How far the server's clock may be ahead of this one; a run that was just created is due at the server's time."""
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_ENGINE_PREFIX = re.compile(r"^Flow run encountered an exception: (\w+: )?")
_PAGE = 200
_LOG_DELAY_S = 1.0
"""A run sends its log in batches every half second; the last batch may arrive after the run's end."""


class RunFailed(OkawariError, RuntimeError):
    """A flow run ended without success."""


class RunOverdue(OkawariError, TimeoutError):
    """A flow run did not end within the time-out."""


@dataclass(frozen=True)
class Run:
    """A flow run as the server reports it.

    `automated` is true for runs that an event started. `started_at` is ISO text, and empty before the start. A run that
    is `queued` ended because its training has to wait.
    """

    id: str
    name: str
    state: str
    message: str
    parameters: Mapping[str, Any]
    automated: bool
    started_at: str = ""
    queued: bool = False

    @property
    def ended(self) -> bool:
        """Whether the run has ended, with or without success."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the run has ended with success."""
        return self.state == "COMPLETED"


def start_run(
    flow: str, parameters: Mapping[str, Any], *, idempotency_key: str | None = None, urgent: bool = False
) -> Run:
    """Start a run of a flow's deployment.

    Without a key, a run that waits with equal parameters is returned instead, because it will do the same work. Calls
    with equal idempotency keys return the same run.

    Args:
        flow: name of the flow and of its deployment.
        parameters: values that can be written as JSON.
        idempotency_key: makes a repeated call return the first call's run.
        urgent: a person waits for the run, so it starts before those that wait in other queues.

    Raises:
        ServerUnreachable: no Prefect server answers.
        InvalidInput: the flow is not deployed, or its parameters are invalid.
    """
    missing = f"Flow {flow} is not deployed; run: okawari up."
    found = send_request("GET", f"/deployments/name/{flow}/{flow}", missing=missing)
    given = json.loads(json.dumps(parameters, default=str))
    waiting = None if idempotency_key else _find_waiting(found["id"], given, urgent)
    if waiting is not None:
        return waiting
    # Without a key from the caller, a call that is repeated after a time-out must also start only one run.
    body = {"parameters": given, "idempotency_key": idempotency_key or uuid.uuid4().hex}
    queue = {"work_queue_name": URGENT_QUEUE} if urgent else {}
    return _to_run(send_request("POST", f"/deployments/{found['id']}/create_flow_run", {**body, **queue}))


def _find_waiting(deployment_id: str, parameters: Mapping[str, Any], urgent: bool) -> Run | None:
    """The oldest waiting run with equal parameters; for an urgent request, one of the urgent queue."""
    query = {
        "flow_runs": {
            "deployment_id": {"any_": [deployment_id]},
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": _due(),
        },
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _PAGE,
    }
    found = send_request("POST", "/flow_runs/filter", query)
    same = [run for run in found if run.get("parameters") == parameters]
    return next((_to_run(run) for run in same if not urgent or run.get("work_queue_name") == URGENT_QUEUE), None)


def _due() -> dict[str, str]:
    return {"before_": (datetime.now(UTC) + _CLOCK_SKEW).isoformat()}


def load_run(run_id: str) -> Run:
    """The run in its current state."""
    return _to_run(send_request("GET", f"/flow_runs/{run_id}", missing=f"There is no flow run {run_id}."))


def run_state(run_id: str) -> str:
    """State of a run: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLED."""
    return load_run(run_id).state


def list_runs(flow: str, *, states: tuple[str, ...] = (), limit: int = 50) -> list[Run]:
    """The newest runs of a flow's deployment, newest first."""
    query: dict[str, Any] = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {"deployment_id": {"is_null_": False}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": limit,
    }
    if states:
        query["flow_runs"]["state"] = {"type": {"any_": list(states)}}
    return [_to_run(found) for found in send_request("POST", "/flow_runs/filter", query)]


def list_active_runs(flow: str, case_name: str) -> list[Run]:
    """Runs of a flow for a case that are running or due, newest first; runs scheduled for later are left out."""
    query = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {
            "deployment_id": {"is_null_": False},
            "state": {"type": {"any_": list(_ACTIVE)}},
            "expected_start_time": _due(),
        },
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 200,
    }
    runs = [_to_run(found) for found in send_request("POST", "/flow_runs/filter", query)]
    return [run for run in runs if run.parameters.get("case") == case_name]


def list_active_flows(case_name: str) -> frozenset[str]:
    """The flows of the loop (`monitor`, `train`, `package`) that have an active run for the case."""
    return frozenset(flow for flow in LOOP_FLOWS if list_active_runs(flow, case_name))


def follow_run(
    run_id: str,
    show: Callable[[str], None],
    *,
    watch: Watch = ignore_step,
    poll_s: float = 0.5,
    timeout_s: float = 1800.0,
) -> Run:
    """Show new log lines of the run and its subflows about the run's case until the run ends; returns the ended run.

    `watch` is called with the progress of fits and other long work, from the run's progress artefacts.

    Raises:
        RunOverdue: the run takes longer than `timeout_s`.
    """
    followed = _FollowedRun(run_id, show, watch)
    ended = poll(followed.look, every_s=poll_s, timeout_s=timeout_s)
    if ended is None:
        raise RunOverdue(f"Flow run {run_id} has not ended after {timeout_s:.0f} s; look at it on the Prefect page.")
    return ended


@dataclass
class _FollowedRun:
    """A run with the log lines and steps that have been shown so far."""

    run_id: str
    show: Callable[[str], None]
    watch: Watch
    n_lines: int = 0
    steps: set[Step] = field(default_factory=set)

    def look(self) -> Run | None:
        """Show new lines and steps; returns the run if it has ended."""
        run = load_run(self.run_id)
        if run.ended:
            time.sleep(_LOG_DELAY_S)
        family = _list_family(self.run_id)
        for step in _read_steps(family):
            if step not in self.steps:
                self.steps.add(step)
                self.watch(step)
        for line in list(_read_log(family, self.n_lines)):
            self.n_lines += 1
            if line.startswith(f"{run.parameters.get('case')}: "):
                self.show(line)
        return run if run.ended else None


def require_success(run: Run) -> Run:
    """The run itself, if it succeeded.

    Raises:
        RunFailed: the run ended without success.
    """
    if not run.succeeded:
        raise RunFailed(describe_end(run))
    return run


def describe_end(run: Run) -> str:
    """How a run ended without success, with its message."""
    return f"{run.name} {run.state.lower()}: {_ENGINE_PREFIX.sub('', run.message) or 'no message'}"


def name_error(run: Run) -> str:
    """Type of the error that ended a run, such as InvalidInput; empty where the message has none."""
    found = _ENGINE_PREFIX.match(run.message)
    return "" if found is None else (found[1] or "").rstrip(": ")


def is_training_interrupted(run: Run) -> bool:
    """Whether a training ended because its process or a server died, and not for its own reason."""
    is_training = run.name.startswith("train ")
    return is_training and (run.state == "CRASHED" or (run.state == "FAILED" and "ServerUnreachable" in run.message))


def _list_family(run_id: str) -> list[str]:
    """Ids of the run and its subflows."""
    children = send_request("POST", "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}})
    return [run_id, *(run["id"] for run in children)]


def _read_steps(ids: list[str]) -> list[Step]:
    """The newest progress of each piece of work; an artefact's description is its name and text."""
    query = {"artifacts": {"flow_run_id": {"any_": ids}, "type": {"any_": ["progress"]}}}
    found = [entry for entry in send_request("POST", "/artifacts/filter", query) if entry.get("data") is not None]
    named = [(str(entry.get("description") or "").partition(": "), float(entry["data"])) for entry in found]
    return [Step(what, percent / 100, text) for (what, _, text), percent in named]


def _read_log(ids: list[str], seen: int) -> Iterator[str]:
    query = {"logs": {"flow_run_id": {"any_": ids}, "level": {"ge_": 20}}, "sort": "TIMESTAMP_ASC", "limit": _PAGE}
    while True:
        page = send_request("POST", "/logs/filter", {**query, "offset": seen})
        yield from (str(entry["message"]) for entry in page)
        seen += len(page)
        if len(page) < _PAGE:
            return


def _to_run(found: Mapping[str, Any]) -> Run:
    state, author = found.get("state") or {}, found.get("created_by") or {}
    return Run(
        id=str(found["id"]),
        name=str(found["name"]),
        state=str(state.get("type") or "SCHEDULED"),
        message=str(state.get("message") or ""),
        parameters=found.get("parameters") or {},
        automated=author.get("type") == "AUTOMATION",
        started_at=str(found.get("start_time") or ""),
        queued=state.get("name") == QUEUED,
    )
