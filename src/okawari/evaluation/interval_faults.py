"""Intervals that must not be promoted: without width, or far from their promise on the holdout.

Shapes: B windows, C columns of one head.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from okawari.formats import format_share
from okawari.graph.inference import Answer
from okawari.models.windows import WindowSet
from okawari.schema.heads import Head

LEAST_SHARE_OF_PROMISE = 0.5
"""An interval that holds less than this share of what it promises misleads more than no interval."""


def find_interval_fault(answer: Answer, windows: WindowSet, heads: Sequence[Head]) -> str | None:
    """Why an answer's intervals must not be promoted, as the end of a sentence about the candidate; None if they may.

    The coverage of a forecast is that over all of its steps.
    """
    found = (_judge_head(head, answer, windows) for head in heads if head.has_interval)
    return next((fault for fault in found if fault is not None), None)


def _judge_head(head: Head, answer: Answer, windows: WindowSet) -> str | None:
    if answer.lower_BH is None or answer.upper_BH is None or answer.coverage_share is None:
        return None
    lower_BC, upper_BC = answer.lower_BH[:, head.columns], answer.upper_BH[:, head.columns]
    if not (upper_BC > lower_BC).any():
        return f"has an interval without width for {head.name}"
    true_BC = windows.true_BH[:, head.columns]
    share = float(np.mean((lower_BC <= true_BC) & (true_BC <= upper_BC)))
    if share >= LEAST_SHARE_OF_PROMISE * answer.coverage_share:
        return None
    return (
        f"has an interval for {head.name} that held {format_share(share)} of the held-out values, less than half of "
        f"the promised {format_share(answer.coverage_share)}"
    )
