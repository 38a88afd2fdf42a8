"""How an answer is worded: the graph's numbers as what a case's user asked for, in their unit or by their labels.

Shapes: B instances, H columns of an answer.
"""

from __future__ import annotations

from typing import Any

from bentos.questions import Question
from bentos.runner import Answered
from okawari.case import Case

NO_INTERVAL = "This model has no calibrated interval."


def word_prediction(case: Case, answered: Answered, question: Question, place: int) -> dict[str, Any]:
    """One instance's answer as JSON values: a `Prediction`, `Estimate` or `Label` of `bentos.schemas`."""
    if case.target.labels:
        return _word_label(case, answered, place)
    interval = _word_interval(answered, place)
    note = None if interval else NO_INTERVAL
    mean = answered.mean_BH[place].tolist()
    if case.is_series:
        known = {"as_of": question.as_of[place], "unit": case.target.unit, "level": question.levels[place]}
        return {**known, "mean": mean, "interval": interval, "note": note}
    bounds = interval and {**interval, "lower": interval["lower"][0], "upper": interval["upper"][0]}
    return {"unit": case.target.unit, "value": mean[0], "interval": bounds, "note": note}


def _word_label(case: Case, answered: Answered, place: int) -> dict[str, Any]:
    shares = dict(zip(case.target.labels, answered.mean_BH[place].tolist(), strict=True))
    return {"label": max(shares, key=shares.__getitem__), "probabilities": shares}


def _word_interval(answered: Answered, place: int) -> dict[str, Any] | None:
    if answered.lower_BH is None or answered.upper_BH is None:
        return None
    return {
        "coverage_share": answered.model.manifest.coverage_share,
        "lower": answered.lower_BH[place].tolist(),
        "upper": answered.upper_BH[place].tolist(),
    }
