"""The forecast in words and numbers, beside the chart, and what to do where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from okawari.case import Anticipate, Case
from ui.client import Outlook, Prediction, RecordAnswer, Said
from ui.pages.chart import choose_shown, lay_out_steps, list_days, rests_on_weekends
from ui.pages.formats import format_amount, format_day, format_share
from ui.view_model import Facts


def write_heading(facts: Facts) -> str:
    """Heading above the chart: what it shows, which model speaks, and how sure it is."""
    target = facts.case.target
    named = ", ".join(filter(None, (target.name.replace("_", " ").capitalize(), target.unit)))
    return (
        f'<div class="ok-heading"><h2>{escape(facts.case.title)}</h2>'
        f"<p>{escape(named)}. {_name_speaker(facts)}</p></div>"
    )


def _name_speaker(facts: Facts) -> str:
    forecast = facts.forecast
    if forecast is None:
        return "No forecast yet."
    model = forecast.model
    said = "Answer for the newest record" if isinstance(forecast, RecordAnswer) else "Forecast"
    text = (
        f"{said} by <b>{escape(model.candidate)}</b> version {escape(model.version)} ({escape(model.variant)}), "
        f"trained on readings until {format_day(model.trained_until)}."
    )
    numbers = [each for each in _list_answers(forecast) if isinstance(each, Prediction) or each.label is None]
    if not numbers:
        return text
    band, note = numbers[0].band, numbers[0].note
    if band is None:
        return f"{text} <b>No interval:</b> {escape(note or 'this model has none that is calibrated.')}"
    share, what = format_share(band.coverage_share, digits=0), "interval" if isinstance(forecast, Outlook) else "band"
    measured = band.measured_share
    held = "" if measured is None else f", and held {format_share(measured, digits=0)} of those held out"
    return f"{text} The {what} is meant to hold {share} of the true values{held}."


def _list_answers(forecast: Said) -> Sequence[Prediction | RecordAnswer]:
    return tuple(forecast.heads.values()) if isinstance(forecast, Outlook) else (forecast,)


def write_outlook(facts: Facts) -> str:
    """The forecast in numbers: the last value, the next step, the last step."""
    forecast = facts.forecast
    if forecast is None:
        return write_placeholder(facts)
    if isinstance(forecast, RecordAnswer):
        return _outlook(_list_record_tiles(forecast))
    if isinstance(forecast, Outlook):
        return _outlook([_write_head_tile(name, answer) for name, answer in forecast.heads.items()], " ok-answers")
    days = lay_out_steps(forecast, list_days(facts)).days
    tiles = [_tile("Last value", format_day(days[0]), format_amount(forecast.level, forecast.unit), "")]
    for step in sorted({1, len(forecast.mean)}):
        label = "Next step" if step == 1 else f"Step {step}"
        when = f"expected {days[step]:%a} {format_day(days[step])}"
        amount = format_amount(forecast.mean[step - 1], forecast.unit)
        tiles.append(_tile(label, when, amount, _explain_step(forecast, step - 1, facts.case)))
    return _outlook(tiles)


def _outlook(tiles: Sequence[str], kind: str = "") -> str:
    return f'<div class="ok-outlook{kind}" data-testid="outlook">{"".join(tiles)}</div>'


def _write_head_tile(name: str, answer: RecordAnswer) -> str:
    """One of several answers: its number with the interval, or its most probable label with the others."""
    title = escape(name.replace("_", " ").capitalize())
    if answer.label is None:
        assert answer.value is not None, "an answer is a label or a number"
        return _tile(title, "next reading", format_amount(answer.value, answer.unit), _write_span(answer))
    ranked = sorted(answer.probabilities.items(), key=lambda each: -each[1])
    shares = [f"{escape(label)} {format_share(share, digits=0)}" for label, share in ranked]
    return _tile(title, "next reading", escape(answer.label), " · ".join(shares))


def _write_span(answer: RecordAnswer) -> str:
    if answer.band is None:
        return "no interval"
    return f"{format_amount(answer.band.lower[0], answer.unit)} to {format_amount(answer.band.upper[0], answer.unit)}"


def _list_record_tiles(answer: RecordAnswer) -> list[str]:
    """The answer for the newest record: its number and interval, or its most probable labels."""
    if answer.label is None:
        assert answer.value is not None, "an answer is a label or a number"
        return [_tile("Newest record", "answer", format_amount(answer.value, answer.unit), _write_span(answer))]
    likeliest = sorted(answer.probabilities.items(), key=lambda each: -each[1])[:3]
    ranks = ("Most probable", "Second", "Third")
    return [
        _tile(rank, "label", escape(label), format_share(share, digits=1))
        for rank, (label, share) in zip(ranks, likeliest, strict=False)
    ]


def write_history_caption(facts: Facts) -> str:
    """What the long chart shows."""
    if facts.recent is None:
        return ""
    case = facts.case
    what = "readings" if case.is_series else f"records: {escape(case.target.name.replace('_', ' '))}"
    if isinstance(case.task, Anticipate):
        shown = choose_shown(case.task)
        what += f": {'change of growth' if shown.change else 'growth'} over {shown.lag} of them, {escape(shown.unit)}"
        what += f", and the bounds of {escape(shown.name)}" if shown.bounds else ""
    return f'<p class="ok-label">The last {len(facts.recent)} {what}</p>'


def write_ahead_caption(facts: Facts) -> str:
    """What the close-up shows: its x axis counts steps, because nobody promised on which days readings come."""
    if facts.forecast is None:
        return ""
    if isinstance(facts.forecast, RecordAnswer | Outlook):
        has_labels = any(isinstance(each, RecordAnswer) and each.label for each in _list_answers(facts.forecast))
        return '<p class="ok-label">Probabilities</p>' if has_labels else ""
    n_steps = len(facts.forecast.mean)
    hint = "<span>in business days; holidays not known</span>" if rests_on_weekends(list_days(facts)) else ""
    return f'<p class="ok-label">Next {n_steps} steps{hint}</p>'


def _tile(label: str, when: str, amount: str, note: str) -> str:
    return (
        f'<div class="ok-tile"><span class="ok-label">{label}</span><span class="ok-when">{when}</span>'
        f'<strong>{amount}</strong><span class="ok-note">{note}</span></div>'
    )


def _explain_step(forecast: Prediction, index: int, case: Case) -> str:
    change = _explain_change(forecast, index, case)
    if forecast.band is None:
        return f"{change} · no interval"
    lower, upper = forecast.band.lower[index], forecast.band.upper[index]
    return f"{change} · {format_amount(lower, forecast.unit)} to {format_amount(upper, forecast.unit)}"


def _explain_change(forecast: Prediction, index: int, case: Case) -> str:
    """How far from the last value: of what grows a share of it; a difference, which may start at zero, in its unit."""
    if case.learns == "difference":
        return format_amount(forecast.mean[index] - forecast.level, forecast.unit, signed=True)
    return format_share(forecast.mean[index] / forecast.level - 1, signed=True, digits=2) if forecast.level else ""


def write_placeholder(facts: Facts) -> str:
    """What to do where there is no forecast to show."""
    name = escape(facts.case.name)
    if facts.recent is None:
        text = f"No readings have been ingested. Run <code>okawari run {name}</code>: it ingests, trains and deploys."
    elif facts.served is None:
        text = "Readings are here, but the prediction service does not answer. Start it with <code>okawari up</code>."
    else:
        text = f"Readings are here, but no model serves yet. Run <code>okawari run {name}</code>."
    return f'<div class="ok-empty" data-testid="placeholder"><p>{text}</p></div>'
