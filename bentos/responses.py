"""Format answers: the graph's numbers in the target's unit, or as probabilities of its labels.

Shapes: B instances, H columns of an answer.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from bentos.batching import Answered
from bentos.dictionaries import list_unknown, write_note
from bentos.requests import Question
from okawari.case import Anticipate, Case, Forecast
from okawari.schema.calendar import format_local
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.tasks.task import Task

NO_INTERVAL = "This model has no calibrated interval."


def format_prediction(case: Case, answered: Answered, question: Question, index: int) -> dict[str, Any]:
    """One instance's answer as JSON values: a `Prediction`, `Outlook`, `Estimate` or `Label` of the wire types."""
    prediction = _format(case.task, case, answered, question, index)
    unknown = list_unknown(question.x_BTF, question.words, case, index)
    return {**prediction, "note": _join_notes(prediction, write_note(unknown))} if unknown else prediction


def _join_notes(prediction: dict[str, Any], note: str) -> str:
    return " ".join(each for each in (prediction.get("note"), note) if each)


@singledispatch
def _format(task: Task, case: Case, answered: Answered, question: Question, index: int) -> dict[str, Any]:
    """The answer for a record comes from its only head."""
    return _format_head(task.heads[0], answered, index)


@_format.register
def _format_forecast(task: Forecast, case: Case, answered: Answered, question: Question, index: int) -> dict[str, Any]:
    interval, mean = _format_interval(answered, index), answered.mean_BH[index].tolist()
    note = None if interval else NO_INTERVAL
    return {**_format_last_reading(case, question, index), "mean": mean, "interval": interval, "note": note}


@_format.register
def _format_targets(task: Anticipate, case: Case, answered: Answered, question: Question, index: int) -> dict[str, Any]:
    heads = {head.name: _format_head(head, answered, index) for head in task.heads}
    return {**_format_last_reading(case, question, index), "heads": heads}


def _format_last_reading(case: Case, question: Question, index: int) -> dict[str, Any]:
    """The last reading of the instance, from which a forecast starts, and the times of its steps."""
    as_of = question.as_of[index]
    return {
        "as_of": None if as_of is None else format_local(np.datetime64(as_of), case.zone),
        "unit": case.target.unit,
        "level": question.levels[index],
        "times": question.times[index],
        "times_note": case.step_times.explain(as_of),
    }


@singledispatch
def _format_head(head: Head, answered: Answered, index: int) -> dict[str, Any]:
    """The answer of one head."""
    raise NotImplementedError(f"No answer format is defined for {type(head).__name__}; register it here.")


@_format_head.register
def _format_label(head: LabelHead, answered: Answered, index: int) -> dict[str, Any]:
    shares = dict(zip(head.words, answered.mean_BH[index, head.columns].tolist(), strict=True))
    best = max(shares, key=shares.__getitem__)
    return {"label": head.write_json(best), "probabilities": shares, "note": None}


@_format_head.register
def _format_number(head: NumberHead, answered: Answered, index: int) -> dict[str, Any]:
    interval = _format_interval(answered, index)
    bounds = interval and {
        **interval, "lower": interval["lower"][head.start], "upper": interval["upper"][head.start]
    }  # fmt: skip
    value = float(answered.mean_BH[index, head.start])
    return {"unit": head.unit, "value": value, "interval": bounds, "note": None if interval else NO_INTERVAL}


def _format_interval(answered: Answered, index: int) -> dict[str, Any] | None:
    if answered.lower_BH is None or answered.upper_BH is None:
        return None
    return {
        "coverage_share": answered.model.manifest.coverage_share,
        "measured_share": answered.model.manifest.measured_share,
        "lower": answered.lower_BH[index].tolist(),
        "upper": answered.upper_BH[index].tolist(),
    }
