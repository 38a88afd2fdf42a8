"""What the user asks for and what is guessed from it, and the parts that all guesses share. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from okawari.case import Case
from okawari.data.files import Table, TableFile
from okawari.data.time_format import ISO, describe_time_format
from okawari.dataset.splits import size_validation
from okawari.errors import require
from okawari.scaffold.column_profiles import Profile
from okawari.scaffold.reach import count_fewest_readings
from okawari.scaffold.sizing import FEWEST_RECORDS


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


def describe_newest(case: Case, n: int, what: str) -> dict[str, str]:
    """How the newest of `n` windows or records judge, and the rows of a drift test."""
    gate, gap = case.gate, case.horizon
    n_judged = count_newest(case)
    n_learned = n - n_judged - 2 * gap
    n_validation = size_validation(n_learned, gate.validation_share)
    blocks, once = f", in {gate.origins} blocks" * (gate.origins > 1), " for each block" * (gate.origins > 1)
    gaps = f" {gap} before each part are left out, because their true values reach into it." * (gap > 0)
    intervals = f" The newest {gate.holdout} measure the coverage." * (n_judged > gate.holdout)
    return {
        "gate": f"The newest {n_judged} of {n} {what} judge the candidates{blocks}. Each is fitted once{once} on what "
        f"was known before: first on {n_learned - n_validation} {what}, with {n_validation} for early stopping.{gaps}"
        f"{intervals} What passes serves after a fit on all {what}.",
        "drift": _describe_drift(case),
    }


def count_newest(case: Case) -> int:
    """Windows or records that judge, where the newest do."""
    return case.gate.holdout + (0 if case.coverage_share is None else case.gate.calibration)


def describe_dealt(case: Case, n: int) -> dict[str, str]:
    """How `n` records without a time judge, and the rows of a drift test."""
    folds, n_judged = case.gate.origins, count_newest(case)
    how = (
        f"The {n} records are dealt into {folds} folds, and each candidate is fitted {folds} times, on all folds but "
        "one. So each record judges once, by a fit that did not see it."
        if folds > 1
        else f"{n_judged} of {n} records judge the candidates, which are fitted once, on the others: with so many, "
        "more fits would add little."
    )
    return {"gate": f"{how} What passes serves after a fit on all records.", "drift": _describe_drift(case)}


def _describe_drift(case: Case) -> str:
    return f"At most {case.drift.current} new rows are compared with the {case.drift.reference} before them."


def join_sentences(*sentences: str) -> str:
    """The sentences that are not empty."""
    return " ".join(each for each in sentences if each)
