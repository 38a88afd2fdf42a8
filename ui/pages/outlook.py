"""The prediction in words and numbers beside the chart, or a hint if there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

from okawari.case import Anticipate, Case, Classify, Forecast, Regress
from okawari.clients.wire import AnyPrediction, Bounds, Estimate, IntervalInfo, Label, Outlook, Prediction
from okawari.formats import format_coverage, start_sentence
from okawari.schema.transforms import Difference, LogReturn, Transform
from ui.markup import render
from ui.pages.answers import list_numbers, list_probabilities
from ui.pages.chart import choose_shown
from ui.pages.formats import format_amount, format_share, format_step_time
from ui.pages.steps import find_start, lay_out_steps, read_local
from ui.pages.wording import describe_training_data, name_rows
from ui.view_model import Facts

SHOWN_LABELS = ("Most probable", "Second", "Third")


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One number or label of a prediction, with its name, its time or subject, and a note."""

    label: str
    when: str
    amount: str
    note: str


def write_heading(facts: Facts) -> str:
    """Heading above the chart: its contents, the model version, and the interval's coverage."""
    target, answer = facts.case.target, facts.forecast
    named = start_sentence(target.description.rstrip(".")) or f"Target: {_in_words(target.name)}"
    shared = {"title": facts.case.title, "named": ", ".join(filter(None, (named, target.unit)))}
    if answer is None:
        return render("heading", **shared, model=None)
    first = answer.predictions[0]
    learned = describe_training_data(facts.case.layout, answer.model.trained_until)
    lacking, promise = _describe_trust(list_numbers(first))
    details = {"answer": _name_answer(first), "learned": learned, "lacking": lacking, "promise": promise}
    return render("heading", **shared, **details, model=answer.model)


@singledispatch
def _name_answer(predicted: AnyPrediction) -> str:
    """Name of the answer in the heading."""
    raise NotImplementedError(f"No name is defined for {type(predicted).__name__}; register it here.")


@_name_answer.register(Prediction)
@_name_answer.register(Outlook)
def _(predicted: Prediction | Outlook) -> str:
    return "Forecast"


@_name_answer.register(Estimate)
@_name_answer.register(Label)
def _(predicted: Estimate | Label) -> str:
    return "Answer for the newest record"


def _describe_trust(numbers: Sequence[Prediction | Estimate]) -> tuple[str, str]:
    """Why the first number has no interval, and the coverage of its interval; one is empty, or both without numbers."""
    if not numbers:
        return "", ""
    interval = numbers[0].interval
    if interval is None:
        return numbers[0].note or "this model has no calibrated interval.", ""
    return "", format_coverage(interval.coverage_share, interval.measured_share)


def write_outlook(facts: Facts) -> str:
    """The prediction as tiles; for forecasts the last value, the next step and the last step."""
    if facts.forecast is None:
        return write_placeholder(facts)
    first = facts.forecast.predictions[0]
    return render("outlook", tiles=_list_tiles(first, facts), kind=_choose_style(first))


@singledispatch
def _choose_style(predicted: AnyPrediction) -> str:
    """An additional CSS class; tiles with long texts need more width."""
    return ""


@_choose_style.register
def _(predicted: Outlook) -> str:
    return " ok-answers"


@singledispatch
def _list_tiles(predicted: AnyPrediction, facts: Facts) -> list[Tile]:
    """The prediction as tiles."""
    raise NotImplementedError(f"No tiles are defined for {type(predicted).__name__}; register them here.")


@_list_tiles.register
def _(predicted: Prediction, facts: Facts) -> list[Tile]:
    level = format_amount(predicted.level, predicted.unit)
    last = Tile(label="Last value", when=format_step_time(find_start(predicted)), amount=level, note="")
    steps = sorted({1, len(predicted.mean)})
    return [last, *(_write_step_tile(predicted, step, facts.case) for step in steps)]


def _write_step_tile(predicted: Prediction, step: int, case: Case) -> Tile:
    days = lay_out_steps(predicted).days
    return Tile(
        label="Next step" if step == 1 else f"Step {step}",
        when="" if days is None else format_step_time(days[step], weekday=True),
        amount=format_amount(predicted.mean[step - 1], predicted.unit),
        note=_explain_step(predicted, step - 1, case),
    )


@_list_tiles.register
def _(predicted: Outlook, facts: Facts) -> list[Tile]:
    when = format_step_time(read_local(predicted.times[0])) if predicted.times else "next reading"
    return [_write_head_tile(head, name, when) for name, head in predicted.heads.items()]


@_list_tiles.register
def _(predicted: Estimate, facts: Facts) -> list[Tile]:
    what = _in_words(facts.case.target.name)
    amount = format_amount(predicted.value, predicted.unit)
    return [Tile(label="Newest record", when=what, amount=amount, note=_write_span(predicted))]


@_list_tiles.register
def _(predicted: Label, facts: Facts) -> list[Tile]:
    ranked = sorted(predicted.probabilities.items(), key=lambda each: -each[1])
    return [
        Tile(label=rank, when="newest record", amount=label, note=format_share(share))
        for rank, (label, share) in zip(SHOWN_LABELS, ranked, strict=False)
    ]


