"""The tables of a case: their columns and keys.

    readings     key time            the validated data; a version of it is a snapshot
    quarantine   key row_sha256      refused rows with their reasons
    predictions  key id, index       the service's answers
    outcomes     key id, index, step, target, seq   true values that arrived later, with every correction; target is ""
                                     for tasks with one target
    refused_outcomes  key row_sha256  outcomes by a key that no prediction has, with the reason
    decisions    key id              verdicts and decisions, with the cause of each
    contracts    key version         the recorded meaning of the case's table, as JSON
    deliveries   key key             what arrived at once, with its verdict; as Parquet, the rows of a delivery that is
                                     held, waits or was discarded

The columns of readings are those of the case: a time, float64 numbers, words as text, and dates as times. `label` of a
prediction is its most probable label, if its target is one of words. An outcome has a `value`, or a `label` and no
value. `width_factor` and `interval_version` of a prediction are those of `okawari.storage.width_factors`; null where
its interval had the calibrated width.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

Table = Literal[
    "readings", "quarantine", "predictions", "outcomes", "refused_outcomes", "decisions", "contracts", "deliveries"
]

TIME = pa.timestamp("us", tz="UTC")
_NUMBERS = pa.list_(pa.float64())

SCHEMAS: dict[Table, pa.Schema] = {
    "quarantine": pa.schema({"row_sha256": pa.string(), "at": TIME, "reason": pa.string(), "values": pa.string()}),
    "predictions": pa.schema(
        {
            "id": pa.string(),
            "index": pa.int64(),
            "case": pa.string(),
            "at": TIME,
            "as_of": pa.string(),
            "times": pa.list_(pa.string()),
            "level": pa.float64(),
            "mean": _NUMBERS,
            "lower": _NUMBERS,
            "upper": _NUMBERS,
            "width_factor": _NUMBERS,
            "interval_version": pa.string(),
            "version": pa.string(),
            "graph_sha256": pa.string(),
            "variant": pa.string(),
            "input_sha256": pa.string(),
            "source": pa.string(),
            "label": pa.string(),
            "key": pa.string(),
        }
    ),
    "outcomes": pa.schema(
        {
            "id": pa.string(),
            "index": pa.int64(),
            "step": pa.int64(),
            "target": pa.string(),
            "value": pa.float64(),
            "label": pa.string(),
            "at": TIME,
            "case": pa.string(),
            "seq": pa.int64(),
        }
    ),
    "refused_outcomes": pa.schema(
        {
            "row_sha256": pa.string(),
            "key": pa.string(),
            "step": pa.int64(),
            "target": pa.string(),
            "value": pa.float64(),
            "label": pa.string(),
            "at": TIME,
            "case": pa.string(),
            "reason": pa.string(),
        }
    ),
    "decisions": pa.schema(
        {
            "id": pa.string(),
            "at": TIME,
            "case": pa.string(),
            "kind": pa.string(),
            "action": pa.string(),
            "reason": pa.string(),
            "facts": pa.string(),
            "cause": pa.string(),
            "snapshot_version": pa.int64(),
            "run_id": pa.string(),
            "model_version": pa.string(),
            "seq": pa.int64(),
        }
    ),
    "contracts": pa.schema({"version": pa.int64(), "at": TIME, "snapshot_version": pa.int64(), "content": pa.string()}),
    "deliveries": pa.schema(
        {
            "key": pa.string(),
            "seq": pa.int64(),
            "at": TIME,
            "source": pa.string(),
            "digest": pa.string(),
            "state": pa.string(),
            "verdict": pa.string(),
            "reason": pa.string(),
            "facts": pa.string(),
            "rows": pa.int64(),
            "content": pa.binary(),
            "refused": pa.string(),
        }
    ),
}
KEYS: dict[Table, tuple[str, ...]] = {
    "quarantine": ("row_sha256",),
    "predictions": ("id", "index"),
    "outcomes": ("id", "index", "step", "target", "seq"),
    "refused_outcomes": ("row_sha256",),
    "decisions": ("id",),
    "contracts": ("version",),
    "deliveries": ("key",),
}
