"""How readings lie in a table: as a series in the order of time, or as records that stand for themselves.

A layout answers what key a reading has, in which order readings stand, which of those that arrive are new, what a
snapshot's digest covers, and how windows are dealt out to the parts of a split.

    SeriesLayout    key (series columns..., time); a reading replaces the one of its key
    RecordLayout    no key; the time column says when a record arrived and is no input

Frames have the case's time column (datetime64[ns], no zone) and number columns.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.schema.columns import Column
from okawari.schema.features import Feature


class DataLayout(ABC):
    """Answers for how a case's readings lie in a table."""

    in_order: bool
    """Whether readings follow each other in time."""

    @abstractmethod
    def time_columns(self, time: str) -> tuple[str, ...]:
        """The time column, where readings bring a time of their own; else nothing."""

    @abstractmethod
    def key_columns(self, time: str) -> tuple[str, ...]:
        """The columns that name a reading; none where it is known by its values alone."""

    @abstractmethod
    def list_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> tuple[str, ...]:
        """Names of what drift compares."""

    @abstractmethod
    def count_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> int:
        """Features K of one step that a model reads."""

    @abstractmethod
    def count_steps(self, history: int) -> int:
        """Feature steps S in a question of `history` readings."""

    @abstractmethod
    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The readings that are new, and those whose numbers have been revised.

        Args:
            good: checked readings that have arrived.
            known: the stored ones; None where nothing is stored.
            time: the time column.
            names: all other columns.
            now: time of arrival, UTC without zone.
        """

    @abstractmethod
    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """Whether what arrived ends before the newest stored reading, as an older edition of a source does."""

    @abstractmethod
    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that a snapshot's digest covers."""

    @abstractmethod
    def order_split(self, values_BN: NDArray[np.float32]) -> slice | NDArray[np.int64]:
        """The order in which windows are dealt out to train, validation, calibration and holdout."""

    def storage_key(self, time: str) -> tuple[str, ...]:
        """The columns by which stored readings are replaced: their key or, without one, the time of arrival."""
        return self.key_columns(time) or (time,)

    def sort(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The frame in the order of its key; as it came, where there is none."""
        key = list(self.key_columns(time))
        return frame.sort_values(key) if key else frame

    def stamp_records(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The frame with a time column, invented where readings have no time of their own before they are stored."""
        missing = [] if time in self.time_columns(time) else [time]
        return frame.assign(**{name: pd.date_range("2000", periods=len(frame), freq="s") for name in missing})


@dataclass(frozen=True)
class SeriesLayout(DataLayout):
    """Readings of one series, or of several that `series_columns` identify, in the order of time."""

    series_columns: tuple[str, ...] = ()
    in_order = True

    def time_columns(self, time: str) -> tuple[str, ...]:
        """The time column."""
        return (time,)

    def key_columns(self, time: str) -> tuple[str, ...]:
        """Series columns, then the time."""
        return (*self.series_columns, time)

    def list_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> tuple[str, ...]:
        """The features of the series."""
        return tuple(feature.name for feature in features)

    def count_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> int:
        """The features of the series."""
        return len(features)

    def count_steps(self, history: int) -> int:
        """One fewer than readings, because a feature may look one reading back."""
        return history - 1

    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Readings of new keys, and those of known keys with other numbers."""
        if known is None:
            return good, good.iloc[:0]
        both = good.merge(known, on=list(self.key_columns(time)), how="left", suffixes=("", " known"), indicator=True)
        is_new = (both["_merge"] == "left_only").to_numpy()
        before = both[[f"{name} known" for name in names]].to_numpy()
        differs = (both[list(names)].to_numpy() != before).any(axis=1) & ~is_new
        return good[is_new], good[differs]

    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """By the newest time of both."""
        if known is None or good.empty:
            return False
        return bool(good[time].max() < known[time].max())

    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """All columns, the time included."""
        return (time, *names)

    def order_split(self, values_BN: NDArray[np.float32]) -> slice | NDArray[np.int64]:
        """The order of time."""
        return slice(None)


@dataclass(frozen=True)
class RecordLayout(DataLayout):
    """Records that stand for themselves; a record is known by its values, and none is ever revised."""

    in_order = False

    def time_columns(self, time: str) -> tuple[str, ...]:
        """None: a record has no time but that of its arrival."""
        return ()

    def key_columns(self, time: str) -> tuple[str, ...]:
        """None."""
        return ()

    def list_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> tuple[str, ...]:
        """The columns as they are."""
        return tuple(column.name for column in columns)

    def count_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> int:
        """One for each number, and one for each word that a label may be."""
        return sum(column.width for column in columns)

    def count_steps(self, history: int) -> int:
        """The record itself."""
        return 1

    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Records that are not stored yet, with their time of arrival, a microsecond apart.

        The n-th of equal records is new if fewer than n equal ones are stored.
        """
        values, held = list(names), good.iloc[:0] if known is None else known
        ours, theirs = (frame[values].assign(_nth=frame.groupby(values).cumcount()) for frame in (good, held))
        found = ours.merge(theirs, how="left", on=[*values, "_nth"], indicator=True)
        new = good[(found["_merge"] == "left_only").to_numpy()]
        start = now if known is None else max(now, known[time].max() + pd.Timedelta(microseconds=1))
        arrived = (start + pd.to_timedelta(np.arange(len(new)), unit="us")).astype("datetime64[ns]")
        return new.assign(**{time: arrived}), new.iloc[:0]

    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """Never: records have no order."""
        return False

    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """The values; the time of arrival is no property of a record."""
        return tuple(names)

    def order_split(self, values_BN: NDArray[np.float32]) -> slice | NDArray[np.int64]:
        """By a digest of the values, largest first.

        Equal records stand side by side, and a record that has once been learned from never judges: with more records
        its rank only grows.
        """
        digests = [hashlib.sha256(row.tobytes()).digest() for row in values_BN]
        places = sorted(range(len(digests)), key=lambda place: (digests[place], place), reverse=True)
        return np.array(places, dtype=np.int64)
