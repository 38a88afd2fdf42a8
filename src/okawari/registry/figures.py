"""Figures of a training run: loss curves, and answers against true values. Only home of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from okawari.case import Case
from okawari.formats import format_share
from okawari.graph.inference import Answer
from okawari.models.windows import WindowSet
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_history(history: Sequence[Mapping[str, float]], title: str) -> Figure:
    """Numbers per epoch, one line each, on a logarithmic scale."""
    figure, axes = _new_figure(title)
    epochs = range(1, len(history) + 1)
    for name in history[0]:
        axes.plot(epochs, [numbers[name] for numbers in history], label=name)
    axes.set_xlabel("epoch")
    axes.set_yscale("log")
    axes.legend(frameon=False)
    return figure


def draw_holdout(answer: Answer, holdout: WindowSet, case: Case, title: str) -> Figure:
    """Answers against true values, one panel for each head: for series, numbers over time (for forecasts, the first
    step); for records, numbers as points; for labels, a confusion matrix.
    """
    heads = case.task.heads
    figure, panels = _new_figures(title, len(heads))
    if not any(head.has_interval for head in heads) and len(heads) == 1:
        figure.set_size_inches(6, 5)
    for axes, head in zip(panels, heads, strict=True):
        if len(heads) > 1:
            axes.set_title(head.name)
        _draw_head(head, axes, answer, holdout, case)
    return figure


def name_figure(case: Case) -> str:
    """File name of the holdout's figure: `confusion.png` where all answers are labels, else `holdout.png`."""
    return "holdout.png" if any(head.has_interval for head in case.task.heads) else "confusion.png"


@singledispatch
def _draw_head(head: Head, axes: Axes, answer: Answer, holdout: WindowSet, case: Case) -> None:
    raise NotImplementedError(f"No figure is defined for {type(head).__name__}; register one here.")


@_draw_head.register(NumberHead)
def _draw_number(head: NumberHead, axes: Axes, answer: Answer, holdout: WindowSet, case: Case) -> None:
    _draw_layout(case.layout, axes, answer, holdout, head, case)


@singledispatch
def _draw_layout(layout: DataLayout, axes: Axes, answer: Answer, holdout: WindowSet, head: Head, case: Case) -> None:
    raise NotImplementedError(f"No figure is defined for {type(layout).__name__}; register one here.")


@_draw_layout.register(SeriesLayout)
def _draw_time(layout: SeriesLayout, axes: Axes, answer: Answer, holdout: WindowSet, head: Head, case: Case) -> None:
    column, truth_B = head.start, holdout.true_BH[:, head.start]
    axes.set_ylabel(head.unit or f"{case.target.name} ({case.target.unit})")
    if answer.lower_BH is not None and answer.upper_BH is not None:
        label = f"{format_share(case.coverage_share or 0.0)} interval"
        lower_B, upper_B = answer.lower_BH[:, column], answer.upper_BH[:, column]
        axes.fill_between(holdout.at_B, lower_B, upper_B, alpha=0.2, label=label)
    axes.plot(holdout.at_B, truth_B, color="black", linewidth=1, label="truth")
    axes.plot(holdout.at_B, answer.mean_BH[:, column], linewidth=1, label="one step ahead")
    axes.legend(frameon=False)
    axes.tick_params(axis="x", rotation=30)


@_draw_head.register(LabelHead)
def _draw_confusion(head: LabelHead, axes: Axes, answer: Answer, holdout: WindowSet, case: Case) -> None:
    """How often each label (column) was predicted for each true label (row)."""
    labels = head.labels
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    true_B, predicted_B = (values_BH[:, head.columns].argmax(axis=1) for values_BH in (holdout.r_BH, answer.mean_BH))
    np.add.at(counts, (true_B, predicted_B), 1)
    axes.imshow(counts, cmap="Greens")
    for row, column in np.ndindex(counts.shape):
        ink = "white" if counts[row, column] > counts.max() / 2 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(labels)), labels)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")


@_draw_layout.register(RecordLayout)
def _draw_points(layout: RecordLayout, axes: Axes, answer: Answer, holdout: WindowSet, head: Head, case: Case) -> None:
    axes.scatter(answer.mean_BH[:, 0], holdout.level_B, s=12, color="black", alpha=0.6)
    both = [
        float(min(holdout.level_B.min(), answer.mean_BH.min())),
        float(max(holdout.level_B.max(), answer.mean_BH.max())),
    ]
    axes.plot(both, both, linewidth=1, color="grey")
    axes.set_xlabel(f"answered ({case.target.unit})")
    axes.set_ylabel(f"true ({case.target.unit})")


def _new_figure(title: str) -> tuple[Figure, Axes]:
    figure, [axes] = _new_figures(title, 1)
    return figure, axes


def _new_figures(title: str, n_panels: int) -> tuple[Figure, list[Axes]]:
    """A figure and its panels side by side."""
    # The object interface, because pyplot keeps every figure in memory and needs a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8 if n_panels == 1 else 5 * n_panels, 4), layout="constrained")
    panels = list(figure.subplots(1, n_panels, squeeze=False)[0])
    if n_panels > 1:
        figure.suptitle(title)
    else:
        panels[0].set_title(title)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
