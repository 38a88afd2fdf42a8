"""Local times of a zone as UTC: the hour that clocks repeat in autumn, and the hour that they skip in spring.

Shapes: N times, in the order of their rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def localize(times: pd.Series, zone: str) -> pd.Series:
    """Times on a zone's clocks as UTC, without zone; a time that the clocks skip becomes missing.

    A midnight that they skip, as in Beirut and Cairo, is a date, and becomes the first time of its day.

    Of two readings of a repeated hour, the first row is before the change and the second one after it: from the row
    where times of that hour repeat or go back. In a table that descends in time it is the other way round.

    Example:
        >>> at = pd.Series(pd.to_datetime(["2023-10-29 02:00", "2023-10-29 02:00", "2024-03-31 02:30"]))
        >>> localize(at, "Europe/Berlin").astype(str).tolist()
        ['2023-10-29 00:00:00', '2023-10-29 01:00:00', 'NaT']
    """
    if zone == "UTC" or times.empty:
        return times
    is_first = _find_first(times, zone)
    aware = times.dt.tz_localize(zone, ambiguous=is_first, nonexistent="NaT")
    aware = aware.fillna(_begin_days(times[aware.isna()], zone))
    found: pd.Series = aware.dt.tz_convert("UTC").dt.tz_localize(None)
    return found


def _begin_days(times: pd.Series, zone: str) -> pd.Series:
    """The first time of each day of which midnight is given; missing for other times and for days that are skipped."""
    midnights = times[times.eq(times.dt.normalize())]
    moved = midnights.dt.tz_localize(zone, ambiguous=np.ones(len(midnights), dtype=bool), nonexistent="shift_forward")
    begun: pd.Series = moved[moved.dt.tz_localize(None).dt.normalize().eq(midnights)]
    return begun


def _find_first(times: pd.Series, zone: str) -> NDArray[np.bool_]:
    """Whether each time, if it is repeated, is its first occurrence: summer time."""
    repeated_N = _find_repeated(times, zone)
    first_N = np.ones(len(times), dtype=bool)
    if not repeated_N.any():
        return first_N
    descends = _descends(times)
    places = np.flatnonzero(repeated_N)
    places = places[::-1] if descends else places
    at = times.iloc[places].reset_index(drop=True)
    night = at.dt.normalize()
    went_back = at.groupby(night).diff().le(pd.Timedelta(0))
    first_N[places] = ~went_back.groupby(night).cummax().astype(bool)
    return first_N


def _find_repeated(times: pd.Series, zone: str) -> NDArray[np.bool_]:
    """Whether each time occurs twice on the zone's clocks."""
    known = times.where(times.notna(), pd.Timestamp("2000-01-01"))
    once = known.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
    repeated_N: NDArray[np.bool_] = once.isna().to_numpy()
    return repeated_N


def _descends(times: pd.Series) -> bool:
    steps = times.dropna().diff().dropna()
    return bool((steps < pd.Timedelta(0)).sum() > (steps > pd.Timedelta(0)).sum())
