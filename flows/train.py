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
    """Train a challenger if there is a reason to, and promote it if it is better.

    Args:
        case: name of the case.
        cause: why the training is requested; drift, performance and schedule have rate limits.
        reason: the cause as text, for the record.
        cause_id: id of the recorded verdict that requested it.
    """
    return train_case(Request(load_case(case), cause, reason, cause_id), PrefectHost())
