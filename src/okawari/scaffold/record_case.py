"""Guess a case of records: a number or a label of each row by itself, from its other columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pandas as pd

from okawari.case import ARRIVED, Case, Classify, Column, Regress
from okawari.data.files import Table, TableFile
from okawari.data.sql import SqlQuery
from okawari.data.time_format import ISO, describe_time_format
from okawari.data.time_recognition import RecognisedTimes
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput
from okawari.models.constant import Constant
from okawari.models.protocols import Recipe
from okawari.scaffold.case_columns import (
    build_record_column,
    build_record_target,
    describe_holes,
    describe_record_bounds,
)
from okawari.scaffold.column_profiles import Profile
from okawari.scaffold.column_roles import ProfiledTable, explain_unfit_for_record, find_column, is_label
from okawari.scaffold.default_candidates import list_labellers, list_modest_record_models, list_regressors
from okawari.scaffold.giveaways import find_giveaways
from okawari.scaffold.guess import (
    Guess,
    Wish,
    count_newest,
    describe_dealt,
    describe_newest,
    join_sentences,
    name_source_columns,
    rename_columns,
    require_rows,
    state_times,
    write_title,
)
from okawari.scaffold.log_trial import MAX_ERROR_RATIO, measure_logarithm
from okawari.scaffold.sizing import (
    FEWEST_RECORDS,
    RECORDS,
    describe_modesty,
    is_modest,
    plan_drift,
    plan_folds_gate,
    plan_retrain,
    plan_timed_gate,
)
from okawari.scaffold.value_kinds import DAMAGED_SHARE

_CREATED = re.compile(r"creat|order|open|regist|sign|insert|record|receiv|timestamp|^(date|time|day|ts|datum|when|at)$")
"""Names of the time when a record came to be."""
_OTHER_DATES = re.compile(r"birth|dob|due|expir|deadline|valid|until|cancel|clos|deliver|paid|end|last|next|updat")
"""Names of times that say something else about a record; these are inputs."""


def guess_records(
    profiled: ProfiledTable, source: Table, wish: Wish, time_reasons: Mapping[str, str], now: datetime
) -> Guess:
    """The case of a table whose rows are independent.

    Raises:
        InvalidInput: there are too few rows, or no column is left as input.
    """
    time = _find_own_time(profiled)
    key = find_column(profiled.profiles, wish.key, "--key") if wish.key else None
    format = _choose_format(profiled, time)
    left_out = _list_left_out(profiled, (time, key), format)
    kept = [each for each in profiled.others(time, key) if each.source_name not in left_out]
    labelled = is_label(profiled.target)
    _require_inputs(profiled.target, kept, left_out)
    sketch = _set_own_columns(_sketch_records(profiled, source, wish, kept, labelled=labelled), time, key, kept)
    checked = check_readings(rename_columns(profiled.table, sketch), sketch, now)
    n = len(checked.good)
    require_rows(n, FEWEST_RECORDS)
    sketch, why_scale = _choose_scale(checked.good, sketch)
    case = _plan(sketch, n, labelled=labelled)
    n_judged = n if time is None else count_newest(case)
    return Guess(
        case=case,
        assumed={
            **_describe(profiled.target, kept, why_scale, labelled=labelled),
            **_describe_own_columns(time, key, time_reasons),
            **(describe_dealt(case, n) if time is None else describe_newest(case, n, "records")),
        },
        left_out=left_out,
        rows=checked.reason,
        plan=describe_modesty(n, RECORDS, n_judged=n_judged, with_intervals=not labelled) * is_modest(n),
        warnings=find_giveaways(profiled, kept, labelled=labelled),
    )


def _find_own_time(profiled: ProfiledTable) -> Profile | None:
    """The only column of times that every record has and that may be when it came to be; it orders the records.

    Raises:
        InvalidInput: its times read two ways.
    """
    found = [each for each in profiled.others() if _may_be_own_time(each)]
    created = [each for each in found if _CREATED.search(each.source_name.lower())] or found
    if len(created) != 1:
        return None
    found = created
    RecognisedTimes(None, found[0].two_ways, example=found[0].example).refuse_two_ways(found[0].source_name)
    return found[0]


def _may_be_own_time(column: Profile) -> bool:
    is_whole = column.n_damaged <= DAMAGED_SHARE * column.n_rows and not column.is_constant
    is_other = _OTHER_DATES.search(column.source_name.lower()) or _is_property(column)
    return column.kind == "times" and is_whole and not is_other


def _is_property(column: Profile) -> bool:
    """Whether dates describe the records, such as the model years of cars: most of them repeat, and no name says that a
    record came to be then.
    """
    is_named = _CREATED.search(column.source_name.lower())
    return column.kind == "times" and 2 * column.n_different <= column.n_rows - column.n_damaged and not is_named


def _choose_format(profiled: ProfiledTable, time: Profile | None) -> str:
    """The format of all times of the table: that of the records' own time, else the most frequent one."""
    formats = [each.time_format for each in profiled.others() if each.kind == "times" and not each.two_ways]
    return time.time_format if time is not None else max(formats, key=formats.count, default=ISO)


