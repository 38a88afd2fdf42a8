"""HTTP client of the Prefect server: starts runs, follows them and reads their logs. Does not import Prefect.

The command line, the page and the simulation use this client; flows use Prefect itself.
"""

from __future__ import annotations

import base64
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from okawari.errors import InvalidInput, OkawariError, ServerUnreachable
from okawari.polling import poll
from okawari.progress import Step, Watch, ignore_step
from okawari.security.engine_access import make_basic_header
from okawari.settings import load_settings
from okawari.storage.group_lock import explain_absence, name_server, reach

LOOP_FLOWS = ("monitor", "train", "package")
_ACTIVE = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
_CLOCK_SKEW = timedelta(seconds=60)
"""How far the server's clock may be ahead of this one; a run that was just created is due at the server's time."""
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_ENGINE_PREFIX = re.compile(r"^Flow run encountered an exception: (\w+: )?")
_PAGE = 200
_LOG_DELAY_S = 1.0
"""A run sends its log in batches every half second; the last batch may arrive after the run's end."""
_BUSY_PAUSE_S = 0.5
_BUSY_TIMEOUT_S = 60.0
"""Longest time for which a busy or silent server is asked again; writes to its SQLite file may take seconds."""


_JOB_TEMPLATE: Mapping[str, Any] = {
    "job_configuration": {"command": None, "env": {}, "labels": {}, "name": None, "stream_output": True},
    "variables": {"type": "object", "properties": {}, "additionalProperties": False},
}
"""What the runner starts for a run. It has no variables, so no request can set the command or the environment."""


class RunFailed(OkawariError, RuntimeError):
    """A flow run ended without success."""


class RunOverdue(OkawariError, TimeoutError):
    """A flow run did not end within the time-out."""


@dataclass(frozen=True)
class Run:
    """A flow run as the server reports it. `automated` is true for runs that an event started."""

    id: str
    name: str
    state: str
    message: str
    parameters: Mapping[str, Any]
    automated: bool

    @property
    def ended(self) -> bool:
        """Whether the run has ended, with or without success."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the run has ended with success."""
        return self.state == "COMPLETED"


def start_run(flow: str, parameters: Mapping[str, Any], *, idempotency_key: str | None = None) -> Run:
    """Start a run of a flow's deployment; calls with equal idempotency keys return the same run.

    Raises:
        ServerUnreachable: no Prefect server answers.
        InvalidInput: the flow is not deployed, or its parameters are invalid.
    """
    missing = f"Flow {flow} is not deployed; run: okawari up."
    found = _request("GET", f"/deployments/name/{flow}/{flow}", missing=missing)
    # Without a key from the caller, a call that is repeated after a time-out must also start only one run.
    body = {"parameters": dict(parameters), "idempotency_key": idempotency_key or uuid.uuid4().hex}
    return _to_run(_request("POST", f"/deployments/{found['id']}/create_flow_run", body))


def request_retrain(case_name: str, reason: str) -> str:
    """Start a training of the case on a person's request; returns the run's id."""
    return start_run("train", {"case": case_name, "cause": "asked", "reason": reason}).id


def load_run(run_id: str) -> Run:
    """The run in its current state."""
    return _to_run(_request("GET", f"/flow_runs/{run_id}", missing=f"There is no flow run {run_id}."))


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
    return [_to_run(found) for found in _request("POST", "/flow_runs/filter", query)]


def list_active_runs(flow: str, case_name: str) -> list[Run]:
    """Runs of a flow for a case that are running or due, newest first; runs scheduled for later are left out."""
    query = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {
            "deployment_id": {"is_null_": False},
            "state": {"type": {"any_": list(_ACTIVE)}},
            "expected_start_time": {"before_": (datetime.now(UTC) + _CLOCK_SKEW).isoformat()},
        },
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 200,
    }
    runs = [_to_run(found) for found in _request("POST", "/flow_runs/filter", query)]
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
        raise RunFailed(f"{run.name} {run.state.lower()}: {_ENGINE_PREFIX.sub('', run.message) or 'no message'}")
    return run


