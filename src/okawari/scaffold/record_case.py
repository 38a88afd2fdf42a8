"""Guess a case of records: a number or a label of each row by itself, from its other columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from okawari.case import ARRIVED, Case, Classify, Regress
from okawari.data.files import Table
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
from okawari.scaffold.column_roles import ProfiledTable, explain_unfit_for_record, is_label
from okawari.scaffold.default_candidates import list_labellers, list_modest_record_models, list_regressors
from okawari.scaffold.giveaways import find_giveaways
from okawari.scaffold.guess import (
    Guess,
    Wish,
    describe_sizes,
    join_sentences,
    name_source_columns,
    rename_columns,
    require_rows,
    write_title,
)
from okawari.scaffold.sizing import (
    FEWEST_RECORDS,
    RECORDS,
    describe_modesty,
    is_modest,
    plan_drift,
    plan_records_gate,
    plan_retrain,
)


def guess_records(
    profiled: ProfiledTable, source: Table, wish: Wish, time_reasons: Mapping[str, str], now: datetime
) -> Guess:
    """The case of a table whose rows are independent.

    Raises:
        InvalidInput: there are too few rows, or no column is left as input.
    """
    left_out = _list_left_out(profiled, wish, time_reasons)
    kept = [each for each in profiled.others() if each.source_name not in left_out]
    labelled = is_label(profiled.target)
    _require_inputs(profiled.target, kept, left_out)
    sketch = _sketch_records(profiled, source, wish, kept, labelled=labelled)
    checked = check_readings(rename_columns(profiled.table, sketch), sketch, now)
    n = len(checked.good)
    require_rows(n, FEWEST_RECORDS)
    case = _plan(sketch, n, labelled=labelled)
    modest = is_modest(n, RECORDS)
    return Guess(
        case=case,
        assumed={**_describe(profiled.target, kept, labelled=labelled), **describe_sizes(case, n, "records")},
        left_out=left_out,
        rows=checked.reason,
        plan=describe_modesty(n, case.gate, RECORDS, with_intervals=not labelled) * modest,
        warnings=find_giveaways(profiled, kept, labelled=labelled),
    )


def _list_left_out(profiled: ProfiledTable, wish: Wish, time_reasons: Mapping[str, str]) -> dict[str, str]:
    reasons = {
        each.source_name: time_reasons.get(each.source_name) or explain_unfit_for_record(each)
        for each in profiled.others()
    }
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
        task=Classify(target=target) if labelled else Regress(target=target),
        candidates=(Constant(),),
    )


def _plan(sketch: Case, n: int, *, labelled: bool) -> Case:
    modest = is_modest(n, RECORDS)
    return replace(
        sketch,
        candidates=list_modest_record_models() if modest else _list_candidates(n, labelled=labelled),
        gate=plan_records_gate(n, labelled=labelled),
        drift=plan_drift(n),
        retrain=plan_retrain(n, modest=modest),
    )


def _list_candidates(n: int, *, labelled: bool) -> tuple[Recipe, ...]:
    return list_labellers(n) if labelled else list_regressors(n)


def _describe(target: Profile, kept: Sequence[Profile], *, labelled: bool) -> dict[str, str]:
    bounded = kept if labelled else [*kept, target]
    return {
        "columns": join_sentences(
            "A column of words accepts the words in the table; a row with another word is refused.",
            describe_holes(kept),
            describe_record_bounds(bounded),
            "Add other bounds and units.",
        ),
        "task": _describe_task(target, labelled=labelled),
        "candidates": "The first candidate is the baseline, which all others have to beat.",
    }


def _describe_task(target: Profile, *, labelled: bool) -> str:
    if not labelled:
        why = f"{target.source_name!r} has {target.n_different} different values"
        return f"A number for each row by itself, because {why}."
    kind = "words" if target.kind == "words" else "whole numbers"
    other = "" if target.kind == "words" else " If they are amounts, write Regress(target=Column(name=...)) instead."
    why = f"{target.source_name!r} has {target.n_different} different {kind}"
    return f"A label for each row by itself, because {why}.{other}"
