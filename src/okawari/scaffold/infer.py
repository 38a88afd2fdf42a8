"""A case guessed from a table: which task, which columns, how long the parts, which candidates, and why each.

Pure: a table comes in, a `Guess` goes out. What cannot be a case is told in a sentence that says what to do.
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
from okawari.scaffold.column_profiles import Profile, profile_table
from okawari.scaffold.column_roles import (
    Seen,
    check_series_target,
    check_target,
    check_time,
    find_column,
    is_label,
    look_for_time,
    why_not_in_record,
    why_not_in_series,
)
from okawari.scaffold.default_candidates import list_forecasters, list_labellers, list_regressors
from okawari.scaffold.series_columns import (
    choose_learnt,
    describe_column,
    describe_reading,
    follow_column,
    say_bounds,
    say_features,
    say_learnt,
)
from okawari.scaffold.sizing import (
    count_fewest_readings,
    count_fewest_records,
    measure_rhythm,
    plan_drift,
    plan_reach,
    plan_records_gate,
    plan_series_gate,
)
from okawari.schema.transforms import TRANSFORMS


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The case, why its parts are as they are (by field of `Case`), which columns it leaves out and why, and the
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
    """What the table's case might be.

    Args:
        table: what `source` gives as it stands, without a time and without other names.
        source: where it came from.
        wish: what is to be predicted.
        now: aware time; readings from later are damage.

    Raises:
        InvalidInput: too few rows, no such column, a target or a time that cannot be one, nothing to predict from.
    """
    profiles = profile_table(table)
    _require_rows(len(table), count_fewest_records(labelled=True))
    target = find_column(profiles, wish.target, "--target")
    check_target(target)
    seen = Seen(table=table, profiles=profiles, target=target)
    if wish.time is not None:
        named = find_column(profiles, wish.time, "--time")
        check_series_target(target, named)
        check_time(seen, named)
        return _guess_forecast(seen, source, wish, named, now)
    time, why_none = look_for_time(seen)
    if time is not None:
        return _guess_forecast(seen, source, wish, time, now)
    return _guess_records(seen, source, wish, why_none, now)


def _require_rows(n: int, fewest: int) -> None:
    forecast, number, label = count_fewest_readings(), *(count_fewest_records(labelled=each) for each in (False, True))
    require(
        n >= fewest,
        f"There are {n} rows that could be used; a forecast takes at least {forecast}, a number {number} and a label "
        f"{label}, to learn from some and judge by others. Collect more.",
    )


# --- a forecast ---------------------------------------------------------------------------------------------------


def _guess_forecast(seen: Seen, source: Table, wish: Wish, time: Profile, now: datetime) -> Guess:
    left_out = {each.told: why for each in seen.others(time) if (why := why_not_in_series(each))}
    kept = [seen.target, *(each for each in seen.others(time) if each.told not in left_out)]
    kept.sort(key=seen.profiles.index)
    sketch = _sketch_forecast(seen, source, wish, time, kept)
    checked = check_readings(_rename(seen.table, sketch), sketch, now)
    n = len(checked.good)
    _require_rows(n, count_fewest_readings())
    rhythm, learns = measure_rhythm(checked.good[time.name]), choose_learnt(seen.target)
    # A season of changes takes one reading more than a season of levels.
    reach = plan_reach(n, rhythm.season, beyond=int(TRANSFORMS[learns].is_additive))
    n_windows = n - reach.history - reach.horizon + 1
    case = replace(
        sketch,
        task=Forecast(target=seen.target.name, history=reach.history, horizon=reach.horizon, learns=learns),
        candidates=list_forecasters(reach, n, learns),
        gate=plan_series_gate(n_windows),
        drift=plan_drift(n),
    )
    assumed = {
        "time": f"The readings come {rhythm.said}.",
        "columns": f"Numbers that move. {say_bounds(seen.target, kept)} Other bounds and units are yours to add.",
        "features": "What drift looks at and models learn from: how each column "
        f"{say_features(kept)} from one reading to the next.",
        "task": f"A forecast, as {time.told!r} orders the rows and {seen.target.told!r} is {say_learnt(seen.target)}. "
        f"{n} rows give a history of {reach.history} readings and {reach.horizon} steps ahead.",
        "candidates": _say_season(reach.season),
        **_say_sizes(case, n_windows, "windows"),
    }
    return Guess(case=case, assumed=assumed, left_out=left_out, rows=checked.reason)


def _sketch_forecast(seen: Seen, source: Table, wish: Wish, time: Profile, kept: Sequence[Profile]) -> Case:
    """The case as far as the checks need it."""
    return Case(
        name=wish.name,
        title=_entitle(wish.name, seen.target),
        source=_name_columns(source, [time, *kept], time.name),
        time=time.name,
        columns=tuple(describe_reading(each, seen.target) for each in kept),
        features=tuple(follow_column(each) for each in kept),
        task=Forecast(target=seen.target.name, learns=choose_learnt(seen.target)),
        candidates=(RandomWalk(),),
    )


def _say_season(season: int) -> str:
    first = "The first is the baseline, which all others have to beat."
    return f"{first} A season has {season} readings." if season else f"{first} No season fits into the history."


# --- records ------------------------------------------------------------------------------------------------------


def _guess_records(seen: Seen, source: Table, wish: Wish, why_no_time: Mapping[str, str], now: datetime) -> Guess:
    reasons = {each.told: why_no_time.get(each.told) or why_not_in_record(each) for each in seen.others()}
    left_out = {told: why for told, why in reasons.items() if why}
    kept = [each for each in seen.others() if each.told not in left_out]
    if not kept:
        raise InvalidInput(
            f"No column is left to predict {seen.target.told!r} from: {_join(left_out)}. Add columns of numbers or "
            "labels, or name a column of times with --time to forecast."
        )
    labelled = is_label(seen.target)
    sketch = _sketch_records(seen, source, wish, kept, labelled=labelled)
    checked = check_readings(_rename(seen.table, sketch), sketch, now)
    n = len(checked.good)
    _require_rows(n, count_fewest_records(labelled=labelled))
    case = replace(
        sketch,
        candidates=list_labellers(n) if labelled else list_regressors(n),
        gate=plan_records_gate(n, labelled=labelled),
        drift=plan_drift(n),
    )
    assumed = {
        "columns": "A column of words takes those that the table holds; a row with another word is refused. Bounds and "
        "units are yours to add.",
        "task": _say_task(seen.target, labelled),
        "candidates": "The first is the baseline, which all others have to beat.",
        **_say_sizes(case, n, "records"),
    }
    return Guess(case=case, assumed=assumed, left_out=left_out, rows=checked.reason)


def _sketch_records(seen: Seen, source: Table, wish: Wish, kept: Sequence[Profile], *, labelled: bool) -> Case:
    """The case as far as the checks need it."""
    target = describe_column(seen.target, as_labels=labelled)
    return Case(
        name=wish.name,
        title=_entitle(wish.name, seen.target),
        source=_name_columns(source, [*kept, seen.target], None),
        time=ARRIVED,
        columns=tuple(describe_column(each) for each in kept),
        task=Classify(target=target) if labelled else Regress(target=target),
        candidates=(Constant(),),
    )


def _say_task(target: Profile, labelled: bool) -> str:
    if not labelled:
        return f"A number for each row by itself, as {target.told!r} has {target.n_different} different ones."
    kind = "words" if target.kind == "words" else "whole numbers"
    other = "" if target.kind == "words" else " Where they are amounts, write Regress(target=Column(name=...)) instead."
    return f"A label for each row by itself, as {target.told!r} has {target.n_different} different {kind}.{other}"


# --- both ---------------------------------------------------------------------------------------------------------


def _entitle(name: str, target: Profile) -> str:
    return f"{name.replace('_', ' ').capitalize()}: {' '.join(target.told.split())}"


def _name_columns(source: Table, kept: Sequence[Profile], time: str | None) -> Table:
    renamed = tuple((each.told, each.name) for each in kept if each.told != each.name)
    return replace(source, time=time, rename=renamed)


def _rename(table: pd.DataFrame, case: Case) -> pd.DataFrame:
    return table.rename(columns=dict(case.source.rename))  # type: ignore[attr-defined]


def _say_sizes(case: Case, n: int, what: str) -> dict[str, str]:
    n_train, n_validation, n_calibration, n_holdout = size_parts(n, case)
    of = f"Of {n} {what}, {n_train} teach, {n_validation} stop the teaching early"
    intervals = f", {n_calibration} set the intervals" if n_calibration else ""
    judge = f" and {n_holdout}{', drawn by their digest,' * (not case.layout.in_order)} judge"
    return {
        "gate": f"{of}{intervals}{judge}.",
        "drift": f"{case.drift.current} new rows at most are held against the {case.drift.reference} before them.",
    }


def _join(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{told!r}: {why}" for told, why in left_out.items()) or "there is no other"
