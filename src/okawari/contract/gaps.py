"""Deliveries of a series whose times lie far from the stored ones: a wrong year, or zeros read as 1970. Pure."""

from __future__ import annotations

import numpy as np
import pandas as pd

LEAST_GAP_STEPS = 100
"""Steps that may be missing after a short history, in usual distances between readings."""


def find_far_times(stored: pd.Series, delivered: pd.Series) -> str:
    """A sentence on a gap before or after the stored times, longer than their whole span; empty if there is none.

    Args:
        stored: the times of the stored readings, ascending.
        delivered: the times of the delivered ones.
    """
    if len(stored) < 2 or delivered.empty:
        return ""
    first, last = stored.iloc[0], stored.iloc[-1]
    allowed = max(last - first, LEAST_GAP_STEPS * pd.Timedelta(np.median(np.diff(stored.to_numpy()))))
    before, after = delivered[delivered < first], delivered[delivered > last]
    far = [time for time in (before.max(), after.min()) if pd.notna(time) and max(first - time, time - last) > allowed]
    if not far:
        return ""
    return (
        f"a reading is of {far[0]:%Y-%m-%d %H:%M}, farther from the stored ones ({first:%Y-%m-%d} to {last:%Y-%m-%d}) "
        "than these are long"
    )