def abandon_dead_runs() -> int:
    """Mark every pending or running run as crashed. Call it only while no worker runs, such as after a kill."""
    states = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}
    found = _request("POST", "/flow_runs/filter", {"flow_runs": {"state": states}, "limit": 200})
    crashed = {"state": {"type": "CRASHED", "name": "Crashed", "message": "its runner is gone"}, "force": True}
    for run in found:
        _request("POST", f"/flow_runs/{run['id']}/set_state", crashed)
    return len(found)


def ensure_work_pool(name: str) -> None:
    """Create the process work pool, or set its template; a run cannot override anything of it, such as the command."""
    known = _request("POST", "/work_pools/filter", {"limit": 200})
    if name not in {pool["name"] for pool in known}:
        _request("POST", "/work_pools/", {"name": name, "type": "process", "base_job_template": _JOB_TEMPLATE})
    else:
        _request("PATCH", f"/work_pools/{name}", {"base_job_template": _JOB_TEMPLATE})


def _list_family(run_id: str) -> list[str]:
    """Ids of the run and its subflows."""
    children = _request("POST", "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}})
    return [run_id, *(run["id"] for run in children)]


def _read_steps(ids: list[str]) -> list[Step]:
    """The newest progress of each piece of work; an artefact's description is its name and text."""
    query = {"artifacts": {"flow_run_id": {"any_": ids}, "type": {"any_": ["progress"]}}}
    found = [entry for entry in _request("POST", "/artifacts/filter", query) if entry.get("data") is not None]
    named = [(str(entry.get("description") or "").partition(": "), float(entry["data"])) for entry in found]
    return [Step(what, percent / 100, text) for (what, _, text), percent in named]


def _read_log(ids: list[str], seen: int) -> Iterator[str]:
    query = {"logs": {"flow_run_id": {"any_": ids}, "level": {"ge_": 20}}, "sort": "TIMESTAMP_ASC", "limit": _PAGE}
    while True:
        page = _request("POST", "/logs/filter", {**query, "offset": seen})
        yield from (str(entry["message"]) for entry in page)
        seen += len(page)
        if len(page) < _PAGE:
            return


def _request(verb: str, path: str, body: Any = None, *, missing: str = "") -> Any:
    """Send a request, and repeat it while the server is busy (status 503, at times caused by its SQLite database)."""
    base = load_settings().prefect_base
    answer = reach(
        lambda: poll(lambda: _send(verb, base, path, body), every_s=_BUSY_PAUSE_S, timeout_s=_BUSY_TIMEOUT_S)
    )
    if answer is None:
        logs = load_settings().logs_dir
        raise ServerUnreachable(f"The Prefect server at {base} stays busy; look at its log in {logs}.")
    return _read_answer(answer, missing)


def _send(verb: str, base: str, path: str, body: Any) -> httpx.Response | None:
    """Send a request once; None where the server is busy."""
    try:
        answer = httpx.request(verb, f"{base}/api{path}", json=body, headers=_authorize(), timeout=20)
    except httpx.TimeoutException:
        return None
    except httpx.TransportError as broken:
        raise explain_absence(name_server("prefect"), broken) from broken
    return None if answer.status_code == 503 else answer


def _authorize() -> dict[str, str]:
    """Credentials: of this installation's server its password, of a remote one what Prefect's own settings name."""
    if not load_settings().prefect_url:
        return make_basic_header("prefect")
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _read_answer(answer: httpx.Response, missing: str) -> Any:
    if answer.status_code == 404 and missing:
        raise InvalidInput(missing)
    if answer.status_code >= 400:
        raise InvalidInput(f"Prefect refused {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer.json() if answer.content else None


def _to_run(found: Mapping[str, Any]) -> Run:
    state, author = found.get("state") or {}, found.get("created_by") or {}
    return Run(
        id=str(found["id"]),
        name=str(found["name"]),
        state=str(state.get("type") or "SCHEDULED"),
        message=str(state.get("message") or ""),
        parameters=found.get("parameters") or {},
        automated=author.get("type") == "AUTOMATION",
    )
