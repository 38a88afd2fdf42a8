"""The flow around `okawari.training.train`; each of its steps is a task."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.publish import PrefectHost
from okawari.cases.loader import load_case
from okawari.policy.decision import Cause
from okawari.training.train import Request, train_case


@flow(name="train", flow_run_name="train {case}")
def train(case: str, cause: Cause = "schedule", reason: str = "", cause_id: str | None = None) -> dict[str, Any]:
    """Bring a fresh challenger, if there is reason to, and promote it, if it is better.

    Args:
        case: name of the case.
        cause: why a training is asked for; all but `asked` are rationed.
        reason: the same in words, for the record.
        cause_id: the recorded verdict that asked for it.
    """
    return train_case(Request(load_case(case), cause, reason, cause_id), PrefectHost())
