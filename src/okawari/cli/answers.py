"""The output of `okawari predict`, by the type of the predictions."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from okawari.cli.output import console, show_table
from okawari.clients.wire import (
    AnyPrediction,
    Estimate,
    ForecastAnswer,
    IntervalInfo,
    Label,
    Outlook,
    PredictAnswer,
    Prediction,
)
from okawari.formats import format_coverage, format_number, format_share


def show_answer(answer: PredictAnswer[Any]) -> None:
    """Print an answer of the service: the first prediction of a series in full, or one row per record."""
    _show_predictions(answer.predictions[0], answer)
    if isinstance(answer, ForecastAnswer) and answer.stale:
        console.print(f"stale: {answer.stale}", soft_wrap=True)


@singledispatch
def _show_predictions(first: AnyPrediction, answer: PredictAnswer[Any]) -> None:
    """Print an answer; the type of its first prediction selects the table."""
    raise NotImplementedError(f"No table is defined for {type(first).__name__}; register it here.")


@_show_predictions.register
def _(first: Prediction, answer: PredictAnswer[Any]) -> None:
    rows = [
        {
            "step": step,
            **_name_time(first.times, step),
            f"mean ({first.unit})".removesuffix(" ()"): mean,
            **_bounds(first.interval, step),
        }
        for step, mean in enumerate(first.mean, start=1)
    ]
    show_table(rows, f"{_describe_model(answer)}, after {first.as_of}")
    interval = first.interval
    if first.times_note:
        console.print(first.times_note)
    console.print(first.note if interval is None else format_coverage(interval.coverage_share, interval.measured_share))
    _show_id(answer)


@_show_predictions.register
def _(first: Outlook, answer: PredictAnswer[Any]) -> None:
    rows = [{"target": name, **_describe_head(predicted)} for name, predicted in first.heads.items()]
    when = f", for {first.times[0]}" if first.times else ""
    show_table(rows, f"{_describe_model(answer)}, after {first.as_of}{when}")
    if first.times_note:
        console.print(first.times_note)
    for interval in first.intervals[:1]:
        console.print(format_coverage(interval.coverage_share, interval.measured_share))
    _show_id(answer)


@_show_predictions.register(Estimate)
@_show_predictions.register(Label)
def _(first: Estimate | Label, answer: PredictAnswer[Any]) -> None:
    rows = [{"record": place, **_describe_record(each)} for place, each in enumerate(answer.predictions)]
    show_table(rows, _describe_model(answer))
    _show_id(answer, ":0 for the first")


@singledispatch
def _describe_head(predicted: Estimate | Label) -> dict[str, Any]:
    """The answer about one of several targets, as a row."""
    raise NotImplementedError(f"No row is defined for {type(predicted).__name__}; register it here.")


@_describe_head.register
def _(predicted: Label) -> dict[str, Any]:
    ranked = sorted(predicted.probabilities.items(), key=lambda each: -each[1])
    return {"answer": predicted.word, "": ", ".join(f"{label} {format_share(share, 1)}" for label, share in ranked)}


@_describe_head.register
def _(predicted: Estimate) -> dict[str, Any]:
    span = "no interval"
    if bounds := predicted.interval:
        beside = [predicted.value, bounds.lower, bounds.upper]
        lower, upper = (format_number(bound, 4, beside=beside) for bound in (bounds.lower, bounds.upper))
        span = f"{format_share(bounds.coverage_share)} interval {lower} to {upper}"
    return {"answer": f"{format_number(predicted.value, 4)} {predicted.unit}".rstrip(), "": span}


@singledispatch
def _describe_record(predicted: Estimate | Label) -> dict[str, Any]:
    """The answer for one record, as a row."""
    raise NotImplementedError(f"No row is defined for {type(predicted).__name__}; register it here.")


@_describe_record.register
def _(predicted: Label) -> dict[str, Any]:
    return {"label": predicted.word, "probability": predicted.probabilities[predicted.word]}


@_describe_record.register
def _(predicted: Estimate) -> dict[str, Any]:
    bounds = {"lower": None, "upper": None} if predicted.interval is None else predicted.interval.model_dump()
    value = {f"value ({predicted.unit})".removesuffix(" ()"): predicted.value}
    return {**value, "lower": bounds["lower"], "upper": bounds["upper"]}


def _describe_model(answer: PredictAnswer[Any]) -> str:
    return f"{answer.model.candidate} version {answer.model.version}"


def _show_id(answer: PredictAnswer[Any], more: str = "") -> None:
    console.print(f"id {answer.id}  (okawari explain {answer.id}{more})", soft_wrap=True)


def _name_time(times: list[str] | None, step: int) -> dict[str, str]:
    return {} if times is None else {"time": times[step - 1]}


def _bounds(interval: IntervalInfo | None, step: int) -> dict[str, Any]:
    if interval is None:
        return {}
    return {"lower": interval.lower[step - 1], "upper": interval.upper[step - 1]}
