"""What is usual in a case's table: measured on its first snapshot, and updated with each accepted delivery.

Column figures are those of `okawari.contract.moves` (series) or `okawari.contract.levels` (records), and the counts
of `Counts`. All of them are of bounded size, whatever the table's. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import Case, Column
from okawari.contract.contract import Contract
from okawari.contract.levels import MIN_KNOWN, Shift, find_shift, measure_levels, measure_shift
from okawari.contract.moves import LONGEST, MIN_MOVES, Floats, Jump, Values, find_jump, measure_moves
from okawari.schema.columns import find_numbers
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout

MOST_ACCEPTED = 8
"""Accepted levels that are kept for each column; the newest ones."""
_MEMORY = 100_000.0
"""Rows that a usual share remembers; older counts fade, so that a change of the feed is learned."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The rows of a delivery that change something: `rows` of them, and among these the refused ones.

    `missing` and `new_words` have the rows with an empty field or a new word, by column. `revised` are rows that
    replace one of the `stored` rows, and `filled` those that only fill in columns which no stored row has a value of.
    """

    rows: int
    refused: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    new_words: Mapping[str, int] = field(default_factory=dict)
    revised: int = 0
    filled: int = 0
    stored: int = 0

    @property
    def new(self) -> int:
        """The readings that are new."""
        return self.rows - self.refused - self.revised - self.filled


def list_numbers(case: Case) -> tuple[Column, ...]:
    """The number columns of a case."""
    return find_numbers(case.known_columns)


Measure = Callable[[Floats, Mapping[str, float]], dict[str, float]]
"""Measures a column, given what was usual in it before."""


@singledispatch
def choose_measure(layout: DataLayout) -> tuple[Measure, int]:
    """How the columns of a table with this layout are measured, and the fewest values that they are judged by."""
    raise NotImplementedError(f"No measure is defined for {type(layout).__name__}; register it here.")


@choose_measure.register
def _(layout: SeriesLayout) -> tuple[Measure, int]:
    return measure_moves, MIN_MOVES + 1


@choose_measure.register
def _(layout: RecordLayout) -> tuple[Measure, int]:
    return measure_levels, MIN_KNOWN


def learn_table(contract: Contract, case: Case, table: pd.DataFrame) -> Contract:
    """The contract with the usual moves or levels of a table: the case's readings, ascending in time."""
    measure, _ = choose_measure(case.layout)
    for column in list_numbers(case):
        known = contract.find(column.name)
        if known is not None:
            found = measure(to_floats(table[column.name]), known.usual)
            contract = contract.with_column(replace(known, usual={**known.usual, **found}))
    return contract


def learn_counts(contract: Contract, counts: Counts, *, by_person: bool) -> Contract:
    """The contract with the shares of a delivery added. A share that a person accepted is usual from then on."""
    usual = _add_share(contract.usual, "refused", counts.refused, counts.rows, by_person=by_person)
    usual["revised_largest"] = max(usual.get("revised_largest", 0.0), float(counts.revised))
    all_refused = counts.rows == counts.refused
    usual["refused_run"] = usual.get("refused_run", 0.0) + counts.rows if all_refused else 0.0
    contract = replace(contract, usual=usual)
    for column in contract.columns:
        own: Mapping[str, float] = column.usual
        for what, found in (("missing", counts.missing), ("new", counts.new_words)):
            own = _add_share(own, what, found.get(column.name, 0), counts.rows, by_person=by_person)
        contract = contract.with_column(replace(column, usual=own))
    return contract


def _add_share(usual: Mapping[str, float], what: str, count: int, rows: int, *, by_person: bool) -> dict[str, float]:
    """The figures with `count` of `rows` added to the share of `what`."""
    known = usual.get(f"{what}_of", 0.0)
    fade = min(1.0, _MEMORY / known) if known else 1.0
    found = {
        **usual,
        f"{what}_of": known * fade + rows,
        f"{what}_rows": usual.get(f"{what}_rows", 0.0) * fade + count,
    }
    if by_person and rows:
        found[f"{what}_accepted"] = max(usual.get(f"{what}_accepted", 0.0), count / rows)
    return found


def read_share(usual: Mapping[str, float], what: str) -> float:
    """The usual share of `what`, 0 to 1: over all deliveries, or the largest that a person accepted."""
    rows = usual.get(f"{what}_of", 0.0)
    share = usual.get(f"{what}_rows", 0.0) / rows if rows else 0.0
    return max(share, usual.get(f"{what}_accepted", 0.0))


def learn_shifts(contract: Contract, case: Case, delivered: pd.DataFrame) -> Contract:
    """The contract with the largest difference between the level of a delivery of records and the stored one."""
    for column in list_numbers(case):
        known = contract.find(column.name)
        if known is not None and "log_q50" in known.usual:
            shift = abs(measure_shift(to_floats(delivered[column.name]), known.usual))
            largest = max(known.usual.get("shift_largest", 0.0), shift)
            contract = contract.with_column(replace(known, usual={**known.usual, "shift_largest": largest}))
    return contract


def learn_accepted(contract: Contract, found: Iterable[Jump | Shift]) -> Contract:
    """The contract with the levels of these jumps and shifts, which a person has accepted."""
    for each in found:
        column = contract.find(each.column)
        if column is not None:
            level = (each.before, each.after) if isinstance(each, Jump) else (each.after,)
            kept = tuple(dict.fromkeys((*column.accepted, level)))[-MOST_ACCEPTED:]
            contract = contract.with_column(replace(column, accepted=kept))
    return contract


def find_jumps(contract: Contract, case: Case, merged: pd.DataFrame, is_new: NDArray[np.bool_]) -> list[Jump]:
    """The jumps of a series, at most one for each number column.

    Args:
        contract: what is usual.
        case: the schema.
        merged: the stored readings with the delivered ones in them, ascending in time.
        is_new: which rows were delivered.
    """
    if not is_new.any():
        return []
    places = np.flatnonzero(is_new)
    part = slice(max(0, int(places[0]) - LONGEST), int(places[-1]) + LONGEST + 1)
    jumps = [_find_jump(contract, case, column, merged.iloc[part], is_new[part]) for column in list_numbers(case)]
    return [jump for jump in jumps if jump is not None]


def _find_jump(
    contract: Contract, case: Case, column: Column, merged: pd.DataFrame, is_new: NDArray[np.bool_]
) -> Jump | None:
    known = contract.find(column.name)
    if known is None:
        return None
    values = Values(
        name=column.name,
        at=merged[case.time].to_numpy(),
        values=to_floats(merged[column.name]),
        is_new=is_new,
        above_zero=column.above is not None and column.above >= 0,
    )
    return find_jump(values, known.usual, known.accepted)


def find_shifts(contract: Contract, case: Case, delivered: pd.DataFrame) -> list[Shift]:
    """The number columns of delivered records whose level is far outside of the stored ones."""
    found = []
    for column in list_numbers(case):
        known = contract.find(column.name)
        if known is not None:
            accepted = [level[-1] for level in known.accepted]
            found.append(find_shift(column.name, to_floats(delivered[column.name]), known.usual, accepted))
    return [shift for shift in found if shift is not None]


def list_unjudged(contract: Contract, case: Case) -> list[str]:
    """The number columns with fewer stored values than a judgement needs."""
    known = {column.name: contract.find(column.name) for column in list_numbers(case)}
    _, least = choose_measure(case.layout)
    return [name for name, column in known.items() if column is None or column.usual.get("values", 0.0) < least]


def to_floats(values: pd.Series) -> Floats:
    """A number column as float64, NaN for a missing value."""
    return np.asarray(values, dtype=np.float64)
