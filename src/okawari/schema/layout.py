"""Layouts of a table of readings: a series in order of time, or independent records.

A layout defines the key of a reading, the order of readings, which of the arriving readings are new, which columns a
snapshot's digest covers, and how windows are assigned to the parts of a split.

    SeriesLayout    key (series columns..., time); a reading replaces the stored one with the same key
    RecordLayout    no key; the time column is the time of arrival, which is not an input

Frames have the case's time column (datetime64[ns], no zone), number columns and columns of words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import require
from okawari.schema.added_columns import fill_added, number_equals
from okawari.schema.calendar import Calendar
from okawari.schema.columns import Column
from okawari.schema.features import Feature
from okawari.schema.record_order import deal, spread


class DataLayout(ABC):
    """The layout of a case's readings in a table."""

    in_order: bool
    """Whether the order of readings in time matters."""
    newest: str
    """What the newest time of a table is, as the beginning of a sentence."""
    span_prefix: str
    """What stands before the first and the last time of a table."""
    holdout_choice: str
    """How the holdout is chosen, as an insertion; empty where it is the newest part."""

    @abstractmethod
    def time_columns(self, time: str) -> tuple[str, ...]:
        """The time column, if readings have their own time; else empty."""

    @abstractmethod
    def key_columns(self, time: str) -> tuple[str, ...]:
        """The columns that identify a reading; empty where all its values identify it."""

    @abstractmethod
    def list_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> tuple[str, ...]:
        """Names of the features that the drift check compares."""

    @abstractmethod
    def count_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> int:
        """Number K of features in one step of a model's input."""

    @abstractmethod
    def count_steps(self, history: int) -> int:
        """Number S of feature steps in an input of `history` readings."""

    @abstractmethod
    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The new readings, and those with revised numbers.

        Args:
            good: checked readings that have arrived.
            known: the stored readings; None where nothing is stored.
            time: the time column.
            names: all other columns.
            now: time of arrival, UTC without zone.
        """

    @abstractmethod
    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """Whether the arrived readings end before the newest stored one, as in an older edition of a source."""

    @abstractmethod
    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that a snapshot's digest covers."""

    @abstractmethod
    def order_split(self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64]) -> slice | NDArray[np.int64]:
        """The order in which windows are assigned to train, validation, calibration and holdout.

        Args:
            values_BN: inputs and true values of each window.
            strata_B: the label of each window, or 0.
        """

    @abstractmethod
    def deal_folds(
        self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64], n_folds: int
    ) -> NDArray[np.int64] | None:
        """The fold of each window, [B]; None where the newest windows are judged, by models of the past before them."""

    @abstractmethod
    def allow_missing(self, columns: Sequence[Column], stored: pd.DataFrame) -> tuple[Column, ...]:
        """The columns of questions, of which those that lack values in the stored readings allow missing ones."""

    @abstractmethod
    def check_calendar(self, name: str, calendar: Calendar | None, holidays: str) -> None:
        """Check that readings of the case `name` may have this calendar and these holidays.

        Raises:
            InvalidInput: they may not; the message names the setting.
        """

    def storage_key(self, time: str) -> tuple[str, ...]:
        """The key columns of stored readings; without key columns, the time of arrival."""
        return self.key_columns(time) or (time,)

    def sort(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The frame sorted by its key; unchanged, if there is no key."""
        key = list(self.key_columns(time))
        return frame.sort_values(key) if key else frame

    def stamp_records(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The frame with a time column; records that are not stored yet get made-up times, one second apart."""
        missing = [] if time in self.time_columns(time) else [time]
        return frame.assign(**{name: pd.date_range("2000", periods=len(frame), freq="s") for name in missing})


@dataclass(frozen=True)
class SeriesLayout(DataLayout):
    """Readings of one series, or of several that `series_columns` identify, in order of time."""

    series_columns: tuple[str, ...] = ()
    in_order = True
    newest = "Newest"
    span_prefix = ""
    holdout_choice = ""

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
        """The features of the series, and an indicator for each column that allows missing values."""
        return len(features) + sum(column.allows_missing for column in columns)

    def count_steps(self, history: int) -> int:
        """One fewer than the readings, because a feature may use the reading before."""
        return history - 1

    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Readings with new keys, and readings with known keys and other numbers."""
        if known is None:
            return good, good.iloc[:0]
        both = good.merge(known, on=list(self.key_columns(time)), how="left", suffixes=("", " known"), indicator=True)
        is_new = (both["_merge"] == "left_only").to_numpy()
        before, after = both[[f"{name} known" for name in names]], both[list(names)]
        is_same = (after.to_numpy() == before.to_numpy()) | (after.isna().to_numpy() & before.isna().to_numpy())
        differs = ~is_same.all(axis=1) & ~is_new
        return good[is_new], good[differs]

    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """Compares the newest times."""
        if known is None or good.empty:
            return False
        return bool(good[time].max() < known[time].max())

    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """All columns, the time included."""
        return (time, *names)

    def order_split(self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64]) -> slice | NDArray[np.int64]:
        """The order of time."""
        return slice(None)

    def deal_folds(
        self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64], n_folds: int
    ) -> NDArray[np.int64] | None:
        """None: a series is judged by a rolling origin."""
        return None

    def allow_missing(self, columns: Sequence[Column], stored: pd.DataFrame) -> tuple[Column, ...]:
        """The columns unchanged: the calendar of a series says where readings may lack values."""
        return tuple(columns)

    def check_calendar(self, name: str, calendar: Calendar | None, holidays: str) -> None:
        """Holidays need a calendar."""
        require(
            calendar is not None or not holidays,
            f"Case {name} has the holidays {holidays!r} and no frequency, so they have no effect. Add frequency='B', "
            "or leave holidays out.",
        )


@dataclass(frozen=True)
class RecordLayout(DataLayout):
    """Independent records; a record is identified by its values and is never revised."""

    in_order = False
    newest = "Newest arrived"
    span_prefix = "arrived "
    holdout_choice = ", chosen by their digest,"

    def time_columns(self, time: str) -> tuple[str, ...]:
        """Empty: a record only has a time of arrival."""
        return ()

    def key_columns(self, time: str) -> tuple[str, ...]:
        """Empty: records have no key."""
        return ()

    def list_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> tuple[str, ...]:
        """The columns themselves."""
        return tuple(column.name for column in columns)

    def count_features(self, features: Sequence[Feature], columns: Sequence[Column]) -> int:
        """One for each number, for each label of a labelled column and for each column that allows missing values."""
        return sum(column.width + column.allows_missing for column in columns)

    def count_steps(self, history: int) -> int:
        """1: the record itself."""
        return 1

    def find_changes(
        self, good: pd.DataFrame, known: pd.DataFrame | None, time: str, names: Sequence[str], now: pd.Timestamp
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Records that are not stored yet, with their time of arrival, a microsecond apart.

        The n-th of equal records is new if fewer than n equal ones are stored. A column that came later
        than a stored record is filled in: a record that equals the stored one otherwise revises it.
        """
        values, held = list(names), good.iloc[:0] if known is None else known
        ours, theirs = number_equals(good[values]), number_equals(held[values])
        found = ours.merge(theirs, how="left", on=[*values, "_nth"], indicator=True)
        new = good[(found["_merge"] == "left_only").to_numpy()]
        filled = fill_added(new, held, time, values)
        new = new.drop(index=filled.index)
        start = now if known is None else max(now, known[time].max() + pd.Timedelta(microseconds=1))
        arrived = (start + pd.to_timedelta(np.arange(len(new)), unit="us")).astype("datetime64[ns]")
        return new.assign(**{time: arrived}), filled

    def ends_early(self, good: pd.DataFrame, known: pd.DataFrame | None, time: str) -> bool:
        """False: records have no order."""
        return False

    def list_digested(self, time: str, names: Sequence[str]) -> tuple[str, ...]:
        """All columns but the time of arrival, which is not a property of the record."""
        return tuple(names)

    def order_split(self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64]) -> slice | NDArray[np.int64]:
        """Stratified by label, and equal records far apart, so that every part has its share of each (`spread`)."""
        return spread(values_BN, strata_B)

    def deal_folds(
        self, values_BN: NDArray[np.float32], strata_B: NDArray[np.int64], n_folds: int
    ) -> NDArray[np.int64] | None:
        """Records are dealt in turn: label by label, equal ones one after the other (`deal`)."""
        return deal(values_BN, strata_B, n_folds)

    def allow_missing(self, columns: Sequence[Column], stored: pd.DataFrame) -> tuple[Column, ...]:
        """Old records lack the values of a column that was added later, so it allows missing ones."""
        lacking = {column.name for column in columns if stored[column.name].isna().any()}
        return tuple(replace(column, missing="allow") if column.name in lacking else column for column in columns)

    def check_calendar(self, name: str, calendar: Calendar | None, holidays: str) -> None:
        """Records have neither."""
        require(
            calendar is None and not holidays,
            f"Case {name} consists of records and has a frequency or holidays; only a series has steps. Leave "
            "frequency and holidays out.",
        )
