"""Figures for the training record: loss curve, and answers against the truth. Only home of matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from okawari.case import Case
from okawari.graph import Answer
from okawari.models.recipe import WindowSet

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
    """Answers against the truth: of a forecast step 1 over time, of records point by point, of labels their counts."""
    if case.target.labels:
        return _draw_confusion(answer, holdout, case, title)
    if not case.is_series:
        return _draw_points(answer, holdout, case, title)
    figure, axes = _new_figure(title)
    truth_B = holdout.level_B * np.exp(holdout.r_BH[:, 0])
    if answer.lower_BH is not None and answer.upper_BH is not None:
        label = f"{case.coverage_share:.0%} interval"
        axes.fill_between(holdout.at_B, answer.lower_BH[:, 0], answer.upper_BH[:, 0], alpha=0.2, label=label)
    axes.plot(holdout.at_B, truth_B, color="black", linewidth=1, label="truth")
    axes.plot(holdout.at_B, answer.mean_BH[:, 0], linewidth=1, label="one step ahead")
    axes.set_ylabel(f"{case.target.name} ({case.target.unit})")
    axes.legend(frameon=False)
    figure.autofmt_xdate()
    return figure


def _draw_confusion(answer: Answer, holdout: WindowSet, case: Case, title: str) -> Figure:
    """How often each true label (row) was answered with each label (column)."""
    figure, axes = _new_figure(title)
    figure.set_size_inches(6, 5)
    labels = case.target.labels
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (holdout.r_BH.argmax(axis=1), answer.mean_BH.argmax(axis=1)), 1)
    axes.imshow(counts, cmap="Greens")
    for row, column in np.ndindex(counts.shape):
        ink = "white" if counts[row, column] > counts.max() / 2 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(labels)), labels)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    return figure


def _draw_points(answer: Answer, holdout: WindowSet, case: Case, title: str) -> Figure:
    figure, axes = _new_figure(title)
    axes.scatter(answer.mean_BH[:, 0], holdout.level_B, s=12, color="black", alpha=0.6)
    both = [
        float(min(holdout.level_B.min(), answer.mean_BH.min())),
        float(max(holdout.level_B.max(), answer.mean_BH.max())),
    ]
    axes.plot(both, both, linewidth=1, color="grey")
    axes.set_xlabel(f"answered ({case.target.unit})")
    axes.set_ylabel(f"true ({case.target.unit})")
    return figure


def _new_figure(title: str) -> tuple[Figure, Axes]:
    # The object interface, because pyplot keeps every figure alive and wants a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
