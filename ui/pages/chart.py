"""The price chart: what happened, and what the served model expects next. Only home of plotly.

Two figures share one look: `draw_history` shows about a year, `draw_ahead` the last days and the steps ahead, where
the x axis counts steps from the last reading (0 = last reading, +1 = next step). Colours are mid-tones that read on
light and dark ground; text and grid take their colour from the page's style sheet.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.graph_objects import Figure

from okawari.case import Anticipate, Growth
from ui.client import Outlook, Prediction, RecordAnswer
from ui.pages.formats import format_amount, format_day, format_share
from ui.view_model import Facts

__all__ = ["Figure", "draw_ahead", "draw_history", "expect_days", "lay_out_steps", "list_days", "rests_on_weekends"]

AHEAD_READINGS = 10  # readings left of the forecast in the close-up; more would squeeze the steps
_INK, _ACCENT, _BAND = "#78829a", "#0d9488", "rgba(13, 148, 136, 0.16)"
_GRID = "rgba(128, 128, 128, 0.16)"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A forecast laid out for drawing: step 0 is the last known value. `days` are expected, not promised."""

    numbers: list[int]
    days: list[pd.Timestamp]
    mean: list[float]
    lower: list[float] | None
    upper: list[float] | None


def lay_out_steps(forecast: Prediction, history: pd.Series) -> Steps:
    """Put a forecast's steps on the calendar, following the last reading."""
    n_steps = len(forecast.mean)
    start = pd.Timestamp(forecast.as_of)
    band = forecast.band
    return Steps(
        numbers=list(range(n_steps + 1)),
        days=[start, *expect_days(start, n_steps, history)],
        mean=[forecast.level, *forecast.mean],
        lower=[forecast.level, *band.lower] if band else None,
        upper=[forecast.level, *band.upper] if band else None,
    )


def expect_days(start: pd.Timestamp, n_steps: int, history: pd.Series) -> list[pd.Timestamp]:
    """When the next readings are expected: on business days if none came on a weekend, else at the usual distance.

    >>> days = expect_days(pd.Timestamp("2013-03-01"), 2, pd.Series(pd.bdate_range("2013-02-01", "2013-03-01")))
    >>> [f"{day:%a %d}" for day in days]
    ['Mon 04', 'Tue 05']
    """
    if rests_on_weekends(history):
        return list(pd.bdate_range(start + pd.Timedelta(days=1), periods=n_steps))
    usual = pd.Timedelta(history.diff().median())
    return [start + usual * step for step in range(1, n_steps + 1)]


def rests_on_weekends(history: pd.Series) -> bool:
    """Whether readings come daily or more often, and none on a weekend; where too few came, that is assumed."""
    if len(history) < 2:
        return True
    usual = pd.Timedelta(history.diff().median())
    return usual <= pd.Timedelta(days=1) and not (history.dt.dayofweek >= 5).any()


def draw_history(facts: Facts) -> Figure | None:
    """The newest readings with the forecast at their end; None where nothing has been ingested."""
    if facts.recent is None:
        return None
    if not facts.case.is_series:
        return _draw_spread(facts, facts.recent[facts.case.target.name])
    days, values = facts.recent[facts.case.time], facts.recent[facts.case.target.name]
    if isinstance(facts.case.task, Anticipate):
        return _draw_growth(days, values, choose_shown(facts.case.task))
    unit = _unit(facts)
    figure = Figure(layout=_layout(unit))
    figure.add_scatter(x=days, y=values, name="reading", line={"color": _INK, "width": 1.6}, **_hover(unit, values))
    if isinstance(facts.forecast, Prediction):
        _add_forecast(figure, lay_out_steps(facts.forecast, days), facts.forecast, by_step=False)
    figure.update_xaxes(hoverformat="%a %-d %b %Y", tickformat="%b ’%y", nticks=6)
    figure.update_xaxes(range=[days.iloc[0], days.iloc[-1] + (days.iloc[-1] - days.iloc[0]) * 0.05])
    return figure


def draw_ahead(facts: Facts) -> Figure | None:
    """The last readings and the steps ahead, close up; None where there is no forecast."""
    if facts.forecast is None:
        return None
    if isinstance(facts.forecast, Outlook):
        return _draw_head_probabilities(facts.forecast)
    if isinstance(facts.forecast, RecordAnswer):
        return _draw_probabilities(facts.forecast) if facts.forecast.label is not None else None
    figure = Figure(layout=_layout(facts.forecast.unit))
    days = list_days(facts)
    known = days[days <= pd.Timestamp(facts.forecast.as_of)].tail(AHEAD_READINGS)
    if facts.recent is not None and len(known):
        _add_known_steps(figure, known, facts.recent[facts.case.target.name].loc[known.index], _unit(facts))
    steps = lay_out_steps(facts.forecast, days)
    _add_forecast(figure, steps, facts.forecast, by_step=True)
    figure.update_xaxes(**_step_axis(len(known), steps))
    return figure


def choose_shown(task: Anticipate) -> Growth:
    """The target whose growth is drawn: the first that is growth itself, or the first of all."""
    return next((target for target in task.targets if not target.change), task.targets[0])


