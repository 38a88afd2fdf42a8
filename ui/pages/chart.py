"""The charts: the newest readings and the prediction of the served model. Only home of plotly.

Two figures share one style. `draw_history` shows about a year. `draw_ahead` shows the last days and the steps ahead;
its x axis counts steps from the last reading (0 = last reading, +1 = next step). Colours are mid-tones that are legible
on light and dark backgrounds; text and grid take their colour from the page's style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import pandas as pd
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from okawari.case import Anticipate, Classify, Forecast, Growth, Regress
from okawari.clients.wire import AnyPrediction, Estimate, Label, Outlook, Prediction
from ui.markup import Markup
from ui.pages.answers import Probability, list_probabilities
from ui.pages.formats import format_amount, format_share, format_step_time
from ui.pages.steps import Steps, find_start, lay_out_steps, list_days
from ui.view_model import Facts

__all__ = ["Figure", "choose_shown", "draw_ahead", "draw_history"]

AHEAD_READINGS = 10  # readings left of the forecast in the close-up; more would squeeze the steps
_INK, _ACCENT, _BAND = "#78829a", "#0d9488", "rgba(13, 148, 136, 0.16)"
_GRID = "rgba(128, 128, 128, 0.16)"
_TICKS = {"exponentformat": "none", "separatethousands": True}
"""Ticks in which neighbours differ: without a format of its own, plotly gives them the digits of their distance."""


def draw_history(facts: Facts) -> Figure | None:
    """The newest readings with the prediction; None if nothing has been ingested."""
    return None if facts.recent is None else _draw_past(facts.case.task, facts, facts.recent)


@singledispatch
def _draw_past(task: object, facts: Facts, recent: pd.DataFrame) -> Figure:
    """Draw the newest readings in the chart of this task."""
    raise NotImplementedError(f"No chart is defined for {type(task).__name__}; register it here.")


@_draw_past.register
def _(task: Forecast, facts: Facts, recent: pd.DataFrame) -> Figure:
    """A line with the forecast at its end."""
    days, values, unit = list_days(facts), recent[facts.case.target.name], _unit(facts)
    figure = Figure(layout=_layout(unit))
    figure.add_scatter(x=days, y=values, name="reading", line={"color": _INK, "width": 1.6}, **_hover(unit, values))
    _add_answer(figure, facts)
    figure.update_xaxes(hoverformat="%a %-d %b %Y", tickformat="%b ’%y", nticks=6)
    figure.update_xaxes(range=[days.iloc[0], days.iloc[-1] + (days.iloc[-1] - days.iloc[0]) * 0.05])
    return figure


@_draw_past.register
def _(task: Anticipate, facts: Facts, recent: pd.DataFrame) -> Figure:
    """The predicted growth over time."""
    return _draw_growth(list_days(facts), recent[facts.case.target.name], choose_shown(task))


@_draw_past.register
def _(task: Regress, facts: Facts, recent: pd.DataFrame) -> Figure:
    """The distribution of the numbers, with the prediction for the newest record."""
    figure = Figure(layout=_layout(""))
    values = recent[facts.case.target.name]
    figure.add_histogram(x=values, nbinsx=30, marker={"color": _INK}, hovertemplate="%{x}: %{y}<extra></extra>")
    figure.update_xaxes(title=_unit(facts), **_TICKS)
    _add_answer(figure, facts)
    return figure


@_draw_past.register
def _(task: Classify, facts: Facts, recent: pd.DataFrame) -> Figure:
    """The number of rows of each label."""
    counts = recent[facts.case.target.name].value_counts()
    labels = tuple(dict.fromkeys((*facts.case.target.labels, *counts.index)))
    counts = counts.reindex(labels, fill_value=0)
    figure = Figure(layout=_layout(""))
    hover = "%{x}: %{y}<extra></extra>"
    figure.add_bar(x=list(labels), y=counts.tolist(), marker={"color": _INK}, hovertemplate=hover)
    figure.update_xaxes(type="category")
    return figure


def _add_answer(figure: Figure, facts: Facts) -> None:
    if facts.forecast is not None:
        _add_prediction(facts.forecast.predictions[0], figure)


@singledispatch
def _add_prediction(predicted: AnyPrediction, figure: Figure) -> None:
    """Add the prediction to the chart of the newest readings; labels and growth have separate charts."""


@_add_prediction.register
def _(predicted: Prediction, figure: Figure) -> None:
    """The steps at their times; an answer without times is drawn by steps in the other chart only."""
    steps = lay_out_steps(predicted)
    if steps.days is not None:
        _add_forecast(figure, steps, predicted, steps.days)


@_add_prediction.register
def _(predicted: Estimate, figure: Figure) -> None:
    figure.add_vline(x=predicted.value, line={"color": _ACCENT, "width": 2, "dash": "dot"})


def draw_ahead(facts: Facts) -> Figure | None:
    """The last readings and the steps ahead, or the probabilities of labels; None if there are neither."""
    return None if facts.forecast is None else _draw_prediction(facts.forecast.predictions[0], facts)


@singledispatch
def _draw_prediction(predicted: AnyPrediction, facts: Facts) -> Figure | None:
    """Draw the prediction in a separate chart."""
    raise NotImplementedError(f"No chart is defined for {type(predicted).__name__}; register it here.")


@_draw_prediction.register
def _(predicted: Prediction, facts: Facts) -> Figure | None:
    figure = Figure(layout=_layout(predicted.unit))
    days = list_days(facts)
    known = days[days <= find_start(predicted)].tail(AHEAD_READINGS)
    if facts.recent is not None and len(known):
        _add_known_steps(figure, known, facts.recent[facts.case.target.name].loc[known.index], _unit(facts))
    steps = lay_out_steps(predicted)
    _add_forecast(figure, steps, predicted, None)
    figure.update_xaxes(**_step_axis(len(known), steps))
    return figure


@_draw_prediction.register
def _(predicted: Estimate, facts: Facts) -> Figure | None:
    return None


@_draw_prediction.register
def _(predicted: Label, facts: Facts) -> Figure | None:
    shares = list_probabilities(predicted)
    figure = _draw_probabilities([each.label for each in shares], shares)
    figure.update_xaxes(type="category")
    return figure


@_draw_prediction.register
def _(predicted: Outlook, facts: Facts) -> Figure | None:
    """The labels of all targets side by side."""
    shares = list_probabilities(predicted)
    if not shares:
        return None
    return _draw_probabilities([[each.target for each in shares], [each.label for each in shares]], shares)


def _draw_probabilities(x: Sequence[str] | Sequence[Sequence[str]], shares: Sequence[Probability]) -> Figure:
    figure = Figure(layout=_layout(""))
    colors = [_ACCENT if each.is_answer else _INK for each in shares]
    heights = [each.share for each in shares]
    figure.add_bar(x=x, y=heights, marker={"color": colors}, hovertemplate="%{x}: %{y:.1%}<extra></extra>")
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def choose_shown(task: Anticipate) -> Growth:
    """The target whose growth is drawn: the first that is not a change of growth, else the first target."""
    return next((target for target in task.targets if not target.change), task.targets[0])


def _draw_growth(days: pd.Series, levels: pd.Series, target: Growth) -> Figure:
    """The target's growth over time, with a line at each bound between two labels."""
    values = pd.Series(target.measure(levels.to_numpy()), index=levels.index).dropna()
    days = days.loc[values.index]
    figure = Figure(layout=_layout(target.unit))
    line = {"color": _INK, "width": 1.6}
    figure.add_scatter(x=days, y=values, name=target.name, line=line, **_hover(target.unit, values))
    for bound, label in zip(target.bounds, target.labels[1:], strict=True):
        text = f"{label} from {bound:.15g}"
        line = {"color": _ACCENT, "width": 1, "dash": "dot"}
        figure.add_hline(y=bound, line=line, annotation={"text": text}, annotation_position="top left")
    figure.update_xaxes(hoverformat="%b %Y", nticks=6)
    return figure


