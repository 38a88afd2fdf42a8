"""Columns that a case got after its first readings: which stored rows lack them, and which arriving rows fill them in.

A row is *older* than a column if it arrived before the first delivery that had a value in it. Stored rows are ascending
in time; records of one delivery are a microsecond apart.

Shapes: n stored rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_APART = np.timedelta64(1, "us")


def find_older(held: pd.DataFrame, time: str, name: str) -> NDArray[np.bool_]:
    """Which stored rows are older than a column [n]; all of them, if none has a value in it.

    Example:
        >>> held = pd.DataFrame({"at": pd.to_datetime(["2024-01-01", "2024-01-02"]), "plan": [None, "pro"]})
        >>> find_older(held, "at", "plan").tolist()
        [True, False]
    """
    has_value_n = held[name].notna().to_numpy()
    if not has_value_n.any():
        return np.ones(len(held), dtype=np.bool_)
    starts_n = np.append(True, np.diff(held[time].to_numpy(dtype="datetime64[ns]")) > _APART)
    first = np.flatnonzero(starts_n[: has_value_n.argmax() + 1])[-1]
    older_n: NDArray[np.bool_] = np.arange(len(held)) < first
    return older_n


def fill_added(new: pd.DataFrame, held: pd.DataFrame, time: str, names: Sequence[str]) -> pd.DataFrame:
    """The records that equal a stored one in all columns but those that it is older than, with its time of arrival."""
    found = [new.iloc[:0].assign(**{time: pd.Series(dtype="datetime64[ns]")})]
    for absent, rows in _group_by_lack(new, held, time, names):
        known = [name for name in names if name not in absent]
        if known:
            found.append(_match(new, held.iloc[rows], time, known))
            new = new.drop(index=found[-1].index)
    return pd.concat(found) if len(found) > 1 else found[0]


def _group_by_lack(
    new: pd.DataFrame, held: pd.DataFrame, time: str, names: Sequence[str]
) -> Iterator[tuple[set[str], NDArray[np.int64]]]:
    """The places of the stored rows that are older than the same columns, and these columns."""
    given = [name for name in names if len(held) and new[name].notna().any()]
    if not given:
        return
    older_nC = np.column_stack([find_older(held, time, name) for name in given])
    patterns, group_n = np.unique(older_nC, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            absent = {name for name, is_absent in zip(given, pattern, strict=True) if is_absent}
            yield absent, np.flatnonzero(group_n.ravel() == number)


def _match(new: pd.DataFrame, held: pd.DataFrame, time: str, known: Sequence[str]) -> pd.DataFrame:
    stored = number_equals(held[list(known)]).assign(**{time: held[time].to_numpy()})
    at = number_equals(new[list(known)]).merge(stored, how="left", on=[*known, "_nth"])[time].to_numpy()
    return new.assign(**{time: at}).dropna(subset=[time])


def number_equals(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a column `_nth`: the number of equal rows before each row."""
    return frame.assign(_nth=frame.groupby(list(frame.columns), dropna=False).cumcount())


def count_filled(revised: pd.DataFrame, held: pd.DataFrame, time: str, names: Sequence[str]) -> int:
    """The revised rows that agree with the stored ones but for columns that these are older than."""
    columns = list(names)
    before = held.set_index(time)[columns].reindex(revised[time])
    older = pd.DataFrame({name: find_older(held, time, name) for name in columns}).set_axis(pd.Index(held[time]))
    is_older = older.reindex(revised[time]).fillna(value=False).to_numpy(dtype=np.bool_)
    was, comes = before.to_numpy(dtype=object), revised[columns].to_numpy(dtype=object)
    is_same = (was == comes) | (pd.isna(was) & pd.isna(comes))
    return int((is_same | is_older).all(axis=1).sum())
