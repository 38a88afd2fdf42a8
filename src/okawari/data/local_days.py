"""The table of a source up to a day of the case's zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from okawari.case import Case
from okawari.case.source import Source
from okawari.data.tabular import RawTable, read_table
from okawari.data.time_format import parse_times
from okawari.schema.calendar import to_local
from okawari.schema.columns import find_numbers


def read_until(case: Case, source: Source, until: date | None) -> RawTable:
    """The table of a source up to and including a day, which begins and ends at midnight of `Case.zone`.

    Sources cut at the end of a UTC day or of a day of their texts, so a day more is read where the zone differs. A row
    with an unreadable time is kept, so that the checks refuse it with a reason.
    """
    numbers = [column.name for column in find_numbers(case.known_columns)]
    if until is None or case.zone == "UTC" or not case.time_columns:
        return read_table(source, until, numbers)
    raw = read_table(source, until + timedelta(days=1), numbers)
    if case.time not in raw.frame.columns:
        return raw
    at = parse_times(raw.frame[case.time], raw.time_format, case.zone)
    local = to_local(at.to_numpy(dtype="datetime64[ns]"), case.zone).astype("datetime64[D]")
    kept = np.isnat(local) | (local <= np.datetime64(until))
    origins = tuple(origin for origin, is_kept in zip(raw.origins, kept, strict=False) if is_kept)
    return replace(raw, frame=raw.frame[kept].reset_index(drop=True), origins=origins)