def _add_known_steps(figure: Figure, days: pd.Series, values: pd.Series, unit: str) -> None:
    numbers = list(range(-len(days) + 1, 1))
    when = [format_step_time(day, weekday=True) for day in days]
    figure.add_scatter(
        x=numbers,
        y=values,
        name="reading",
        mode="lines+markers",
        line={"color": _INK, "width": 1.6},
        marker={"size": 4},
        customdata=[[day, *amount] for day, amount in zip(when, _write_amounts(unit, values), strict=True)],
        hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
    )


def _add_forecast(figure: Figure, steps: Steps, forecast: Prediction, days: list[pd.Timestamp] | None) -> None:
    """Draw the steps at these days or, without days, at their numbers."""
    by_step = days is None
    x = steps.numbers if days is None else days
    if steps.lower is not None and steps.upper is not None:
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*steps.upper, *reversed(steps.lower)],
            name="interval",
            mode="none",
            fill="toself",
            fillcolor=_BAND,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=x,
        y=steps.mean,
        name="forecast",
        mode="lines+markers" if by_step else "lines",
        line={"color": _ACCENT, "width": 2, "dash": "dot" if by_step else "solid"},
        marker={"size": [0] + [7] * (len(x) - 1)},
        customdata=[[_describe_step(steps, forecast, number)] for number in steps.numbers],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _describe_step(steps: Steps, forecast: Prediction, number: int) -> str:
    unit, amount = forecast.unit, format_amount(steps.mean[number], forecast.unit)
    if number == 0:
        return _write_hover("Last known, {}<br><b>{}</b>", format_step_time(steps.start), amount)
    when = "" if steps.days is None else f", {format_step_time(steps.days[number], weekday=True)}"
    text = _write_hover("Step {}{}<br><b>{}</b>", number, when, amount)
    if forecast.interval is None or steps.lower is None or steps.upper is None:
        return f"{text}<br>no interval"
    span = f"{format_amount(steps.lower[number], unit)} to {format_amount(steps.upper[number], unit)}"
    share = format_share(forecast.interval.coverage_share, digits=0)
    return text + _write_hover("<br>{} interval: {}", share, span)