@singledispatch
def _write_head_tile(predicted: Estimate | Label, name: str, when: str) -> Tile:
    """The tile of one of several targets."""
    raise NotImplementedError(f"No tile is defined for {type(predicted).__name__}; register it here.")


@_write_head_tile.register
def _(predicted: Estimate, name: str, when: str) -> Tile:
    """The number with its interval."""
    amount, title = format_amount(predicted.value, predicted.unit), start_sentence(_in_words(name))
    return Tile(label=title, when=when, amount=amount, note=_write_span(predicted))


@_write_head_tile.register
def _(predicted: Label, name: str, when: str) -> Tile:
    """The most probable label with the others."""
    ranked = sorted(predicted.probabilities.items(), key=lambda each: -each[1])
    shares = " · ".join(f"{label} {format_share(share, digits=0)}" for label, share in ranked)
    return Tile(label=start_sentence(_in_words(name)), when=when, amount=predicted.word, note=shares)


def _write_span(predicted: Estimate) -> str:
    bounds: Bounds | None = predicted.interval
    if bounds is None:
        return "no interval"
    return f"{format_amount(bounds.lower, predicted.unit)} to {format_amount(bounds.upper, predicted.unit)}"


def write_history_caption(facts: Facts) -> str:
    """The caption of the long chart."""
    if facts.recent is None:
        return ""
    what = f"{name_rows(facts.case.layout)}{_describe_shown(facts.case.task, facts.case)}"
    return render("caption", text=f"The last {len(facts.recent)} {what}", hint="")


@singledispatch
def _describe_shown(task: object, case: Case) -> str:
    """The drawn quantity, after a colon."""
    raise NotImplementedError(f"No words are defined for {type(task).__name__}; register them here.")


@_describe_shown.register
def _(task: Forecast, case: Case) -> str:
    return ""


@_describe_shown.register(Regress)
@_describe_shown.register(Classify)
def _(task: Regress | Classify, case: Case) -> str:
    return f": {_in_words(case.target.name)}"


@_describe_shown.register
def _(task: Anticipate, case: Case) -> str:
    shown = choose_shown(task)
    rows = "reading" if shown.lag == 1 else "readings"
    growth = f"{'change of growth' if shown.change else 'growth'} over {shown.lag} {rows}, {shown.unit}"
    return f": {growth}" + (f", and the bounds of {shown.name}" if shown.bounds else "")


def write_ahead_caption(facts: Facts) -> str:
    """The caption of the close-up. Its x axis counts steps; without the times of steps, it says why."""
    return "" if facts.forecast is None else _write_ahead(facts.forecast.predictions[0], facts)


@singledispatch
def _write_ahead(predicted: AnyPrediction, facts: Facts) -> str:
    """The caption of probabilities; empty if the answer has none."""
    return render("caption", text="Probabilities", hint="") if list_probabilities(predicted) else ""


@_write_ahead.register
def _(predicted: Prediction, facts: Facts) -> str:
    return render("caption", text=f"Next {len(predicted.mean)} steps", hint=predicted.times_note or "")


def _explain_step(predicted: Prediction, index: int, case: Case) -> str:
    change = _explain_change(case.task.transform, predicted, index)
    interval: IntervalInfo | None = predicted.interval
    if interval is None:
        return f"{change} · no interval"
    lower, upper = interval.lower[index], interval.upper[index]
    return f"{change} · {format_amount(lower, predicted.unit)} to {format_amount(upper, predicted.unit)}"


@singledispatch
def _explain_change(transform: Transform, predicted: Prediction, index: int) -> str:
    """The change from the last value to a step."""
    raise NotImplementedError(f"No words are defined for {type(transform).__name__}; register them here.")


@_explain_change.register
def _(transform: LogReturn, predicted: Prediction, index: int) -> str:
    """Growth as a share of the last value."""
    return format_share(predicted.mean[index] / predicted.level - 1, signed=True, digits=2) if predicted.level else ""


@_explain_change.register
def _(transform: Difference, predicted: Prediction, index: int) -> str:
    """A difference, which may start at zero, in its unit."""
    return format_amount(predicted.mean[index] - predicted.level, predicted.unit, signed=True)


def write_placeholder(facts: Facts) -> str:
    """Instructions that are shown if there is no forecast."""
    run, rows = f"okawari run {facts.case.name}", name_rows(facts.case.layout)
    if facts.recent is None:
        before, command, after = f"No {rows} have been ingested. Run", run, ": it ingests, trains and deploys."
    elif facts.served is None:
        before = f"{rows.capitalize()} are stored, but the prediction service does not answer. Start it with"
        command, after = "okawari up", "."
    else:
        before, command, after = f"{rows.capitalize()} are stored, but no model is served yet. Run", run, "."
    return render("placeholder", before=before, command=command, after=after)


def _in_words(name: str) -> str:
    return name.replace("_", " ")
