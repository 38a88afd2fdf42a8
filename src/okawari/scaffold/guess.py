"""What the user asks for and what is guessed from it, and the parts that all guesses share. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from okawari.case import Case
from okawari.data.files import Table, TableFile
from okawari.data.time_format import ISO, describe_time_format
from okawari.dataset.splits import size_parts
from okawari.errors import require
from okawari.scaffold.column_profiles import Profile
from okawari.scaffold.sizing import FEWEST_RECORDS, count_fewest_readings


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The case, the assumptions behind its parts (by field of `Case`), the left-out columns with their reasons, and the
    checks' verdict on the table's rows.

    `plan` says why the plan is modest; empty if it is not. `warnings` name columns that may give the target away.
    """

    case: Case
    assumed: Mapping[str, str]
    left_out: Mapping[str, str]
    rows: str
    plan: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The user's request: the case's name, the target column, and stated settings; what is empty is guessed.

    `about_file` says how the table's file is written.
    """

    name: str
    target: str
    time: str | None = None
    time_format: str = ""
    key: str = ""
    zone: str = ""
    frequency: str = ""
    holidays: str = ""
    about_file: str = ""


def require_rows(n: int, fewest: int) -> None:
    """Check that there are enough usable rows.

    Raises:
        InvalidInput: there are fewer; the message has the fewest of each task.
    """
    require(
        n >= fewest,
        f"There are {n} usable rows; a forecast needs at least {count_fewest_readings()}, a number or a label "
        f"{FEWEST_RECORDS}, for training and holdout. Collect more.",
    )


def write_title(name: str, target: Profile) -> str:
    """The case's title: its name and its target."""
    return f"{name.replace('_', ' ').capitalize()}: {' '.join(target.source_name.split())}"


def name_source_columns(source: Table, kept: Sequence[Profile], time: str | None) -> Table:
    """The source, which gives each kept column its name in the case."""
    renamed = tuple((each.source_name, each.name) for each in kept if each.source_name != each.name)
    return replace(source, time=time, rename=renamed)


def state_times(source: Table, time: Profile) -> Table:
    """The source with the format of its times.

    Raises:
        InvalidInput: a query returns times of another format than ISO 8601.
    """
    if isinstance(source, TableFile):
        return replace(source, time_format=time.time_format)
    require(
        time.time_format == ISO,
        f"The query returns {time.source_name!r} as {describe_time_format(time.time_format)}; return times of the "
        "database, or texts such as 2024-12-31 (ISO 8601).",
    )
    return source


def rename_columns(table: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The table with the case's column names."""
    return table.rename(columns=dict(case.source.rename))  # type: ignore[attr-defined]


def describe_sizes(case: Case, n: int, what: str) -> dict[str, str]:
    """The parts of a split of `n` windows or records, and the rows of a drift test."""
    n_train, n_validation, n_calibration, n_holdout = size_parts(n, case)
    learn = f"Of {n} {what}, {n_train} are for training, {n_validation} for early stopping"
    intervals = f", {n_calibration} for calibrating the intervals" if n_calibration else ""
    holdout = f" and {n_holdout}{case.layout.holdout_choice} are the holdout"
    return {
        "gate": f"{learn}{intervals}{holdout}.",
        "drift": f"At most {case.drift.current} new rows are compared with the {case.drift.reference} before them.",
    }


def join_sentences(*sentences: str) -> str:
    """The sentences that are not empty."""
    return " ".join(each for each in sentences if each)
