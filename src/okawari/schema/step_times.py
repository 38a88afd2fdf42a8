"""The times of the steps of an answer, as texts in the zone of the data. Only home of this rule.

Service, terminal, page, scored files and the journal name the steps of an answer by `StepTimes`. A text is ISO 8601: a
date where steps begin at local midnight, else a time, with its offset from UTC unless the zone is UTC.

Shapes: B answers, H steps ahead, N times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from okawari.schema.calendar import Calendar, Times, to_local

NO_FREQUENCY = "The case has no frequency, so the times of the steps are not known. Give the case a frequency."
NO_TIMES = "The readings came without times, so the times of the steps are not known. Send the time of each reading."


@dataclass(frozen=True)
class StepTimes:
    """Names the `n_steps` steps after a reading of a series; a case without a calendar has None.

    Example:
        >>> StepTimes(Calendar(frequency="ME"), 2).list_after(np.array(["2023-12-31"], dtype="datetime64[ns]"))
        [['2024-01-31', '2024-02-29']]
    """

    calendar: Calendar | None
    n_steps: int

    def list_after(self, at_B: Times) -> list[list[str] | None]:
        """The texts of the steps after each time; None without a calendar."""
        if self.calendar is None or not len(at_B):
            return [None] * len(at_B)
        calendar = self.calendar.anchored(at_B)
        if not calendar.is_step(at_B).all():  # readings of several times of day
            return [self.list_after(at_B[[place]])[0] for place in range(len(at_B))] if len(at_B) > 1 else [None]
        numbers_BH = calendar.number(at_B)[:, None] + np.arange(1, self.n_steps + 1)
        texts = format_steps(calendar, calendar.at(numbers_BH.ravel()))
        return [texts[start : start + self.n_steps] for start in range(0, len(texts), self.n_steps)]

    def list_after_texts(self, as_of: Sequence[str | None]) -> list[list[str] | None]:
        """As `list_after`, for UTC times as ISO texts; None without a time."""
        known = [text for text in as_of if text is not None]
        named = iter(self.list_after(np.array(known, dtype="datetime64[ns]")))
        return [None if text is None else next(named) for text in as_of]

    def explain(self, as_of: str | None) -> str | None:
        """Why the times of the steps are not known; None where they are."""
        if self.calendar is None:
            return NO_FREQUENCY
        return NO_TIMES if as_of is None else None


def format_steps(calendar: Calendar, steps_N: Times) -> list[str]:
    """The texts of steps of an anchored calendar."""
    if calendar.is_daily:
        texts: list[str] = to_local(steps_N, calendar.zone).astype("datetime64[D]").astype(str).tolist()
        return texts
    at = pd.DatetimeIndex(steps_N)
    shown = at if calendar.zone == "UTC" else at.tz_localize("UTC").tz_convert(calendar.zone)
    return [time.isoformat() for time in shown]
