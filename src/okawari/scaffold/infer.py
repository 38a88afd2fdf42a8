"""Guess a case from a table: task, columns, sizes of the parts and candidates, each with its reason.

Pure: takes a table and returns a `Guess`. A table that cannot be a case raises `InvalidInput` with the remedy.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pandas as pd

from okawari.data.file_format import PLAIN
from okawari.data.files import Table
from okawari.scaffold.column_profiles import profile_table
from okawari.scaffold.column_roles import (
    ProfiledTable,
    check_series_target,
    check_target,
    check_time,
    find_column,
    find_time,
)
from okawari.scaffold.forecast_case import guess_forecast
from okawari.scaffold.guess import Guess, Wish, require_rows
from okawari.scaffold.reach import count_fewest_readings
from okawari.scaffold.record_case import guess_records
from okawari.scaffold.sizing import FEWEST_RECORDS
from okawari.scaffold.value_kinds import Hints


def guess_case(table: pd.DataFrame, source: Table, wish: Wish, now: datetime) -> Guess:
    """Guess the case of a table.

    Args:
        table: the table that `source` returns without a time column and without renaming.
        source: the source of the table.
        wish: what to predict.
        now: aware time; readings with a later time are damaged.

    Raises:
        InvalidInput: there are too few rows, a named column does not exist, the target or the time is unfit, or no
            column is left as input.
    """
    hints = _collect_hints(source, wish)
    profiles = profile_table(table, hints)
    require_rows(len(table), min(FEWEST_RECORDS, count_fewest_readings()))
    target = find_column(profiles, wish.target, "--target")
    check_target(target)
    profiled = ProfiledTable(table=table, profiles=profiles, target=target, hints=hints)
    if wish.time is not None:
        named = find_column(profiles, wish.time, "--time")
        check_series_target(target, named)
        check_time(profiled, named)
        return _add_source(guess_forecast(profiled, source, wish, named, now), wish)
    time, reasons = find_time(profiled)
    if time is not None:
        return _add_source(guess_forecast(profiled, source, wish, time, now), wish)
    return _add_source(guess_records(profiled, source, wish, reasons, now), wish)


def _add_source(guess: Guess, wish: Wish) -> Guess:
    """The guess with the description of the file, if there is one."""
    if not wish.about_file:
        return guess
    return replace(guess, assumed={**guess.assumed, "source": wish.about_file})


def _collect_hints(source: Table, wish: Wish) -> Hints:
    """What is known of how the table is written."""
    return Hints(
        format=getattr(source, "format", PLAIN),
        time=wish.time or "",
        target=wish.target,
        time_format=wish.time_format,
        zone=wish.zone or "UTC",
    )


__all__ = ["Guess", "Wish", "guess_case"]
