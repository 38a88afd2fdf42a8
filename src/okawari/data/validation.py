"""The quality verdict: which rows of a table are valid readings. Only home of pandera.

A row that violates the case's schema is refused with its reasons, so it can neither cause drift nor be trained on; all
other rows pass unchanged. A table without the needed columns is refused as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from numbers import Number
from types import MappingProxyType

import numpy as np
import pandas as pd
import pandera.pandas as pa

from okawari.case import AtLeast, Case, Column
from okawari.data.calendar_check import collect_off_calendar
from okawari.errors import InvalidInput
from okawari.schema.calendar import Calendar
from okawari.schema.columns import find_numbers

_MANY = 5
"""If a row has more missing values than this, the reason counts them instead of listing them."""


@dataclass(frozen=True)
class Checked:
    """A checked table: `good` readings, and `refused` rows unchanged, with a column `reason`.

    Columns are float64 numbers or words (`str`, or None). The readings of a series have a time, ascending and unique;
    records keep their order. `new_words` has, by column, the words that the case does not know, in the order of
    appearance, each with its number of valid rows. `notes` are sentences about how the table was read.
    """

    good: pd.DataFrame
    refused: pd.DataFrame
    new_words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def new_shares(self) -> dict[str, float]:
        """By column, the share of all rows that hold a word which the case does not know, 0 to 1."""
        n_rows = len(self.good) + len(self.refused)
        return {name: sum(words.values()) / n_rows for name, words in self.new_words.items()}

    @property
    def reason(self) -> str:
        """The verdict as one sentence with its numbers."""
        if self.refused.empty:
            return f"all {len(self.good)} rows are valid"
        first = self.refused["reason"].iloc[0]
        return f"{len(self.refused)} of {len(self.good) + len(self.refused)} rows refused; first: {first}"


def check_readings(
    raw: pd.DataFrame,
    case: Case,
    now: datetime,
    *,
    with_target: bool = True,
    broken: Mapping[int, str] = MappingProxyType({}),
    calendar: Calendar | None = None,
) -> Checked:
    """Split a table into valid and refused rows.

    Args:
        raw: any table with the case's columns; further columns are ignored.
        case: the schema.
        now: aware time; a reading with a later time is refused.
        with_target: whether records hold their target too; questions do not.
        broken: the reason for each broken line, by its number; these lines are refused as well.
        calendar: the calendar of the stored readings of a series, if there are any.

    Raises:
        InvalidInput: a needed column is missing.
    """
    names = case.reading_names if with_target else case.question_names
    require_columns(list(raw.columns), case, names)
    raw = raw[list(names)].reset_index(drop=True)
    typed, reasons = judge_rows(raw, case, now)
    collect_off_calendar(reasons, case, typed.drop(index=list(reasons)), calendar)
    # Repeats are searched last and among valid rows only: a damaged row must not displace its repaired copy.
    _collect_repeats(reasons, case, typed.drop(index=list(reasons)))
    parted = _part(raw, case.layout.sort(typed, case.time), reasons)
    checked = replace(parted, new_words=count_new_words(parted.good, case))
    if not broken:
        return checked
    lines = pd.DataFrame({"reason": [f"row {number}: {why}" for number, why in broken.items()]}, dtype=object)
    return replace(checked, refused=pd.concat([checked.refused, lines], ignore_index=True))


def _part(raw: pd.DataFrame, typed: pd.DataFrame, reasons: dict[int, list[str]]) -> Checked:
    refused = raw.loc[sorted(reasons)].assign(reason=["; ".join(reasons[row]) for row in sorted(reasons)])
    good = typed.drop(index=list(reasons)).reset_index(drop=True)
    return Checked(good, refused.reset_index(drop=True))


def count_new_words(frame: pd.DataFrame, case: Case) -> dict[str, dict[str, int]]:
    """By column, the words that are not among its labels, in the order of appearance, each with its number of rows."""
    known = (column for column in case.known_columns if column.name in frame.columns)
    found = {column.name: column.list_new(frame[column.name]) for column in known}
    return {name: words for name, words in found.items() if words}


def require_columns(found: Sequence[object], case: Case, needed: Sequence[str]) -> None:
    """Check that a table has the needed columns.

    Raises:
        InvalidInput: a needed column is missing; the message names it.
    """
    missing = [name for name in needed if name not in found]
    if missing:
        raise InvalidInput(
            f"The table lacks {missing}; case {case.name} needs {list(needed)} and found {list(map(str, found))}. Add "
            "the missing columns."
        )


def judge_rows(raw: pd.DataFrame, case: Case, now: datetime) -> tuple[pd.DataFrame, dict[int, list[str]]]:
    """Split valid rows from invalid ones, each row on its own; order and duplicates are not checked.

    Args:
        raw: columns of the case as found, rows numbered from 0; columns that it lacks are not checked.
        case: the schema.
        now: aware time; a reading with a later time is damaged.

    Returns:
        All rows with time, float64 columns and columns of words (an unreadable value is missing), and the reasons by
        damaged row.
    """
    columns = tuple(column for column in case.known_columns if column.name in raw.columns)
    typed = _convert(raw, case, columns)
    reasons = _find_unreadable(raw, typed, case)
    _find_strange(reasons, typed, columns)
    _collect(reasons, _build_schema(case, columns, now), typed.drop(index=list(reasons)))
    return typed, reasons


def _convert(raw: pd.DataFrame, case: Case, columns: tuple[Column, ...]) -> pd.DataFrame:
    times = {name: parse_times(raw[name]) for name in case.time_columns}
    return pd.DataFrame({**times, **{column.name: column.parse(raw[column.name], parse_numbers) for column in columns}})


def parse_times(values: pd.Series) -> pd.Series:
    """Times in UTC (datetime64[ns], without zone) as the checks read them; other values become missing."""
    at = pd.to_datetime(_blank(values, Number), errors="coerce", utc=True, format="mixed")
    if at.dt.unit != "ns":  # coarser times reach years that nanoseconds do not
        at = at.where(at.between(pd.Timestamp.min.tz_localize("UTC"), pd.Timestamp.max.tz_localize("UTC")))
    return at.dt.tz_localize(None).astype("datetime64[ns]")


def parse_numbers(values: pd.Series) -> pd.Series:
    """Numbers (float64) as the checks read them; truth values, times and other values become missing."""
    return _to_numbers(_blank(values, date, timedelta))


def _to_numbers(values: pd.Series) -> pd.Series:
    """Numbers as float64, exact for texts: pandas' parser may be off by a digit, which would look like a revision."""
    found = pd.to_numeric(values, errors="coerce").astype("float64")
    if values.dtype.kind in "fiu":
        return found
    is_text = values.map(lambda value: isinstance(value, str)).astype(bool) & found.notna()
    return found.mask(is_text, values.where(is_text).astype("float64")) if is_text.any() else found