def _set_own_columns(sketch: Case, time: Profile | None, key: Profile | None, kept: Sequence[Profile]) -> Case:
    """The case with the time and the key of its records, which are no inputs."""
    table = sketch.source
    assert isinstance(table, TableFile | SqlQuery)
    own = tuple((each.source_name, each.name) for each in (time, key) if each and each.source_name != each.name)
    table = replace(table, rename=(*own, *table.rename))
    if time is not None:
        sketch = replace(sketch, time=time.name)
        table = replace(table, time=time.name)
    for dated in (time, *(each for each in kept if each.kind == "times")):
        table = state_times(table, dated) if dated else table
    return replace(sketch, source=table, key=key.name if key else "")


def _describe_own_columns(time: Profile | None, key: Profile | None, time_reasons: Mapping[str, str]) -> dict[str, str]:
    described = {}
    if time is not None:
        reason = time_reasons.get(time.source_name, "times")
        described["time"] = (
            f"{time.source_name!r}: {reason}. It orders the records, so the newest are the holdout; it is no input. "
            f"Times are {describe_time_format(time.time_format)}. Write time=ARRIVED if their order means nothing."
        )
    if key is not None:
        described["key"] = f"{key.source_name!r} is the key by which outcomes may name a record; it is no input."
    return described


def _list_left_out(profiled: ProfiledTable, own: Sequence[Profile | None], time_format: str) -> dict[str, str]:
    reasons = {each.source_name: explain_unfit_for_record(each, time_format) for each in profiled.others(*own)}
    return {name: reason for name, reason in reasons.items() if reason}


def _require_inputs(target: Profile, kept: Sequence[Profile], left_out: Mapping[str, str]) -> None:
    if not kept:
        why = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items()) or "there is no other"
        raise InvalidInput(
            f"No column is left to predict {target.source_name!r} from: {why}. Add columns of numbers or labels, or "
            "name a column of times with --time to forecast."
        )


def _sketch_records(
    profiled: ProfiledTable, source: Table, wish: Wish, kept: Sequence[Profile], *, labelled: bool
) -> Case:
    """A preliminary case with all that the checks need."""
    target = build_record_target(profiled.target, labelled=labelled)
    return Case(
        name=wish.name,
        title=write_title(wish.name, profiled.target),
        source=name_source_columns(source, [*kept, profiled.target], None),
        time=ARRIVED,
        columns=tuple(build_record_column(each) for each in kept),
        zone=wish.zone or "UTC",
        task=Classify(target=target) if labelled else _build_regression(target, profiled.target),
        candidates=(Constant(),),
    )


def _build_regression(target: Column, profile: Profile) -> Regress:
    return Regress(target=target, learns="logarithm") if profile.is_skewed else Regress(target=target)


def _plan(sketch: Case, n: int, *, labelled: bool) -> Case:
    modest = is_modest(n)
    plan_gate = plan_folds_gate if sketch.time == ARRIVED else plan_timed_gate
    return replace(
        sketch,
        candidates=list_modest_record_models() if modest else _list_candidates(n, labelled=labelled),
        gate=plan_gate(n, labelled=labelled),
        drift=plan_drift(n),
        retrain=plan_retrain(n, modest=modest),
    )


def _list_candidates(n: int, *, labelled: bool) -> tuple[Recipe, ...]:
    return list_labellers(n) if labelled else list_regressors(n)


def _choose_scale(records: pd.DataFrame, sketch: Case) -> tuple[Case, str]:
    """The case, which learns levels where logarithms are worse, and what was found; empty for other targets."""
    if not sketch.task.transform.needs_positive:
        return sketch, ""
    skewed = "All are above 0 and skewed: the 90% quantile is much farther from the median than the 10% quantile."
    ratio = measure_logarithm(records, sketch)
    if ratio <= MAX_ERROR_RATIO:
        return sketch, (
            f"{skewed} So models learn the logarithm, and intervals widen with the level. In a trial on the table, the "
            f"error was {ratio:.2f} times that of models of the level."
        )
    return replace(sketch, task=Regress(target=sketch.target)), (
        f"{skewed} Models learn the level all the same: in a trial on the table, those of the logarithm had "
        f"{ratio:.2f} times the error."
    )


def _describe(target: Profile, kept: Sequence[Profile], why_scale: str, *, labelled: bool) -> dict[str, str]:
    bounded = kept if labelled else [*kept, target]
    return {
        "columns": join_sentences(
            "A column of words may take a few new words later, up to its `new_share` of the rows that arrive at once."
            * any(each.kind == "words" for each in kept),
            describe_holes(kept),
            describe_record_bounds(bounded),
            _describe_dates([each for each in kept if each.kind == "times"]),
            "Add other bounds and units.",
        ),
        "task": join_sentences(_describe_task(target, labelled=labelled), why_scale),
        "candidates": "The first candidate is the baseline, which all others have to beat.",
    }


def _describe_dates(dates: Sequence[Profile]) -> str:
    if not dates:
        return ""
    repeated = [repr(each.source_name) for each in dates if _is_property(each)]
    why = f" Those of {', '.join(repeated)} repeat, so they describe the records and do not order them."
    return f"Dates become the year, the month and the weekday.{why * bool(repeated)}"


def _describe_task(target: Profile, *, labelled: bool) -> str:
    if not labelled:
        why = f"{target.source_name!r} has {target.n_different} different values"
        return f"A number for each row by itself, because {why}."
    kind = "words" if target.kind == "words" else "whole numbers"
    other = "" if target.kind == "words" else " If they are amounts, write Regress(target=Column(name=...)) instead."
    why = f"{target.source_name!r} has {target.n_different} different {kind}"
    return f"A label for each row by itself, because {why}.{other}"
