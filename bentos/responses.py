"""How an answer is worded: the graph's numbers as what a case's user asked for, in their unit or by their labels.

Shapes: B instances, H columns of an answer.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from bentos.batching import Answered
from bentos.requests import Question
from okawari.case import Anticipate, Case, Forecast
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.tasks.task import Task

NO_INTERVAL = "This model has no calibrated interval."


def word_prediction(case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    """One instance's answer as JSON values: a `Prediction`, `Outlook`, `Estimate` or `Label` of the wire."""
    return _word(case.task, case, answered, question, place)


@singledispatch
def _word(task: Task, case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    """A record's answer is that of its only head."""
    return _word_head(task.heads[0], answered, place)


@_word.register
def _word_forecast(task: Forecast, case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    interval, mean = _word_interval(answered, place), answered.mean_BH[place].tolist()
    note = None if interval else NO_INTERVAL
    return {**_word_known(case, question, place), "mean": mean, "interval": interval, "note": note}


@_word.register
def _word_targets(task: Anticipate, case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    heads = {head.name: _word_head(head, answered, place) for head in task.heads}
    return {**_word_known(case, question, place), "heads": heads}


def _word_known(case: Case, question: Question, place: int) -> dict[str, Any]:
    """The last reading that a series is answered from."""
    return {"as_of": question.as_of[place], "unit": case.target.unit, "level": question.levels[place]}


@singledispatch
def _word_head(head: Head, answered: Answered, place: int) -> dict[str, Any]:
    """The answer of one head."""
    raise NotImplementedError(f"There are no words for {type(head).__name__}.")


@_word_head.register
def _word_label(head: LabelHead, answered: Answered, place: int) -> dict[str, Any]:
    shares = dict(zip(head.words, answered.mean_BH[place, head.columns].tolist(), strict=True))
    return {"label": max(shares, key=shares.__getitem__), "probabilities": shares}


@_word_head.register
def _word_number(head: NumberHead, answered: Answered, place: int) -> dict[str, Any]:
    interval = _word_interval(answered, place)
    bounds = interval and {
        **interval, "lower": interval["lower"][head.start], "upper": interval["upper"][head.start]
    }  # fmt: skip
    value = float(answered.mean_BH[place, head.start])
    return {"unit": head.unit, "value": value, "interval": bounds, "note": None if interval else NO_INTERVAL}


def _word_interval(answered: Answered, place: int) -> dict[str, Any] | None:
    if answered.lower_BH is None or answered.upper_BH is None:
        return None
    return {
        "coverage_share": answered.model.manifest.coverage_share,
        "measured_share": answered.model.manifest.measured_share,
        "lower": answered.lower_BH[place].tolist(),
        "upper": answered.upper_BH[place].tolist(),
    }
