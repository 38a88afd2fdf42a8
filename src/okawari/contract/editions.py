"""A new edition of a source's history: one declared replacement, not many revisions.

Adjusted prices are the usual case: after a split or a dividend, the whole history is published again, multiplied by a
factor that is constant between such days. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.contract.contract import Contract
from okawari.contract.moves import Floats, measure_moves
from okawari.contract.usual import list_numbers, to_floats

COVERED, REVISED = 0.9, 0.5
"""Shares of the stored readings that an edition contains, and that it revises."""
_JUMPS, _TOLERANCE = 0.03, 0.01
"""Share of readings at which the factor may change, and the change of its logarithm that rounding explains."""


def find_rescaling(case: Case, stored: pd.DataFrame, good: pd.DataFrame) -> Mapping[str, tuple[float, float]] | None:
    """The smallest and largest factor of each rescaled column, if the whole history of a series was rescaled.

    The delivery has to contain nearly all stored readings and to revise at least half of them, and the factor of every
    number column has to be constant but for a few days. Otherwise None.

    Args:
        case: the schema.
        stored: the stored readings.
        good: all delivered readings, also the unchanged ones.
    """
    if not case.key_columns or stored.empty:
        return None
    both = stored.merge(good, on=list(case.key_columns), suffixes=("", " new")).sort_values(case.time)
    names = [column.name for column in list_numbers(case)]
    before, after = both[names], both[[f"{name} new" for name in names]].set_axis(names, axis="columns")
    n_revised = int(((before != after) & ~(before.isna() & after.isna())).any(axis=1).sum())
    if len(both) < COVERED * len(stored) or n_revised < REVISED * len(stored):
        return None
    factors = {name: _find_factor(to_floats(before[name]), to_floats(after[name])) for name in names}
    if any(found is None for found in factors.values()):
        return None
    return {name: found for name, found in factors.items() if found is not None and found != (1.0, 1.0)}


def _find_factor(before: Floats, after: Floats) -> tuple[float, float] | None:
    """The range of the factor of a column; None if it is not constant between a few days."""
    known = np.isfinite(before) & np.isfinite(after) & ((before != 0) | (after != 0))
    before, after = before[known], after[known]
    if (before * after <= 0).any():
        return None
    if not len(before):
        return (1.0, 1.0)
    logs = np.log(after / before)
    changes = np.abs(np.diff(logs)) > _TOLERANCE
    if changes.mean() > _JUMPS if len(changes) else False:
        return None
    return float(np.exp(logs.min())), float(np.exp(logs.max()))


def rebase_contract(contract: Contract, case: Case, history: pd.DataFrame) -> Contract:
    """The contract with the differences that are usual in the replaced history; its ratios do not depend on the unit.

    A jump inside the new edition is found by the old ratios.
    """
    for column in list_numbers(case):
        known = contract.find(column.name)
        if known is not None:
            found = measure_moves(to_floats(history[column.name]))
            kept = {name: value for name, value in found.items() if name.startswith(("level_", "signed_"))}
            contract = contract.with_column(replace(known, usual={**known.usual, **kept}))
    return contract
