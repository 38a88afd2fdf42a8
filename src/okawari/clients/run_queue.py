"""The runs that wait on the Prefect server: its work pool and queues, and clearing what a stopped runner left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from okawari.clients.orchestrator import URGENT_QUEUE
from okawari.clients.prefect_api import send_request

DERIVED_FLOWS = ("monitor", "train", "package", "reconcile")
"""Flows whose waiting runs can be started again from the records."""
_BULK = 50
"""Most runs that Prefect changes in one request."""
_CLEAR_TIMEOUT_S = 60.0
"""Longest time for clearing; what is left waits behind the urgent runs and ends quickly."""
_DEAD_AFTER_S = 180
"""Seconds without a heartbeat (every 30 s) after which a run counts as dead; a busy server is up to a minute late."""

_JOB_TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {"command": None, "env": {}, "labels": {}, "name": None, "stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
"""What the runner starts for a run. It has no variables, so no request can set the command or the environment."""

Filter = Mapping[str, Any]


def ensure_work_pool(name: str) -> None:
    """Create the process work pool, or set its template, and create its queue for urgent runs.

    A run cannot override anything of the template, such as the command.
    """
    known = send_request("POST", "/work_pools/filter", {"limit": 200})
    if name not in {pool["name"] for pool in known}:
        send_request("POST", "/work_pools/", {"name": name, "type": "process", "base_job_template": _JOB_TEMPLATE})
    else:
        send_request("PATCH", f"/work_pools/{name}", {"base_job_template": _JOB_TEMPLATE})
    queues = send_request("POST", f"/work_pools/{name}/queues/filter", {"limit": 200})
    if URGENT_QUEUE not in {queue["name"] for queue in queues}:
        send_request("POST", f"/work_pools/{name}/queues", {"name": URGENT_QUEUE, "priority": 1})


def ensure_death_rule() -> None:
    """Make the server mark a run as crashed whose process is gone: it sends no heartbeat, and has not ended."""
    ended = [f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelled")]
    heartbeat = "prefect.flow-run.heartbeat"
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "after": [heartbeat],
        "expect": [heartbeat, *ended],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": _DEAD_AFTER_S,
    }
    action = {"type": "change-flow-run-state", "state": "CRASHED", "message": "its process is gone"}
    rule = {"name": "okawari: a run without heartbeat is dead", "trigger": trigger, "actions": [action]}
    known = send_request("POST", "/automations/filter", {"automations": {"name": {"any_": [rule["name"]]}}})
    if not known:
        send_request("POST", "/automations/", rule)


def clear_runs() -> int:
    """Clear what a stopped runner left: dead runs become crashed, waiting ones are cancelled; returns their number.

    Waiting runs of `DERIVED_FLOWS` are cancelled, because the records start them again. Of ingests that wait with equal
    parameters, one is kept. Call it only while no runner runs.
    """
    until = time.monotonic() + _CLEAR_TIMEOUT_S
    running = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    n_dead = _set_states(_page_ids({}, running), _state("CRASHED", "its runner is gone"), until)
    derived = {"flows": {"name": {"any_": list(DERIVED_FLOWS)}}}
    n_derived = _set_states(_page_ids(derived, _waiting()), _state("CANCELLED", "waited for a stopped runner"), until)
    repeated = iter([_list_repeated()])
    return n_dead + n_derived + _set_states(repeated, _state("CANCELLED", "another run does the same"), until)


def _waiting() -> Filter:
    due = {"before_": datetime.now(UTC).isoformat()}
    return {
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "expected_start_time": due,
        "deployment_id": {"is_null_": False},
    }


def _page_ids(query: Filter, runs: Filter) -> Iterator[list[str]]:
    """Ids of the runs that a filter finds, page by page; runs that have left the filter are not found again."""
    while found := send_request("POST", "/flow_runs/filter", {**query, "flow_runs": runs, "limit": _BULK}):
        yield [run["id"] for run in found]


def _list_repeated() -> list[str]:
    """Ids of the ingests that wait, but for the newest one of each parameters."""
    query = {"flows": {"name": {"any_": ["ingest"]}}, "flow_runs": _waiting(), "sort": "EXPECTED_START_TIME_DESC"}
    seen: set[str] = set()
    repeated, offset = [], 0
    while found := send_request("POST", "/flow_runs/filter", {**query, "limit": 200, "offset": offset}):
        for run in found:
            parameters = json.dumps(run["parameters"], sort_keys=True)
            if parameters in seen:
                repeated.append(run["id"])
            seen.add(parameters)
        offset += len(found)
    return repeated


def _state(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "name": kind.capitalize(), "message": message}


def _set_states(pages: Iterator[list[str]], state: Mapping[str, str], until: float) -> int:
    """Set the state of the runs of all pages, until a time of the monotonic clock; returns how many were set."""
    n_set = 0
    for ids in pages:
        for start in range(0, len(ids), _BULK):
            if time.monotonic() > until:
                return n_set
            some = {"id": {"any_": ids[start : start + _BULK]}}
            done = send_request("POST", "/flow_runs/bulk_set_state", {"flow_runs": some, "state": state, "force": True})
            accepted = len([result for result in done["results"] if result["status"] == "ACCEPT"])
            n_set += accepted
            if not accepted:
                return n_set
    return n_set
