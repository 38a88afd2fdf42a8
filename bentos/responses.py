"""How an answer is worded: the graph's numbers as what a case's user asked for, in their unit or by their labels.

Shapes: B instances, H columns of an answer.
"""

from __future__ import annotations

from typing import Any

from bentos.batching import Answered
from bentos.requests import Question
from okawari.case import Case
from okawari.schema.heads import Head

NO_INTERVAL = "This model has no calibrated interval."


def word_prediction(case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    """One instance's answer as JSON values: a `Prediction`, `Outlook`, `Estimate` or `Label` of `bentos.schemas`."""
    heads = case.task.heads
    if not case.is_series:
        return _word_head(heads[0], answered, place)
    known = {"as_of": question.as_of[place], "unit": case.target.unit, "level": question.levels[place]}
    if not case.is_forecast:
        return {**known, "heads": {head.name: _word_head(head, answered, place) for head in heads}}
    interval, mean = _word_interval(answered, place), answered.mean_BH[place].tolist()
    return {**known, "mean": mean, "interval": interval, "note": None if interval else NO_INTERVAL}


def _word_head(head: Head, answered: Answered, place: int) -> dict[str, Any]:
    said = answered.mean_BH[place, head.columns].tolist()
    if head.labels:
        shares = dict(zip(head.labels, said, strict=True))
        return {"label": max(shares, key=shares.__getitem__), "probabilities": shares}
    interval = _word_interval(answered, place)
    bounds = interval and {
        **interval, "lower": interval["lower"][head.start], "upper": interval["upper"][head.start]
    }  # fmt: skip
    return {"unit": head.unit, "value": said[0], "interval": bounds, "note": None if interval else NO_INTERVAL}


def _word_interval(answered: Answered, place: int) -> dict[str, Any] | None:
    if answered.lower_BH is None or answered.upper_BH is None:
        return None
    return {
        "coverage_share": answered.model.manifest.coverage_share,
        "measured_share": answered.model.manifest.measured_share,
        "lower": answered.lower_BH[place].tolist(),
        "upper": answered.upper_BH[place].tolist(),
    }
