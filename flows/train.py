"""The flow around `okawari.training.train`; each of its steps is a task.

A run trains only if it is the turn of its request: no other training of its case runs, and a slot of
`OKAWARI_TRAININGS` is free. Otherwise it ends at once in the state "Queued", and the request waits in the decision log.
Each run that ends starts the requests whose turn has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import Flow, State, flow, get_run_logger, runtime
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed

from flows.publish import PrefectHost
from okawari.cases.loader import load_case
from okawari.clients.orchestrator import QUEUED
from okawari.loop import turns
from okawari.policy.decision import Action, Cause
from okawari.policy.queueing import Waiting
from okawari.settings import load_settings
from okawari.training.train import Request, train_case


def _start_next(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Start the requests whose turn has come; a case whose training was skipped or failed is left to `reconcile`."""
    if flow_run.deployment_id is None:
        return
    case = str(flow_run.parameters["case"])
    has_room = state.name == QUEUED or (state.is_completed() and _is_answered(state))
    turns.start_next({*load_settings().case_names, case}, but=None if has_room else case)


def _is_answered(state: State[Any]) -> bool:
    result = state.result(raise_on_failure=False)
    return isinstance(result, Mapping) and result["action"] != Action.SKIP


@flow(name="train", flow_run_name="train {case}", on_completion=[_start_next], on_failure=[_start_next])
def train(case: str, cause: Cause = "schedule", reason: str = "", cause_id: str | None = None) -> Any:
    """Train a challenger if there is a reason to, and promote it if it is better.

    Args:
        case: name of the case.
        cause: why the training is requested; drift, performance and schedule have rate limits.
        reason: the cause as text, for the record.
        cause_id: id of the recorded verdict or request behind it.
    """
    problem = load_case(case)
    turn = turns.take_turn(runtime.flow_run.id, Waiting(case=case, cause=cause, record=cause_id))
    if turn.action != Action.TRAIN:
        get_run_logger().info("%s: %s", case, turn.reason)
        return Completed(name=QUEUED, message=turn.reason, data={"action": turn.action, "reason": turn.reason})
    return train_case(Request(problem, cause, reason, cause_id), PrefectHost())