def _blank(values: pd.Series, *wrong: type) -> pd.Series:
    """The values, with None for truth values and values of the `wrong` types.

    Pandas would convert them to wrong values: a number to nanoseconds after 1970, a time to a number.
    """
    kind = values.dtype.kind
    if (kind in "fiu" and Number not in wrong) or (kind == "M" and date not in wrong):
        return values  # a column of one type needs no search, which would take most of a check's time
    unfit = values.map(lambda value: isinstance(value, (bool, np.bool_, *wrong))).astype(bool)
    return values.astype(object).mask(unfit, None) if unfit.any() else values


def _find_unreadable(raw: pd.DataFrame, typed: pd.DataFrame, case: Case) -> dict[int, list[str]]:
    reasons: dict[int, list[str]] = defaultdict(list)
    missing: dict[int, list[str]] = defaultdict(list)
    for name in typed.columns:
        kind = "a time" if typed[name].dtype.kind == "M" else case.column(name).expected
        is_word = typed[name].dtype.kind == "O"  # only a missing value is no word
        for row in np.flatnonzero(typed[name].isna()):
            came = raw[name].iloc[row]
            if pd.isna(came) or is_word:
                missing[int(row)].append(name)
            else:
                reasons[int(row)].append(f"{name} is {came!r}, not {kind}")
    for damaged, names in missing.items():
        reasons[damaged] += _format_missing(names)
    return reasons


def _find_strange(reasons: dict[int, list[str]], typed: pd.DataFrame, columns: Sequence[Column]) -> None:
    """Add a reason to each row with a word that its column does not take."""
    for column in columns:
        words = typed[column.name]
        for row in column.find_refused(words):
            reasons[int(row)].append(f"{column.name} is {words.iloc[row]!r}, not {column.expected}")


def _format_missing(names: list[str]) -> list[str]:
    if len(names) > _MANY:  # a record of pixels has hundreds
        return [f"{names[0]} and {len(names) - 1} other columns are missing"]
    return [f"{name} is missing" for name in names]


def _build_schema(case: Case, known: tuple[Column, ...], now: datetime) -> pa.DataFrameSchema:
    latest = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    # The reason must not contain the time of the check: quarantine keeps a row once for the same reason.
    past = pa.Check.le(latest, error=f"{case.time} lies in the future")
    columns = {column.name: pa.Column(float, _build_checks(column)) for column in find_numbers(known)}
    times = {name: pa.Column("datetime64[ns]", past) for name in case.time_columns}
    return pa.DataFrameSchema(
        {**times, **columns},
        checks=[_build_rule(rule) for rule in case.rules],
    )


def _build_checks(column: Column) -> list[pa.Check]:
    checks = [pa.Check(np.isfinite, error=f"{column.name} is infinite")]
    if column.above is not None:
        checks.append(pa.Check.gt(column.above, error=f"{column.name} must be above {column.above:g}"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"{column.name} must be at least {column.minimum:g}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"{column.name} must be at most {column.maximum:g}"))
    if column.integer:
        checks.append(pa.Check(lambda values: values % 1 == 0, error=f"{column.name} must be a whole number"))
    return checks


def _build_rule(rule: AtLeast) -> pa.Check:
    def holds(frame: pd.DataFrame) -> pd.Series:
        greater, smaller = frame[rule.greater].to_numpy(), frame[rule.smaller].to_numpy()
        return pd.Series(rule.holds(greater, smaller), index=frame.index)

    return pa.Check(holds, error=f"{rule.greater} is below {rule.smaller}")


def _collect_repeats(reasons: dict[int, list[str]], case: Case, typed: pd.DataFrame) -> None:
    """Add a reason to each row whose key appeared before; rows without a key have no repeats."""
    key = list(case.key_columns)
    repeated = typed.index[typed.duplicated(key, keep="first")] if key else ()
    for row in repeated:
        values = ", ".join(str(typed[name][row]) for name in key)
        reasons[int(row)].append(f"{', '.join(key)} appears more than once, came {values}")


def _collect(reasons: dict[int, list[str]], schema: pa.DataFrameSchema, typed: pd.DataFrame) -> None:
    """Add the schema's findings to `reasons`, once per row and cause."""
    try:
        schema.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases.dropna(subset=["index"])
        for _, failed in cases.iterrows():
            # A rule over several columns reports every value of the row; one mention of the rule is enough.
            of_a_column = failed["schema_context"] == "Column"
            reason = f"{failed['check']}, came {failed['failure_case']}" if of_a_column else str(failed["check"])
            if reason not in reasons[int(failed["index"])]:
                reasons[int(failed["index"])].append(reason)
