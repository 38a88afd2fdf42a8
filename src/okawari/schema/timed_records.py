"""Records with a time of their own, such as `created_at`: the newest are the holdout.

They are independent and never revised, as all records; their time orders the split and the drift verdict, and it is no
input. Stored times are unique: records of one time are stored a microsecond apart, in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.schema.layout import RecordLayout

_SECOND_US = 1_000_000


@dataclass(frozen=True)
class TimedRecordLayout(RecordLayout):
    """Independent records in order of their own time. Two records are equal if their values and their seconds are."""

    holdout_choice = ""

    def time_columns(self, time: str) -> tuple[str, ...]:
        """The time column."""
        return (time,)

    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Records that are not stored yet: the n-th of equal ones, if fewer than n equal ones are stored."""
        held = good.iloc[:0] if known is None else known
        ours, theirs = (_number_equals(frame, time, names) for frame in (good, held))
        found = ours.merge(theirs, how="left", on=list(ours.columns), indicator=True)
        new = good[(found["_merge"] == "left_only").to_numpy()]
        return _separate(new, held[time], time), new.iloc[:0]

    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """All columns, the time included."""
        return (time, *names)

    def order_split(self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64]) -> slice | NDArray[np.int64]:
        """The order of time."""
        return slice(None)

    def deal_folds(
        self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64], n_folds: int
    ) -> NDArray[np.int64] | None:
        """None: the newest records are judged, by models of those before them."""
        return None

    def stamp_records(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The frame in order of time, with records of one time a microsecond apart."""
        return _separate(frame, frame[time].iloc[:0], time).sort_values(time).reset_index(drop=True)


def _number_equals(frame: pd.DataFrame, time: str, names: Sequence[str]) -> pd.DataFrame:
    """What identifies each record: its second, its values, and its place among equal ones."""
    keys = frame[list(names)].assign(_second=frame[time].dt.floor("s"))
    return keys.assign(_nth=keys.groupby(list(keys.columns), dropna=False).cumcount())


def _separate(new: pd.DataFrame, taken: pd.Series, time: str) -> pd.DataFrame:
    """The records with unique times: those of a second that has equal times follow each other by a microsecond.

    Raises:
        InvalidInput: there are more records of one second than microseconds.
    """
    times = new[time].dt.floor("us")
    seconds, offset_us = times.dt.floor("s"), (times.dt.microsecond).astype("int64")
    is_shared = (times.duplicated(keep=False) | times.isin(taken)).groupby(seconds).transform("any")
    held = (taken.dt.microsecond + 1).groupby(taken.dt.floor("s")).max()
    first_us = seconds.map(held).fillna(offset_us.groupby(seconds).transform("min")).astype("int64")
    moved_us = (first_us + times.groupby(seconds).cumcount()).where(is_shared, offset_us)
    if (moved_us >= _SECOND_US).any():
        raise InvalidInput(
            f"More than {_SECOND_US:,} records have the {time} {seconds[moved_us.idxmax()]}; give records times that "
            "differ, or leave their time out with time=ARRIVED."
        )
    apart = seconds + pd.to_timedelta(moved_us, unit="us")
    return new.assign(**{time: apart.astype("datetime64[ns]")})
