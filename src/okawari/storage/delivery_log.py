"""Deliveries: what arrived at once, its verdict, and the rows of those that are held, wait or were discarded.

A delivery keeps its number, so its id (`d-0007`) is short and in the order of arrival. The rows of an accepted delivery
are in the snapshot; they are not kept here a second time.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from okawari.errors import InvalidInput
from okawari.storage.table_schemas import KEYS, SCHEMAS
from okawari.storage.tables import Change, find_rows, load_newest, merge_rows, open_table

_LOOK_BACK = 200
_LISTED = "key, seq, at, source, digest, state, verdict, reason, facts, rows"


class State(StrEnum):
    """What became of a delivery."""

    HELD = "held"
    WAITING = "waiting"
    ACCEPTED = "accepted"
    DISCARDED = "discarded"


OPEN = (State.HELD, State.WAITING)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A delivery. `number` is 0 before it is stored, and `content` is None where its rows are not kept or not loaded.

    `refused` has the refused rows as texts, each with its `reason`. `rows` counts both.
    """

    source: str
    state: State
    verdict: str
    reason: str
    rows: int
    digest: str
    number: int = 0
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    facts: Mapping[str, Any] = field(default_factory=dict)
    content: bytes | None = None
    refused: Sequence[Mapping[str, str]] = ()

    @property
    def id(self) -> str:
        """The id to type, such as d-0007."""
        return f"d-{self.number:04d}"

    @property
    def is_open(self) -> bool:
        """Whether it is held or waits."""
        return self.state in OPEN

    def describe(self) -> dict[str, Any]:
        """The delivery as JSON values, without its rows."""
        return {
            "id": self.id, "at": self.at.isoformat(timespec="seconds"), "source": self.source, "rows": self.rows,
            "state": str(self.state), "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip


def advise(case_name: str, delivery_id: str) -> str:
    """What a person does about a held delivery."""
    return f"Run `okawari accept {case_name} {delivery_id}` or `okawari discard {case_name} {delivery_id}`."


def record_delivery(case_name: str, delivery: Delivery) -> Delivery:
    """Store a delivery, or replace the stored one of the same key; returns it with its number."""
    row = {
        "key": delivery.key,
        "seq": delivery.number or None,  # a new one is numbered in the merge
        "at": delivery.at,
        "source": delivery.source,
        "digest": delivery.digest,
        "state": str(delivery.state),
        "verdict": delivery.verdict,
        "reason": delivery.reason,
        "facts": json.dumps(delivery.facts, default=str),
        "rows": delivery.rows,
        "content": delivery.content,
        "refused": json.dumps(list(delivery.refused)),
    }
    rows = pa.Table.from_pylist([row], schema=SCHEMAS["deliveries"])
    merge_rows(case_name, "deliveries", Change(rows=rows, keys=KEYS["deliveries"], update=True))
    [stored] = find_rows(case_name, "deliveries", "key", delivery.key)
    return replace(delivery, number=int(stored["seq"]))


def load_deliveries(case_name: str, limit: int = 20, states: Sequence[State] = tuple(State)) -> list[Delivery]:
    """The newest deliveries in one of these states, newest first, without their rows."""
    only = ("state", *states)
    found = load_newest(case_name, "deliveries", "seq", limit, only, columns=_LISTED)
    return [] if found is None else [_read(row) for row in found.to_dict("records")]


def load_kept(case_name: str) -> list[Delivery]:
    """The deliveries that are held, wait or were discarded, with their rows, oldest first."""
    only = ("state", *OPEN, State.DISCARDED)
    found = load_newest(case_name, "deliveries", "seq", _LOOK_BACK, only)
    return [] if found is None else [_read(row) for row in reversed(found.to_dict("records"))]


def find_delivery(case_name: str, delivery_id: str) -> Delivery:
    """A delivery by its id, with its rows.

    Raises:
        InvalidInput: the case has no such delivery.
    """
    known = load_deliveries(case_name, _LOOK_BACK)
    found = next((each for each in known if each.id == delivery_id.lower()), None)
    if found is None:
        named = ", ".join(each.id for each in known if each.is_open) or "none is held"
        raise InvalidInput(
            f"Case {case_name} has no delivery {delivery_id}; open ones: {named}. List all with: okawari deliveries "
            f"{case_name}."
        )
    [row] = find_rows(case_name, "deliveries", "key", found.key)
    return _read(row)


def find_held(case_name: str) -> Delivery | None:
    """The delivery that is held, without its rows; None if none is."""
    return next(iter(load_deliveries(case_name, 1, (State.HELD,))), None)


def describe_stale(case_name: str) -> str | None:
    """Why forecasts do not use the newest readings; None if no delivery is held."""
    held = find_held(case_name)
    return None if held is None else f"delivery {held.id} of {held.at:%Y-%m-%d} is held"


def deliveries_version(case_name: str) -> int | None:
    """Version of the table, which changes with every change of a delivery; reads no row."""
    table = open_table(case_name, "deliveries")
    return None if table is None else table.version()


def pack_rows(rows: pd.DataFrame) -> bytes:
    """Readings as the bytes of a Parquet file."""
    written = io.BytesIO()
    parquet.write_table(pa.Table.from_pandas(rows, preserve_index=False), written, compression="zstd")
    return written.getvalue()


def unpack_rows(content: bytes, time: str) -> pd.DataFrame:
    """The readings that `pack_rows` wrote, with times and dates in nanoseconds."""
    frame: pd.DataFrame = parquet.read_table(io.BytesIO(content)).to_pandas()
    dates = [name for name in frame.columns if frame[name].dtype.kind == "M"]
    return frame.astype(dict.fromkeys([time, *dates], "datetime64[ns]"))


def _read(row: Mapping[Any, Any]) -> Delivery:
    content = row.get("content")
    return Delivery(
        number=int(row["seq"]),
        key=str(row["key"]),
        at=row["at"],
        source=str(row["source"]),
        digest=str(row["digest"]),
        state=State(row["state"]),
        verdict=str(row["verdict"]),
        reason=str(row["reason"]),
        rows=int(row["rows"]),
        facts=json.loads(row["facts"]),
        content=content if isinstance(content, bytes) else None,
        refused=tuple(json.loads(row.get("refused") or "[]")),
    )
