"""The dates of records in requests, as the numbers of their features.

Texts without offset are times of the case's zone. Shapes: n records, F columns, C further numbers of all dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.errors import Refused
from bentos.window_times import parse_time
from okawari.case import Case
from okawari.dataset.calendar_features import compute_dates
from okawari.schema.calendar import Times, to_utc
from okawari.schema.columns import find_dates

Record = dict[str, Any]


class DateColumns:
    """Reads the columns of dates of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._names = tuple(column.name for column in find_dates(case.columns))

    def encode(self, records: Sequence[Record]) -> tuple[list[Record], list[NDArray[np.float64]]]:
        """The records with years in the place of dates, and the further numbers of each date column, [n, C].

        Raises:
            Refused: a text is no date.
        """
        if not self._names:
            return list(records), []
        measured = {name: compute_dates(self._read(records, name), name, self.case) for name in self._names}
        encoded = [
            {**record, **{name: numbers[row, 0] for name, numbers in measured.items()}}
            for row, record in enumerate(records)
        ]
        return encoded, [numbers[:, 1:] for numbers in measured.values()]

    def _read(self, records: Sequence[Record], name: str) -> Times:
        """The dates of a column, UTC; NaT for a missing one."""
        found = [self._read_date(record[name], index, name) for index, record in enumerate(records)]
        return np.array(found, dtype="datetime64[ns]")

    def _read_date(self, text: str | None, index: int, name: str) -> np.datetime64:
        if text is None:
            return np.datetime64("NaT", "ns")
        try:
            return self._to_utc(parse_time(text))
        except ValueError as error:
            raise Refused(
                f"instances[{index}].{name} is {text[:40]!r}; {self.case.column(name).allowed}. Correct it.",
                ("instances", index, name),
            ) from error

    def _to_utc(self, time: datetime) -> np.datetime64:
        if time.utcoffset() is None:
            moment: np.datetime64 = to_utc(np.array([time], dtype="datetime64[ns]"), self.case.zone)[0]
            return moment
        return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "ns")
