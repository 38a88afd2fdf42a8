"""Guess a case of a series: a forecast of one of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pandas as pd

from okawari.case import Case, Forecast
from okawari.data.files import Table
from okawari.data.time_format import describe_time_format
from okawari.data.validation import check_readings
from okawari.models.random_walk import RandomWalk
from okawari.scaffold.calendar_guess import GuessedCalendar, describe_zone, guess_calendar, state_calendar
from okawari.scaffold.case_columns import describe_holes
from okawari.scaffold.column_profiles import Profile
from okawari.scaffold.column_roles import ProfiledTable, explain_unfit_for_series
from okawari.scaffold.default_candidates import list_forecasters, list_modest_forecasters
from okawari.scaffold.guess import (
    Guess,
    Wish,
    describe_sizes,
    join_sentences,
    name_source_columns,
    rename_columns,
    require_rows,
    state_times,
    write_title,
)
from okawari.scaffold.series_columns import (
    build_feature,
    build_reading_column,
    choose_learnt,
    describe_bounds,
    describe_features,
    describe_learnt,
)
from okawari.scaffold.sizing import (
    READINGS,
    Frequency,
    Reach,
    count_fewest_readings,
    describe_modesty,
    is_modest,
    measure_frequency,
    plan_drift,
    plan_reach,
    plan_retrain,
    plan_series_gate,
)


def guess_forecast(profiled: ProfiledTable, source: Table, wish: Wish, time: Profile, now: datetime) -> Guess:
    """The case of a table whose rows are ordered by `time`.

    Raises:
        InvalidInput: there are too few rows.
    """
    reasons = {each.source_name: explain_unfit_for_series(each) for each in profiled.others(time)}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    kept = [profiled.target, *(each for each in profiled.others(time) if each.source_name not in left_out)]
    kept.sort(key=profiled.profiles.index)
    task = Forecast(target=profiled.target.name, learns=choose_learnt(profiled.target))
    sketch = _sketch_forecast(profiled, source, wish, time, kept, task)
    checked = check_readings(rename_columns(profiled.table, sketch), sketch, now)
    require_rows(len(checked.good), count_fewest_readings())
    steps = _find_steps(checked.good[time.name], wish)
    n, frequency = steps.n_steps, measure_frequency(checked.good[time.name])
    case, reach = _plan(_set_calendar(sketch, steps, wish), task, n, frequency)
    n_windows = n - reach.history - reach.horizon + 1
    return Guess(
        case=case,
        assumed={
            **_describe(profiled.target, time, kept, frequency, reach),
            "frequency": steps.text,
            "zone": describe_zone(profiled.table[time.source_name], wish.zone),
            "task": _describe_task(profiled.target, time, n, reach),
            **describe_sizes(case, n_windows, "windows"),
        },
        left_out=left_out,
        rows=checked.reason,
        plan=describe_modesty(n, case.gate, READINGS, with_intervals=True) * is_modest(n, READINGS),
    )


def _find_steps(times: pd.Series, wish: Wish) -> GuessedCalendar:
    zone = wish.zone or "UTC"
    if wish.frequency:
        return state_calendar(times, wish.frequency, zone, wish.holidays)
    return guess_calendar(times, zone, wish.holidays)


def _set_calendar(sketch: Case, steps: GuessedCalendar, wish: Wish) -> Case:
    """The case with the calendar's settings; a target that misses some steps has values that are missing."""
    if steps.calendar is None:
        return sketch
    found = steps.calendar
    return replace(sketch, frequency=found.frequency, holidays=found.holidays)


def _sketch_forecast(
    profiled: ProfiledTable, source: Table, wish: Wish, time: Profile, kept: Sequence[Profile], task: Forecast
) -> Case:
    """A preliminary case with all that the checks need."""
    return Case(
        name=wish.name,
        title=write_title(wish.name, profiled.target),
        source=name_source_columns(state_times(source, time), [time, *kept], time.name),
        time=time.name,
        zone=wish.zone or "UTC",
        columns=tuple(build_reading_column(each, profiled.target) for each in kept),
        features=tuple(build_feature(each) for each in kept),
        task=task,
        candidates=(RandomWalk(),),
    )


def _plan(sketch: Case, task: Forecast, n: int, frequency: Frequency) -> tuple[Case, Reach]:
    # A season of changes needs one reading more than a season of levels.
    reach = plan_reach(n, frequency.season, beyond=int(task.transform.is_additive))
    modest = is_modest(n, READINGS)
    case = replace(
        sketch,
        task=replace(task, history=reach.history, horizon=reach.horizon),
        candidates=list_modest_forecasters(reach) if modest else list_forecasters(reach, n, task.learns),
        gate=plan_series_gate(n - reach.history - reach.horizon + 1, reach.horizon, modest=modest),
        drift=plan_drift(n),
        retrain=plan_retrain(n, modest=modest),
    )
    return case, reach


def _describe(
    target: Profile, time: Profile, kept: Sequence[Profile], frequency: Frequency, reach: Reach
) -> dict[str, str]:
    first = "The first candidate is the baseline, which all others have to beat."
    season = f"A season has {reach.season} readings." if reach.season else "No season fits into the history."
    return {
        "time": f"The readings come {frequency.text}. Times are {describe_time_format(time.time_format)}.",
        "columns": join_sentences(
            "Numbers that change.", describe_bounds(target, kept), describe_holes(kept), "Add other bounds and units."
        ),
        "features": "The inputs of models and of the drift test: how each column "
        f"{describe_features(kept)} from one reading to the next.",
        "candidates": f"{first} {season}",
    }


def _describe_task(target: Profile, time: Profile, n: int, reach: Reach) -> str:
    steps = "1 step" if reach.horizon == 1 else f"{reach.horizon} steps"
    return (
        f"A forecast, because {time.source_name!r} orders the rows and {target.source_name!r} is "
        f"{describe_learnt(target)}. {n} rows give a history of {reach.history} readings and {steps} ahead."
    )
