"""Guess a case of a series: a forecast of one of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    describe_newest,
    join_sentences,
    name_source_columns,
    rename_columns,
    require_rows,
    state_times,
    write_title,
)
from okawari.scaffold.reach import (
    Frequency,
    Reach,
    count_fewest_readings,
    describe_reach,
    measure_frequency,
    plan_reach,
)
from okawari.scaffold.series_columns import (
    build_feature,
    build_reading_column,
    choose_learnt,
    describe_bounds,
    describe_features,
    describe_learnt,
    is_intermittent,
)
from okawari.scaffold.sizing import (
    READINGS,
    describe_modesty,
    is_modest,
    plan_drift,
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
    frequency = measure_frequency(checked.good[time.name])
    known_N = _mark_known(checked.good, sketch, steps)
    sketch = _set_calendar(sketch, steps, wish)
    case, reach = _plan(sketch, task, known_N, frequency, intermittent=is_intermittent(profiled.target))
    return Guess(
        case=case,
        assumed={
            **_describe(profiled.target, time, kept, frequency, reach),
            "frequency": steps.text,
            "zone": describe_zone(profiled.table[time.source_name], wish.zone),
            "task": _describe_task(profiled.target, time, frequency, reach),
            **describe_newest(case, reach.n_windows, "windows"),
        },
        left_out=left_out,
        rows=checked.reason,
        plan=describe_modesty(steps.n_steps, READINGS, n_judged=reach.n_judged, with_intervals=True)
        * is_modest(steps.n_steps),
    )


def _mark_known(readings: pd.DataFrame, case: Case, steps: GuessedCalendar) -> NDArray[np.bool_]:
    """Whether each step has a level, [N]."""
    has_level = pd.to_numeric(readings[case.target.name]).notna().to_numpy()
    if steps.calendar is None:
        return has_level
    times_N = readings[case.time].to_numpy(dtype="datetime64[ns]")
    is_step = steps.calendar.is_step(times_N)
    numbers = steps.calendar.number(times_N[is_step])
    known_N = np.zeros(steps.n_steps, dtype=bool)
    known_N[(numbers - numbers[0])[has_level[is_step]]] = True
    return known_N


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


def _plan(
    sketch: Case, task: Forecast, known_N: NDArray[np.bool_], frequency: Frequency, *, intermittent: bool
) -> tuple[Case, Reach]:
    n, reach = len(known_N), plan_reach(known_N, frequency)
    modest = is_modest(n)
    candidates = (
        list_modest_forecasters(reach, intermittent=intermittent)
        if modest
        else list_forecasters(reach, n, intermittent=intermittent)
    )
    case = replace(
        sketch,
        task=replace(task, history=reach.history, horizon=reach.horizon),
        candidates=candidates,
        gate=plan_series_gate(reach),
        drift=plan_drift(n),
        retrain=plan_retrain(n, modest=modest),
    )
    return case, reach


def _describe(
    target: Profile, time: Profile, kept: Sequence[Profile], frequency: Frequency, reach: Reach
) -> dict[str, str]:
    first = "The first candidate is the baseline, which all others have to beat."
    demand = f"{target.source_name!r} is often 0, so a method for intermittent demand is tried." * is_intermittent(
        target
    )
    season = f"A season has {reach.season} readings." if reach.season else _explain_no_season(frequency)
    return {
        "time": f"The readings come {frequency.text}. Times are {describe_time_format(time.time_format)}.",
        "columns": join_sentences(
            "Numbers that change.", describe_bounds(target, kept), describe_holes(kept), "Add other bounds and units."
        ),
        "features": "The inputs of models and of the drift test: how each column "
        f"{describe_features(kept)} from one reading to the next.",
        "candidates": join_sentences(first, season, demand),
    }


def _explain_no_season(frequency: Frequency) -> str:
    return f"A season of {frequency.season} readings needs more rows." * bool(frequency.season)


def _describe_task(target: Profile, time: Profile, frequency: Frequency, reach: Reach) -> str:
    return (
        f"A forecast, because {time.source_name!r} orders the rows and {target.source_name!r} is "
        f"{describe_learnt(target)}. {describe_reach(reach, frequency)}"
    )
