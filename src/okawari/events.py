"""Names of the loop's events: past tense, one constant each. `prefect.yaml` listens for them.

An event is about a case: its resource id is `okawari.case.<name>`.
"""

from __future__ import annotations

from typing import Final

DATA_INGESTED: Final = "okawari.data.ingested"
DATA_REFUSED: Final = "okawari.data.refused"
DATA_HELD: Final = "okawari.data.held"
DATA_DISCARDED: Final = "okawari.data.discarded"
CHAMPION_MISSED: Final = "okawari.champion.missed"
DRIFT_DETECTED: Final = "okawari.drift.detected"
PERFORMANCE_DEGRADED: Final = "okawari.performance.degraded"
MODEL_PROMOTED: Final = "okawari.model.promoted"
MODEL_REJECTED: Final = "okawari.model.rejected"
MODEL_DEPLOYED: Final = "okawari.model.deployed"
APPROVAL_REQUESTED: Final = "okawari.approval.requested"
CHAMPION_ADOPTED: Final = "okawari.champion.adopted"
CHAMPION_PUT_BACK: Final = "okawari.champion.put_back"

RETRAIN_CAUSES: Final = {
    CHAMPION_MISSED: "missing",
    DRIFT_DETECTED: "drift",
    PERFORMANCE_DEGRADED: "performance",
}
"""Events that start a training, with the cause that is recorded in its decision."""

ALL: Final = (
    DATA_INGESTED,
    DATA_REFUSED,
    DATA_HELD,
    DATA_DISCARDED,
    CHAMPION_MISSED,
    DRIFT_DETECTED,
    PERFORMANCE_DEGRADED,
    MODEL_PROMOTED,
    MODEL_REJECTED,
    MODEL_DEPLOYED,
    APPROVAL_REQUESTED,
    CHAMPION_ADOPTED,
    CHAMPION_PUT_BACK,
)


def resource_id(case_name: str) -> str:
    """The resource id of a case."""
    return f"okawari.case.{case_name}"


def build_labels(case_name: str, trace: str, *, is_duplicate: bool = False) -> dict[str, str]:
    """Labels of an event about a case; automations match them and pass them on.

    Args:
        case_name: what it is about.
        trace: id of the recorded decision behind the event.
        is_duplicate: another event already requests the same work, so automations can ignore this one.
    """
    return {
        "prefect.resource.id": resource_id(case_name),
        "prefect.resource.name": case_name,
        "okawari.trace": trace,
        "okawari.told": "yes" if is_duplicate else "no",
    }