def _draw_growth(days: pd.Series, levels: pd.Series, target: Growth) -> Figure:
    """The target's growth over time, with a line where one of its labels ends and the next begins."""
    values = pd.Series(target.measure(levels.to_numpy()), index=levels.index).dropna()
    days = days.loc[values.index]
    figure = Figure(layout=_layout(target.unit))
    line = {"color": _INK, "width": 1.6}
    figure.add_scatter(x=days, y=values, name=target.name, line=line, **_hover(target.unit, values))
    for bound, label in zip(target.bounds, target.labels[1:], strict=True):
        text = f"{label} from {bound:g}"
        line = {"color": _ACCENT, "width": 1, "dash": "dot"}
        figure.add_hline(y=bound, line=line, annotation={"text": text}, annotation_position="top left")
    figure.update_xaxes(hoverformat="%b %Y", nticks=6)
    return figure


def _draw_head_probabilities(outlook: Outlook) -> Figure | None:
    """The labels of all targets side by side; None where all are numbers."""
    said = {name: answer for name, answer in outlook.heads.items() if answer.label is not None}
    if not said:
        return None
    bars = [(name, label, share) for name, answer in said.items() for label, share in answer.probabilities.items()]
    names, labels, shares = (list(part) for part in zip(*bars, strict=True))
    figure = Figure(layout=_layout(""))
    colors = [_ACCENT if said[name].label == label else _INK for name, label, _ in bars]
    figure.add_bar(x=[names, labels], y=shares, marker={"color": colors}, hovertemplate="%{x}: %{y:.1%}<extra></extra>")
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def _draw_spread(facts: Facts, values: pd.Series) -> Figure:
    """How often each label came, or how the numbers are spread, with the answer for the newest record."""
    labels, answer = facts.case.target.labels, facts.forecast
    figure = Figure(layout=_layout(""))
    if labels:
        counts = values.astype(int).value_counts().reindex(range(len(labels)), fill_value=0)
        figure.add_bar(
            x=list(labels), y=counts.tolist(), marker={"color": _INK}, hovertemplate="%{x}: %{y}<extra></extra>"
        )
        figure.update_xaxes(type="category")
        return figure
    figure.add_histogram(x=values, nbinsx=30, marker={"color": _INK}, hovertemplate="%{x}: %{y}<extra></extra>")
    figure.update_xaxes(title=_unit(facts), tickformat=",~r")
    if isinstance(answer, RecordAnswer) and answer.value is not None:
        figure.add_vline(x=answer.value, line={"color": _ACCENT, "width": 2, "dash": "dot"})
    return figure


def _draw_probabilities(answer: RecordAnswer) -> Figure:
    figure = Figure(layout=_layout(""))
    colors = [_ACCENT if label == answer.label else _INK for label in answer.probabilities]
    shares = list(answer.probabilities.values())
    figure.add_bar(
        x=list(answer.probabilities), y=shares, marker={"color": colors}, hovertemplate="%{x}: %{y:.1%}<extra></extra>"
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def list_days(facts: Facts) -> pd.Series:
    """Times of the readings at hand, ascending; empty where there are none."""
    return pd.Series([], dtype="datetime64[ns]") if facts.recent is None else facts.recent[facts.case.time]


def _add_known_steps(figure: Figure, days: pd.Series, values: pd.Series, unit: str) -> None:
    numbers = list(range(-len(days) + 1, 1))
    when = [f"{day:%a} {format_day(day)}" for day in days]
    figure.add_scatter(
        x=numbers,
        y=values,
        name="reading",
        mode="lines+markers",
        line={"color": _INK, "width": 1.6},
        marker={"size": 4},
        customdata=[[day, format_amount(value, unit)] for day, value in zip(when, values, strict=True)],
        hovertemplate="%{customdata[0]}<br><b>%{customdata[1]}</b><extra></extra>",
    )


def _add_forecast(figure: Figure, steps: Steps, forecast: Prediction, *, by_step: bool) -> None:
    x = steps.numbers if by_step else steps.days
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
    unit, day = forecast.unit, steps.days[number]
    if number == 0:
        return f"Last known, {format_day(day)}<br><b>{format_amount(steps.mean[0], unit)}</b>"
    text = f"Step {number}, expected {day:%a} {format_day(day)}<br><b>{format_amount(steps.mean[number], unit)}</b>"
    if forecast.band is None or steps.lower is None or steps.upper is None:
        return f"{text}<br>no interval"
    span = f"{format_amount(steps.lower[number], unit)} to {format_amount(steps.upper[number], unit)}"
    return f"{text}<br>{format_share(forecast.band.coverage_share, digits=0)} interval: {span}"


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
        "customdata": [[format_amount(value, unit)] for value in values],
        "hovertemplate": "%{x}<br><b>%{customdata[0]}</b><extra></extra>",
    }


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
        yaxis=plain | {"gridcolor": _GRID, "nticks": 6, "tickprefix": prefix, "tickformat": ",~r"},
    )
