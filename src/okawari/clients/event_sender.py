"""Send an event to the Prefect server from a process that runs no flow, such as a command of a person."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from okawari.case import Case
from okawari.clients.prefect_api import send_request
from okawari.events import build_labels


def send_event(name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
    """Send one of `okawari.events` about a case.

    Raises:
        ServerUnreachable: no Prefect server answers.
    """
    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": build_labels(case.name, trace),
        "payload": json.loads(json.dumps(payload, default=str)),
    }
    send_request("POST", "/events", [event])
