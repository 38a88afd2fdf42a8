"""Which of a table's columns may be what: target, time, input. And if not, why not and what to do.

What somebody named and cannot be is an error; what nobody named is left out with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from okawari.data.validation import parse_times
from okawari.errors import InvalidInput, require
from okawari.scaffold.column_profiles import DAMAGED_SHARE, MAX_WORDS, Profile

MAX_CLASSES = 10
"""Most different whole numbers that are taken for labels."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The table, what its columns look like, and which of them is the target."""

    table: pd.DataFrame
    profiles: tuple[Profile, ...]
    target: Profile

    def others(self, *without: Profile | None) -> list[Profile]:
        """All columns but the target and these."""
        return [each for each in self.profiles if each not in (self.target, *without)]


def find_column(profiles: Sequence[Profile], told: str, option: str) -> Profile:
    """The column of that name, as the table or as the case calls it; `option` is what named it."""
    found = [each for each in profiles if told == each.told] or [each for each in profiles if told == each.name]
    names = [each.told for each in profiles]
    require(bool(found), f"There is no column {told!r}; there are {names}. Name one of these with {option}.")
    return found[0]


# --- target -------------------------------------------------------------------------------------------------------


def check_target(target: Profile) -> None:
    """Refuse a column that is no target of any task."""
    told = repr(target.told)
    if target.kind == "mixed":
        raise InvalidInput(
            f"Column {told} mixes numbers and other values, such as {target.example!r}; a target "
            "is numbers or labels throughout. Repair it or split it into two columns."
        )
    if target.kind in ("times", "other", "nothing"):
        held = {"times": "times", "other": "neither numbers nor words", "nothing": "no values"}[target.kind]
        raise InvalidInput(f"Column {told} holds {held}; a target is numbers or labels. Name another with --target.")
    if target.is_constant:
        raise InvalidInput(
            f"Column {told} is {target.words[0]!r} in every row, so there is nothing to learn. Name another with "
            "--target or collect rows that differ."
        )
    if target.kind == "words" and target.n_different > MAX_WORDS:
        each = "all different" if target.n_different == target.n_rows - target.n_damaged else "names or free text"
        raise InvalidInput(
            f"Column {told} has {target.n_different} different words in {target.n_rows} rows, {each}, such as "
            f"{target.words[0]!r}; a label is one of at most {MAX_WORDS}, and a number is written like 1234.5. Name "
            "another with --target, join the rare ones or repair the numbers."
        )


def check_series_target(target: Profile, time: Profile) -> None:
    """Refuse a target that is none of a forecast."""
    without = f"Leave out --time to predict each row from its other columns, without {time.told!r}"
    require(target is not time, f"Column {target.told!r} is --time and --target; name two columns.")
    require(target.kind == "numbers", f"Column {target.told!r} holds words; a Forecast is of numbers. {without}.")


def is_label(target: Profile) -> bool:
    """Whether a target is a label: words, or a few whole numbers."""
    if target.kind == "words":
        return True
    # One number that is spelled in two ways, as 1 and 1.0, makes no two labels.
    return target.is_whole and target.n_different <= MAX_CLASSES and target.n_different == len(target.words)


def is_flag(target: Profile) -> bool:
    """Whether a target is binary in numbers: 0 and 1, or -1 and 1."""
    return target.kind == "numbers" and is_label(target) and target.n_different == 2 and target.n_not_positive > 0


# --- time ---------------------------------------------------------------------------------------------------------


def check_time(seen: Seen, time: Profile) -> None:
    """Refuse a named time column that cannot order the readings."""
    told, at = repr(time.told), _parse_times(seen, time)
    if at.isna().mean() > DAMAGED_SHARE:
        wrong = seen.table[time.told][at.isna()].iloc[0]
        raise InvalidInput(
            f"Column {told} cannot be read as times in {int(at.isna().sum())} of {len(at)} rows, such as {wrong!r}; "
            "write them like 2024-12-31 or 2024-12-31T18:30 (ISO 8601)."
        )
    require(
        not time.example_of_doubt,
        f"Column {told} has times such as {time.example_of_doubt!r}, whose day may stand first or second, so days "
        "would be taken for months. Write them like 2024-12-31 (ISO 8601).",
    )
    n_repeated = int(at.dropna().duplicated().sum())
    if n_repeated > DAMAGED_SHARE * len(at):
        raise InvalidInput(
            f"Column {told} repeats a time in {n_repeated} of {len(at)} rows; a series has one reading for each time. "
            "Sum or filter the rows first, or leave out --time to take each row by itself."
        )


def _parse_times(seen: Seen, time: Profile) -> pd.Series:
    at = parse_times(seen.table[time.told])
    # A count such as 1, 2, 3 is read as days of this month; of numbers only years and 20241231 are times.
    is_count = time.kind == "numbers" and not (1000 <= time.low <= time.high <= 9999 or time.low >= 10**7)
    return at.mask(pd.Series(is_count, index=at.index))


def look_for_time(seen: Seen) -> tuple[Profile | None, Mapping[str, str]]:
    """The one column that orders the readings of a forecast; else why those that hold times do not."""
    found = [each for each in seen.others() if each.kind == "times" and not each.is_constant]
    if len(found) > 1:
        return None, {each.told: "one of several columns of times; name one with --time to forecast" for each in found}
    for time in found:
        try:
            check_time(seen, time)
            if seen.target.kind != "numbers":
                return None, {time.told: "a time, and what is predicted are labels, one row at a time"}
            if is_flag(seen.target):
                said = " or ".join(seen.target.words)
                return None, {time.told: f"a time, and what is predicted is {said}; name it with --time to forecast"}
        except InvalidInput as unfit:
            return None, {time.told: f"times, but no forecast: {unfit}"}
        return time, {}
    return None, {}


# --- inputs -------------------------------------------------------------------------------------------------------


def _why_useless(column: Profile) -> str:
    """Why no task can use a column; empty where one might."""
    if column.kind in ("mixed", "times", "other", "nothing"):
        said = {
            "mixed": "mixes numbers and words",
            "times": "times",
            "nothing": "empty",
            "other": "no numbers or words",
        }
        return said[column.kind]
    if column.is_constant:
        return f"always {column.words[0]!r}"
    if column.is_row_number:
        return "counts the rows"
    if column.n_damaged > DAMAGED_SHARE * column.n_rows:
        return f"missing in {column.n_damaged} of {column.n_rows} rows, which would all be refused"
    return ""


def why_not_in_series(column: Profile) -> str:
    """Why a forecast has no use for a column; empty where it has."""
    if reason := _why_useless(column):
        return reason
    if column.kind == "words":
        return "words; a forecast reads numbers alone"
    return ""


def why_not_in_record(column: Profile) -> str:
    """Why a record has no use for a column; empty where it has."""
    if reason := _why_useless(column):
        return reason
    if column.kind == "words" and column.n_different > MAX_WORDS:
        is_id = column.n_different == column.n_rows - column.n_damaged
        return f"{column.n_different} different texts, " + ("an identifier" if is_id else "names or free text")
    return ""