def _write_hover(pattern: str, *values: object) -> str:
    """The text of a tooltip. Plotly renders it as HTML, so values are escaped."""
    return str(Markup(pattern).format(*values))


def _step_axis(n_known: int, steps: Steps) -> dict[str, object]:
    before = [number for number in range(-AHEAD_READINGS, 0, 5) if -number < n_known]
    ticks = [*before, 0, *steps.numbers[1::2]]
    return {
        "tickvals": ticks,
        "ticktext": [f"−{-number}" if number < 0 else f"+{number}" if number else "0" for number in ticks],
        "range": [min(-n_known + 1, 0) - 0.4, steps.numbers[-1] + 0.6],
        "zeroline": True,
        "zerolinecolor": _GRID,
    }


def _hover(unit: str, values: pd.Series) -> dict[str, object]:
    return {
        "customdata": _write_amounts(unit, values),
        "hovertemplate": "%{x}<br><b>%{customdata[0]}</b><extra></extra>",
    }


def _write_amounts(unit: str, values: pd.Series) -> list[list[str]]:
    return [[_write_hover("{}", format_amount(value, unit))] for value in values]


def _unit(facts: Facts) -> str:
    return facts.case.target.unit


def _layout(unit: str) -> go.Layout:
    plain = {"zeroline": False, "fixedrange": True, "automargin": True, "tickangle": 0, "tickcolor": "rgba(0,0,0,0)"}
    prefix = "$" if unit == "USD" else ""
    return go.Layout(
        template="none",
        height=300,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#78716c"},
        showlegend=False,
        hovermode="closest",
        hoverdistance=40,
        hoverlabel={"align": "left", "font": {"family": "system-ui, sans-serif", "size": 12}},
        dragmode=False,
        xaxis=plain | {"showgrid": False, "ticklen": 4},
        yaxis=plain | {"gridcolor": _GRID, "nticks": 6, "tickprefix": prefix} | _TICKS,
    )
