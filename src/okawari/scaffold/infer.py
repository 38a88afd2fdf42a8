"""Guess a case from a table: task, columns, sizes of the parts and candidates, each with its reason.

Pure: takes a table and returns a `Guess`. A table that cannot be a case raises `InvalidInput` with the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from okawari.case import ARRIVED, Case, Classify, Forecast, Regress
from okawari.data.files import Table
from okawari.data.validation import check_readings
from okawari.dataset.splits import size_parts
from okawari.errors import InvalidInput, require
from okawari.models.constant import Constant
from okawari.models.random_walk import RandomWalk
from okawari.scaffold.column_profiles import Profile, find_time_format, profile_table
from okawari.scaffold.column_roles import (
    ProfiledTable,
    check_series_target,
    check_target,
    check_time,
    explain_unfit_for_record,
    explain_unfit_for_series,
    find_column,
    find_time,
    is_label,
)
from okawari.scaffold.default_candidates import list_forecasters, list_labellers, list_regressors
from okawari.scaffold.series_columns import (
    build_column,
    build_feature,
    build_reading_column,
    choose_learnt,
    describe_bounds,
    describe_features,
    describe_learnt,
)
from okawari.scaffold.sizing import (
    count_fewest_readings,
    count_fewest_records,
    measure_frequency,
    plan_drift,
    plan_reach,
    plan_records_gate,
    plan_series_gate,
)
from okawari.schema.transforms import TRANSFORMS


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The case, the assumptions behind its parts (by field of `Case`), the left-out columns with their reasons, and the
    checks' verdict on the table's rows.
    """

    case: Case
    assumed: Mapping[str, str]
    left_out: Mapping[str, str]
    rows: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The user's request: the case's name, the target column and, if given, the time column."""

    name: str
    target: str
    time: str | None = None


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
    profiles = profile_table(table)
    _require_rows(len(table), count_fewest_records(labelled=True))
    target = find_column(profiles, wish.target, "--target")
    check_target(target)
    profiled = ProfiledTable(table=table, profiles=profiles, target=target)
    if wish.time is not None:
        named = find_column(profiles, wish.time, "--time")
        check_series_target(target, named)
        check_time(profiled, named)
        return _guess_forecast(profiled, source, wish, named, now)
    time, reasons = find_time(profiled)
    if time is not None:
        return _guess_forecast(profiled, source, wish, time, now)
    return _guess_records(profiled, source, wish, reasons, now)


def _require_rows(n: int, fewest: int) -> None:
    forecast, number, label = count_fewest_readings(), *(count_fewest_records(labelled=each) for each in (False, True))
    require(
        n >= fewest,
        f"There are {n} usable rows; a forecast needs at least {forecast}, a number {number} and a label {label}, for "
        "training and holdout. Collect more.",
    )


# --- a forecast ---------------------------------------------------------------------------------------------------


def _guess_forecast(profiled: ProfiledTable, source: Table, wish: Wish, time: Profile, now: datetime) -> Guess:
    left_out = {
        each.source_name: reason for each in profiled.others(time) if (reason := explain_unfit_for_series(each))
    }
    kept = [profiled.target, *(each for each in profiled.others(time) if each.source_name not in left_out)]
    kept.sort(key=profiled.profiles.index)
    sketch = _sketch_forecast(profiled, source, wish, time, kept)
    checked = check_readings(_rename(profiled.table, sketch), sketch, now)
    n = len(checked.good)
    _require_rows(n, count_fewest_readings())
    frequency, learns = measure_frequency(checked.good[time.name]), choose_learnt(profiled.target)
    # A season of changes needs one reading more than a season of levels.
    reach = plan_reach(n, frequency.season, beyond=int(TRANSFORMS[learns].is_additive))
    n_windows = n - reach.history - reach.horizon + 1
    case = replace(
        sketch,
        task=Forecast(target=profiled.target.name, history=reach.history, horizon=reach.horizon, learns=learns),
        candidates=list_forecasters(reach, n, learns),
        gate=plan_series_gate(n_windows),
        drift=plan_drift(n),
    )
    assumed = {
        "time": f"The readings come {frequency.text}.",
        "columns": f"Numbers that change. {describe_bounds(profiled.target, kept)} Add other bounds and units.",
        "features": "The inputs of models and of the drift test: how each column "
        f"{describe_features(kept)} from one reading to the next.",
        "task": f"A forecast, because {time.source_name!r} orders the rows and {profiled.target.source_name!r} is "
        f"{describe_learnt(profiled.target)}. {n} rows give a history of {reach.history} readings and "
        f"{reach.horizon} steps ahead.",
        "candidates": _describe_season(reach.season),
        **_describe_sizes(case, n_windows, "windows"),
    }
    return Guess(case=case, assumed=assumed, left_out=left_out, rows=checked.reason)


def _sketch_forecast(
    profiled: ProfiledTable, source: Table, wish: Wish, time: Profile, kept: Sequence[Profile]
) -> Case:
    """A preliminary case with all that the checks need."""
    return Case(
        name=wish.name,
        title=_write_title(wish.name, profiled.target),
        source=replace(
            _name_columns(source, [time, *kept], time.name),
            time_format=find_time_format(profiled.table[time.source_name]),
        ),
        time=time.name,
        columns=tuple(build_reading_column(each, profiled.target) for each in kept),
        features=tuple(build_feature(each) for each in kept),
        task=Forecast(target=profiled.target.name, learns=choose_learnt(profiled.target)),
        candidates=(RandomWalk(),),
    )


def _describe_season(season: int) -> str:
    first = "The first candidate is the baseline, which all others have to beat."
    return f"{first} A season has {season} readings." if season else f"{first} No season fits into the history."


# --- records ------------------------------------------------------------------------------------------------------


def _guess_records(
    profiled: ProfiledTable, source: Table, wish: Wish, time_reasons: Mapping[str, str], now: datetime
) -> Guess:
    reasons = {
        each.source_name: time_reasons.get(each.source_name) or explain_unfit_for_record(each)
        for each in profiled.others()
    }
    left_out = {name: reason for name, reason in reasons.items() if reason}
    kept = [each for each in profiled.others() if each.source_name not in left_out]
    if not kept:
        raise InvalidInput(
            f"No column is left to predict {profiled.target.source_name!r} from: {_join(left_out)}. Add columns of "
            "numbers or labels, or name a column of times with --time to forecast."
        )
    labelled = is_label(profiled.target)
    sketch = _sketch_records(profiled, source, wish, kept, labelled=labelled)
    checked = check_readings(_rename(profiled.table, sketch), sketch, now)
    n = len(checked.good)
    _require_rows(n, count_fewest_records(labelled=labelled))
    case = replace(
        sketch,
        candidates=list_labellers(n) if labelled else list_regressors(n),
        gate=plan_records_gate(n, labelled=labelled),
        drift=plan_drift(n),
    )
    assumed = {
        "columns": "A column of words accepts the words in the table; a row with another word is refused. Add "
        "bounds and units.",
        "task": _describe_task(profiled.target, labelled),
        "candidates": "The first candidate is the baseline, which all others have to beat.",
        **_describe_sizes(case, n, "records"),
    }
    return Guess(case=case, assumed=assumed, left_out=left_out, rows=checked.reason)


def _sketch_records(
    profiled: ProfiledTable, source: Table, wish: Wish, kept: Sequence[Profile], *, labelled: bool
) -> Case:
    """A preliminary case with all that the checks need."""
    target = build_column(profiled.target, as_labels=labelled)
    return Case(
        name=wish.name,
        title=_write_title(wish.name, profiled.target),
        source=_name_columns(source, [*kept, profiled.target], None),
        time=ARRIVED,
        columns=tuple(build_column(each) for each in kept),
        task=Classify(target=target) if labelled else Regress(target=target),
        candidates=(Constant(),),
    )


def _describe_task(target: Profile, labelled: bool) -> str:
    if not labelled:
        why = f"{target.source_name!r} has {target.n_different} different values"
        return f"A number for each row by itself, because {why}."
    kind = "words" if target.kind == "words" else "whole numbers"
    other = "" if target.kind == "words" else " If they are amounts, write Regress(target=Column(name=...)) instead."
    why = f"{target.source_name!r} has {target.n_different} different {kind}"
    return f"A label for each row by itself, because {why}.{other}"


# --- both ---------------------------------------------------------------------------------------------------------


def _write_title(name: str, target: Profile) -> str:
    return f"{name.replace('_', ' ').capitalize()}: {' '.join(target.source_name.split())}"


def _name_columns(source: Table, kept: Sequence[Profile], time: str | None) -> Table:
    renamed = tuple((each.source_name, each.name) for each in kept if each.source_name != each.name)
    return replace(source, time=time, rename=renamed)


def _rename(table: pd.DataFrame, case: Case) -> pd.DataFrame:
    return table.rename(columns=dict(case.source.rename))  # type: ignore[attr-defined]


def _describe_sizes(case: Case, n: int, what: str) -> dict[str, str]:
    n_train, n_validation, n_calibration, n_holdout = size_parts(n, case)
    learn = f"Of {n} {what}, {n_train} are for training, {n_validation} for early stopping"
    intervals = f", {n_calibration} for calibrating the intervals" if n_calibration else ""
    holdout = f" and {n_holdout}{', chosen by their digest,' * (not case.layout.in_order)} are the holdout"
    return {
        "gate": f"{learn}{intervals}{holdout}.",
        "drift": f"At most {case.drift.current} new rows are compared with the {case.drift.reference} before them.",
    }


def _join(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items()) or "there is no other"
