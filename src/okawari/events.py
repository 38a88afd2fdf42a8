"""Names of the loop's events: past tense, one constant each. `prefect.yaml` listens for them.

An event is about a case: its resource id is `okawari.case.<name>`.
"""

from __future__ import annotations

from typing import Final

DATA_INGESTED: Final = "okawari.data.ingested"
DATA_REFUSED: Final = "okawari.data.refused"
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
