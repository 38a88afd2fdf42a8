"""The roles of a table's columns: target, time or input.

A column that the user named raises an error with the remedy if it does not fit. Other columns are left out with a
reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from okawari.data.time_format import parse_times
from okawari.data.time_recognition import RecognisedTimes
from okawari.errors import InvalidInput, require
from okawari.scaffold.column_profiles import EMPTY_SHARE, MAX_WORDS, Profile
from okawari.scaffold.value_kinds import DAMAGED_SHARE, Hints
from okawari.schema.columns import MAX_DATE_CHARS

MAX_CLASSES = 10
"""Most different whole numbers that count as labels."""


@dataclass(frozen=True, kw_only=True)
class ProfiledTable:
    """A table, the profiles of its columns, and the profile of its target."""

    table: pd.DataFrame
    profiles: tuple[Profile, ...]
    target: Profile
    hints: Hints = field(default_factory=Hints)

    def parse_times(self, column: Profile) -> pd.Series:
        """The times of a column, UTC without zone; all are missing unless it holds times."""
        values = self.table[column.source_name]
        if column.kind != "times":
            return pd.Series(pd.NaT, index=values.index, dtype="datetime64[ns]")
        return parse_times(values, column.time_format, self.hints.zone)

    def others(self, *without: Profile | None) -> list[Profile]:
        """All columns except the target and the given ones."""
        return [each for each in self.profiles if each not in (self.target, *without)]


def find_column(profiles: Sequence[Profile], name: str, option: str) -> Profile:
    """The column with that name in the table or in the case; `option` is the option with the name."""
    found = [each for each in profiles if name == each.source_name] or [each for each in profiles if name == each.name]
    names = [each.source_name for each in profiles]
    require(bool(found), f"There is no column {name!r}; there are {names}. Name one of these with {option}.")
    return found[0]


# --- target -------------------------------------------------------------------------------------------------------


def check_target(target: Profile) -> None:
    """Raise `InvalidInput` if a column cannot be a target."""
    name = repr(target.source_name)
    if target.kind == "mixed":
        raise InvalidInput(
            f"Column {name} mixes numbers and other values, such as {target.example!r}; a target "
            "has only numbers or only labels. Repair it or split it into two columns."
        )
    if target.kind in ("times", "other", "nothing"):
        held = {"times": "times", "other": "neither numbers nor words", "nothing": "no values"}[target.kind]
        raise InvalidInput(f"Column {name} holds {held}; a target is numbers or labels. Name another with --target.")
    if target.is_constant:
        raise InvalidInput(
            f"Column {name} is {target.words[0]!r} in every row, so there is nothing to learn. Name another with "
            "--target or collect rows that differ."
        )
    if target.kind == "words" and target.n_different > MAX_WORDS:
        each = "all different" if target.n_different == target.n_rows - target.n_damaged else "names or free text"
        raise InvalidInput(
            f"Column {name} has {target.n_different} different words in {target.n_rows} rows, {each}, such as "
            f"{target.words[0]!r}; a label is one of at most {MAX_WORDS}, and a number is written like 1234.5. Name "
            "another with --target, join the rare ones or repair the numbers."
        )


def check_series_target(target: Profile, time: Profile) -> None:
    """Raise `InvalidInput` if a column cannot be the target of a forecast."""
    without = f"Leave out --time to predict each row from its other columns, without {time.source_name!r}"
    require(target is not time, f"Column {target.source_name!r} is --time and --target; name two columns.")
    require(
        target.kind == "numbers", f"Column {target.source_name!r} holds words; a forecast needs numbers. {without}."
    )


def is_label(target: Profile) -> bool:
    """Whether a target is a label: words, or a few whole numbers."""
    if target.kind == "words":
        return True
    # A number in two spellings, such as 1 and 1.0, is not two labels.
    return target.is_whole and target.n_different <= MAX_CLASSES and target.n_different == len(target.words)


def is_flag(target: Profile) -> bool:
    """Whether a target has two numbers as labels: 0 and 1, or -1 and 1."""
    return target.kind == "numbers" and is_label(target) and target.n_different == 2 and target.n_not_positive > 0


# --- time ---------------------------------------------------------------------------------------------------------


def check_time(profiled: ProfiledTable, time: Profile) -> None:
    """Raise `InvalidInput` if a column cannot order the readings of a forecast."""
    name, at = repr(time.source_name), profiled.parse_times(time)
    if at.isna().mean() > DAMAGED_SHARE:
        wrong = profiled.table[time.source_name][at.isna()].iloc[0]
        raise InvalidInput(
            f"Column {name} cannot be read as times in {int(at.isna().sum())} of {len(at)} rows, such as {wrong!r}; "
            'give their format, such as --time-format "%d/%m/%Y", or write them like 2024-12-31 (ISO 8601).'
        )
    RecognisedTimes(None, time.two_ways, example=time.example).refuse_two_ways(time.source_name)
    n_repeated = int(at.dropna().duplicated().sum())
    if n_repeated > DAMAGED_SHARE * len(at):
        raise InvalidInput(
            f"Column {name} repeats a time in {n_repeated} of {len(at)} rows; a series has one reading for each time. "
            "Sum or filter the rows first, or leave out --time to predict each row by itself."
        )


def find_time(profiled: ProfiledTable) -> tuple[Profile | None, Mapping[str, str]]:
    """The column that orders the readings of a forecast; else None, and the reason for each column of times."""
    found = [each for each in profiled.others() if each.kind == "times" and not each.is_constant]
    if len(found) > 1:
        return None, {
            each.source_name: "one of several columns of times; name one with --time to forecast" for each in found
        }
    for time in found:
        if profiled.target.kind == "numbers" and not is_flag(profiled.target):
            RecognisedTimes(None, time.two_ways, example=time.example).refuse_two_ways(time.source_name)
        try:
            check_time(profiled, time)
            if profiled.target.kind != "numbers":
                return None, {time.source_name: "times, but labels are predicted row by row"}
            if is_flag(profiled.target):
                values = " or ".join(profiled.target.words)
                return None, {
                    time.source_name: f"times, but the target is {values}; name this column with --time to forecast"
                }
        except InvalidInput as unfit:
            return None, {time.source_name: f"times, but no forecast: {_shorten(unfit)}"}
        return time, {}
    return None, {}


def _shorten(unfit: InvalidInput) -> str:
    """The reason without the remedies, which are for a column that the user named."""
    return str(unfit).partition(";")[0]


# --- inputs -------------------------------------------------------------------------------------------------------


def _explain_useless(column: Profile) -> str:
    """Why no task can use a column; empty if one can."""
    if column.kind in ("mixed", "times", "other", "nothing"):
        reasons = {
            "mixed": "mixes numbers and words",
            "times": "times",
            "nothing": "empty",
            "other": "no numbers or words",
        }
        return reasons[column.kind]
    if column.is_constant:
        return f"always {column.words[0]!r}" if column.words else "the same in all rows"
    if column.is_row_number:
        return "counts the rows"
    if column.n_missing > EMPTY_SHARE * column.n_rows:
        return f"empty in {column.n_missing} of {column.n_rows} rows"
    if column.n_unreadable > DAMAGED_SHARE * column.n_rows:
        return f"no numbers in {column.n_unreadable} of {column.n_rows} rows, such as {column.example!r}"
    return ""


def explain_unfit_for_series(column: Profile) -> str:
    """Why a forecast cannot use a column; empty if it can."""
    if reason := _explain_useless(column):
        return reason
    if column.kind == "words":
        return "words; a forecast reads only numbers"
    return ""


def explain_unfit_for_record(column: Profile, time_format: str = "") -> str:
    """Why a record cannot use a column; empty if it can. Dates have to be written as `time_format`."""
    if column.kind == "times" and not column.is_constant and column.n_missing <= EMPTY_SHARE * column.n_rows:
        return _explain_unfit_dates(column, time_format)
    if reason := _explain_useless(column):
        return reason
    if column.is_identifier and column.n_different > MAX_WORDS:
        is_unique = column.n_different == column.n_rows - column.n_damaged
        what = "texts" if column.kind == "words" else "numbers"
        key = f"; --key {_quote(column.source_name)} makes it the key of the rows" * is_unique
        return f"{column.n_different} different {what}, an identifier{key}"
    if column.kind == "words" and column.n_different > MAX_WORDS:
        return f"{column.n_different} different {'codes' if column.is_codes else 'texts, names or free text'}"
    return ""


def _explain_unfit_dates(column: Profile, time_format: str) -> str:
    if column.two_ways:
        return (
            f"times such as {column.example!r}, which read as {' or '.join(column.two_ways)}; --time-format states it"
        )
    if column.time_format != time_format:
        return f"times written as {column.time_format}, while others of the table are {time_format}"
    return "times with a long name; shorten it" if len(column.name) > MAX_DATE_CHARS else ""


def _quote(name: str) -> str:
    return f'"{name}"' if " " in name else name
