"""Calendar features of readings: the only function that computes them, for training, service and scoring.

Those of a series describe its steps, those of a record its columns of dates. They depend on times alone, so they are no
nodes of the graph; they enter it as columns of `x` behind those of the case, the year of a date in its column's place
(docs/decisions/0009-calendar-features-outside-the-graph.md). Shapes: N readings or steps, C numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.schema.calendar import Times, to_local
from okawari.schema.calendar_features import list_date_features


def compute_calendar(times_N: Times, case: Case) -> NDArray[np.float64]:
    """The numbers of all calendar features of a case for readings at these UTC times, [N, C], in the case's order.

    Times of a case with a calendar are steps of it.
    """
    times_N = times_N.astype("datetime64[ns]")
    parts = [feature.measure(_look_ahead(times_N, feature.ahead, case)) for feature in case.calendar_features]
    return np.concatenate([np.empty((len(times_N), 0)), *parts], axis=1)


def compute_dates(times_N: Times, name: str, case: Case) -> NDArray[np.float64]:
    """The numbers of the features of a column of dates, [N, C], the year first; NaN for a missing date."""
    times_N = times_N.astype("datetime64[ns]")
    is_known_N = ~np.isnat(times_N)
    local_N = to_local(times_N[is_known_N], case.zone)
    measured = np.concatenate([feature.measure(local_N) for feature in list_date_features(name)], axis=1)
    numbers = np.full((len(times_N), measured.shape[1]), np.nan)
    numbers[is_known_N] = measured
    return numbers


def append_calendar(x_NF: NDArray[np.float64], times_N: Times, case: Case) -> NDArray[np.float64]:
    """The readings with the calendar features of their times behind them."""
    return np.concatenate([x_NF, compute_calendar(times_N, case)], axis=1)


def _look_ahead(times_N: Times, ahead: int, case: Case) -> Times:
    """The local times of the steps `ahead` of these times."""
    if ahead and case.calendar is not None:
        calendar = case.calendar.anchored(times_N)
        times_N = calendar.at(calendar.number(times_N) + ahead)
    return to_local(times_N, case.zone)
