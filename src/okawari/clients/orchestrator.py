"""Asks the Prefect server over HTTP: start a run, follow it, read its log. Needs no Prefect installed.

The command line, the page and the rehearsal use this; flows use Prefect itself.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from okawari.errors import InvalidInput, OkawariError, ServerUnreachable
from okawari.polling import poll
from okawari.progress import Step, Watch, ignore_step
from okawari.settings import load_settings

LOOP_FLOWS = ("monitor", "train", "package")
_ACTIVE = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_ENGINE_WORDS = re.compile(r"^Flow run encountered an exception: (\w+: )?")
_PAGE = 200
_LAST_LINES_S = 1.0
"""A run hands its log over in batches every half second; the last one may come after the run's end."""
_BUSY_PAUSE_S = 0.5
_PATIENCE_S = 60.0
"""How long a server may be busy, or say nothing at all, before it is given up; a training's SQLite may take seconds."""


class RunFailed(OkawariError, RuntimeError):
    """A flow run ended without success."""


class RunOverdue(OkawariError, TimeoutError):
    """A flow run did not end within the time-out."""


@dataclass(frozen=True)
class Run:
    """A flow run as the server knows it. `automated` is true for runs that an event started."""

    id: str
    name: str
    state: str
    message: str
    parameters: Mapping[str, Any]
    automated: bool

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end, good or bad."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the run has come to a good end."""
        return self.state == "COMPLETED"


def start_run(flow: str, parameters: Mapping[str, Any], *, idempotency_key: str | None = None) -> Run:
    """Start the deployment of a flow; equal idempotency keys give the same run.

    Raises:
        ServerUnreachable: no Prefect server answers.
        InvalidInput: the flow is not deployed, or its parameters do not fit.
    """
    missing = f"Flow {flow} is not deployed; run: okawari up."
    found = _request("GET", f"/deployments/name/{flow}/{flow}", missing=missing)
    # Even without a key of the caller's, a call that is tried again after it timed out must start one run only.
    body = {"parameters": dict(parameters), "idempotency_key": idempotency_key or uuid.uuid4().hex}
    return _to_run(_request("POST", f"/deployments/{found['id']}/create_flow_run", body))


def request_retrain(case_name: str, reason: str) -> str:
    """Ask for a training of the case, as a person does; returns the run's id."""
    return start_run("train", {"case": case_name, "cause": "asked", "reason": reason}).id


def load_run(run_id: str) -> Run:
    """The run as it stands now."""
    return _to_run(_request("GET", f"/flow_runs/{run_id}", missing=f"There is no flow run {run_id}."))


def run_state(run_id: str) -> str:
    """State of a run: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLED."""
    return load_run(run_id).state


def list_runs(flow: str, *, states: tuple[str, ...] = (), limit: int = 50) -> list[Run]:
    """Newest runs of a flow that are subject to a deployment, newest first."""
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
    """Runs of a flow for a case that run now or whose turn has come, newest first; later ones of a schedule are not."""
    query = {
        "flows": {"name": {"any_": [flow]}},
        "flow_runs": {
            "deployment_id": {"is_null_": False},
            "state": {"type": {"any_": list(_ACTIVE)}},
            "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
        },
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 200,
    }
    runs = [_to_run(found) for found in _request("POST", "/flow_runs/filter", query)]
    return [run for run in runs if run.parameters.get("case") == case_name]


def list_active_flows(case_name: str) -> frozenset[str]:
    """Which of the flows that bring a case on (`monitor`, `train`, `package`) have an active run of it."""
    return frozenset(flow for flow in LOOP_FLOWS if list_active_runs(flow, case_name))


def follow_run(
    run_id: str,
    show: Callable[[str], None],
    *,
    watch: Watch = ignore_step,
    poll_s: float = 0.5,
    timeout_s: float = 1800.0,
) -> Run:
    """Show the run's log lines about its case as they come, its subflows' included, until it ends.

    `watch` is called with the progress of fits and other long work, as the run's progress artefacts have it.

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
    """What has been shown of a run so far."""

    run_id: str
    show: Callable[[str], None]
    watch: Watch
    n_lines: int = 0
    steps: set[Step] = field(default_factory=set)

    def look(self) -> Run | None:
        """Show what is new; returns the run if it has ended."""
        run = load_run(self.run_id)
        if run.ended:
            time.sleep(_LAST_LINES_S)
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
        RunFailed: it did not.
    """
    if not run.succeeded:
        raise RunFailed(f"{run.name} {run.state.lower()}: {_ENGINE_WORDS.sub('', run.message) or 'no message'}")
    return run


def abandon_dead_runs() -> int:
    """Mark every pending or running run as crashed. Only right while no runner is alive: after a kill, say."""
    states = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}
    found = _request("POST", "/flow_runs/filter", {"flow_runs": {"state": states}, "limit": 200})
    crashed = {"state": {"type": "CRASHED", "name": "Crashed", "message": "its runner is gone"}, "force": True}
    for run in found:
        _request("POST", f"/flow_runs/{run['id']}/set_state", crashed)
    return len(found)


def ensure_work_pool(name: str) -> None:
    """Create the process work pool unless it is there."""
    known = _request("POST", "/work_pools/filter", {"limit": 200})
    if name not in {pool["name"] for pool in known}:
        _request("POST", "/work_pools/", {"name": name, "type": "process"})


def _list_family(run_id: str) -> list[str]:
    """The run and its subflows."""
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
    """One call, tried again while the server says that it is busy (its embedded database answers 503 at times)."""
    base = load_settings().prefect_base
    answer = poll(lambda: _ask(verb, base, path, body), every_s=_BUSY_PAUSE_S, timeout_s=_PATIENCE_S)
    if answer is None:
        logs = load_settings().logs_dir
        raise ServerUnreachable(f"The Prefect server at {base} stays busy; look at its log in {logs}.")
    return _read_answer(answer, missing)


def _ask(verb: str, base: str, path: str, body: Any) -> httpx.Response | None:
    """One call; None where the server is busy."""
    try:
        answer = httpx.request(verb, f"{base}/api{path}", json=body, timeout=20)
    except httpx.TimeoutException:
        return None
    except httpx.TransportError as broken:
        raise ServerUnreachable(
            f"No Prefect server answers at {base} ({broken}); start it with: okawari up."
        ) from broken
    return None if answer.status_code == 503 else answer


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
