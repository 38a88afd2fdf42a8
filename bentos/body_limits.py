"""The largest bodies of a case's requests, computed from what its largest valid request needs."""

from __future__ import annotations

from dataclasses import dataclass

from bentos.schemas import MAX_OUTCOMES
from okawari.case import Case, Column
from okawari.schema.keys import MAX_KEY_CHARS

MAX_BODY_BYTES = 8 * 2**20
SMALL_BYTES = 64 * 2**10
"""Up to this size, the event loop checks a body itself: the worst one takes 3 ms there."""
MAX_SMALL_BYTES = 256 * 2**10

_NUMBER_CHARS, _TIME_CHARS, _MARK_CHARS = 24, 32, 6
_KEY_BYTES = 4 * MAX_KEY_CHARS  # in UTF-8
_SLACK = 4
"""Indented JSON takes twice the room, and an instance may hold more readings than are used."""
_OUTCOME_BYTES = 200


@dataclass(frozen=True)
class BodyLimits:
    """Largest bodies, in bytes. A predict body over `small` is checked in a process of its own."""

    small: int
    predict: int
    outcomes: int
    forecast: int = 1024


def find_body_limits(case: Case) -> BodyLimits:
    """The limits for a case: four times its largest request, at most 8 MB."""
    instance = case.history * _estimate_record(case)
    small = min(max(SMALL_BYTES, 2 * instance), MAX_SMALL_BYTES)
    predict = min(max(small, _SLACK * case.serving.max_instances * instance), MAX_BODY_BYTES)
    return BodyLimits(small, predict, outcomes=min(2 * MAX_OUTCOMES * _OUTCOME_BYTES, MAX_BODY_BYTES))


def _estimate_record(case: Case) -> int:
    """Bytes of one record as compact JSON."""
    values = sum(_estimate_value(column) for column in case.columns)
    key = len(case.key) + _KEY_BYTES + _MARK_CHARS if case.key else 0
    return values + key + sum(len(name) + _TIME_CHARS + _MARK_CHARS for name in case.time_columns)


def _estimate_value(column: Column) -> int:
    longest = max(
        (len(label.encode()) for label in column.labels), default=_TIME_CHARS if column.date else _NUMBER_CHARS
    )
    # A word that is no label yet may be longer than all labels; four times the request leaves room for it.
    return len(column.name.encode()) + longest + _MARK_CHARS


def format_bytes(size: int) -> str:
    """A size for a person.

    >>> format_bytes(8 * 2**20), format_bytes(1024)
    ('8 MB', '1 kB')
    """
    return f"{size / 2**20:.3g} MB" if size >= 2**20 else f"{size / 2**10:.3g} kB"
