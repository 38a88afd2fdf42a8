"""The times of a series in requests: reading them, and laying a window out on the calendar.

Texts without offset are times of the case's zone. Inside, times are UTC without zone; `as_of` of a question is such a
time as ISO 8601 text. Shapes: B instances, n readings, F columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.errors import Refused
from okawari.case import Case
from okawari.dataset.calendar_features import append_calendar
from okawari.schema.calendar import Times, to_utc
from okawari.schema.time_order import find_disorder

_FIRST_YEAR, _LAST_YEAR = 1700, 2200
"""Times in nanoseconds reach little further."""


class WindowTimes:
    """Reads the times of windows of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def read(self, window: Sequence[dict[str, Any]], index: int) -> Times | None:
        """The times of a window's records, ascending; None where no record has one.

        Raises:
            Refused: some records have no time, or a time cannot be read, is out of order or off the calendar.
        """
        name = self.case.time
        texts = [record.get(name) for record in window]
        if all(text is None for text in texts):
            return None
        found = [self._read_time(text, index, row) for row, text in enumerate(texts)]
        if len({time.utcoffset() is None for time in found}) > 1:
            raise Refused(
                f"Some times of instances[{index}] have a time zone and some have none; give it in all or in none.",
                ("instances", index),
            )
        times = self._to_utc(found)
        late = find_disorder(times)
        if late is not None:
            raise Refused(
                f"instances[{index}][{late}].{name} is {texts[late]}, after {texts[late - 1]}; records go from the "
                "oldest to the newest, each time once. Sort them.",
                ("instances", index, late, name),
            )
        self._require_steps(times, index)
        return times

    def lay_out(self, values: NDArray[np.float64], times: Times | None) -> NDArray[np.float64]:
        """The readings [n, F] with one row for each step of the calendar; a missing step is a row of NaN."""
        if self.case.calendar is None or times is None:
            return values
        places = self.case.calendar.anchored(times).number(times)
        places -= places[0]
        if places[-1] + 1 == len(values):
            return values
        newest = places > places[-1] - self.case.history  # a long gap before the window takes no memory
        laid_out = np.full((min(self.case.history, places[-1] + 1), values.shape[1]), np.nan)
        laid_out[places[newest] - places[-1] - 1] = values[newest]
        return laid_out

    def append_calendar(self, x_TF: NDArray[np.float64], times: Times | None, index: int) -> NDArray[np.float64]:
        """The newest steps with the calendar features of the case behind them.

        Raises:
            Refused: the case has calendar features, and the window has no times.
        """
        if not self.case.calendar_features:
            return x_TF
        if times is None:
            read = ", ".join(each.name for each in self.case.calendar_features)
            raise Refused(
                f"instances[{index}] has no times; case {self.case.name} reads {read} of them. Send "
                f"{self.case.time} in each record.",
                ("instances", index),
            )
        steps = times[-len(x_TF) :]
        if self.case.calendar is not None:
            calendar = self.case.calendar.anchored(times)
            steps = calendar.at(calendar.number(times[-1:])[0] - np.arange(len(x_TF))[::-1])
        return append_calendar(x_TF, steps, self.case)

    def _to_utc(self, found: list[datetime]) -> Times:
        if found[0].utcoffset() is None:
            return to_utc(np.array(found, dtype="datetime64[ns]"), self.case.zone)
        plain = [time.astimezone(UTC).replace(tzinfo=None) for time in found]
        return np.array(plain, dtype="datetime64[ns]")

    def _require_steps(self, times: Times, index: int) -> None:
        if self.case.calendar is None:
            return
        calendar = self.case.calendar.anchored(times)
        off = np.flatnonzero(~calendar.is_step(times))
        if off.size:
            row = int(off[0])
            raise Refused(
                f"instances[{index}][{row}].{self.case.time}: {calendar.explain_off(times[row])}. Correct the time.",
                ("instances", index, row, self.case.time),
            )

    def _read_time(self, text: str | None, index: int, row: int) -> datetime:
        name = self.case.time
        try:
            return parse_time(text or "")
        except ValueError as error:
            came = f"is {text[:40]!r}" if text else "is missing"
            raise Refused(
                f"instances[{index}][{row}].{name} {came}; it is an ISO 8601 time such as 2013-03-01, in every record "
                "of an instance or in none. Correct it or leave it out.",
                ("instances", index, row, name),
            ) from error


def parse_time(text: str) -> datetime:
    """A time from ISO 8601; raises `ValueError` for another text, and outside the years that times reach."""
    time = datetime.fromisoformat(text)
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise ValueError(f"The year is {time.year}; times reach from {_FIRST_YEAR} to {_LAST_YEAR}. Correct it.")
    return time
