"""What arrived readings would change in the stored ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from okawari.case import Case
from okawari.schema import added_columns


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What the arrived readings would change in the table: new readings and revised ones, with their times."""

    new: pd.DataFrame
    revised: pd.DataFrame
    kept_rows: int = 0
    """Stored readings that differ in an older edition of the source; they stay unchanged."""

    def sort(self, time: str) -> pd.DataFrame:
        """All changed readings, ascending in time."""
        return pd.concat([self.new, self.revised]).sort_values(time)


def compare_readings(
    case: Case, good: pd.DataFrame, held: pd.DataFrame | None, now: datetime, *, from_source: bool = False
) -> Changes:
    """What checked readings would change in the stored ones (`held`; None where nothing is stored).

    A source that ends before the newest stored reading is an older edition: it revises nothing.

    Args:
        case: the schema.
        good: the checked readings.
        held: the stored ones.
        now: aware time of arrival.
        from_source: whether they come from the case's own source.
    """
    at = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    new, revised = case.layout.find_changes(good, held, case.time, case.known_names, at)
    n_kept = len(revised) if from_source and case.layout.ends_early(good, held, case.time) else 0
    return Changes(new=new, revised=revised.iloc[: len(revised) - n_kept], kept_rows=n_kept)


def count_filled(case: Case, revised: pd.DataFrame, held: pd.DataFrame | None) -> int:
    """The revised readings that only fill in columns which the case got after the stored readings.

    The stored values stay as they are.
    """
    if held is None or held.empty or revised.empty:
        return 0
    return added_columns.count_filled(revised, held, case.time, case.known_names)
