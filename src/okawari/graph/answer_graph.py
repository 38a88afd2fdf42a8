"""Compute answers from what models have learned to predict, by the answer stage of every full graph.

So out-of-sample predictions of any family become answers and intervals without a graph of their own.
Shapes: B windows, H columns of an answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.graph.build import seal_model
from okawari.graph.inference import Answer, Graph
from okawari.graph.transforms import build_answer_stage
from okawari.models.cores import Interval
from okawari.models.scales import measure_centred
from okawari.models.windows import Floats, WindowSet


def compute_answer(r_BH: Floats, windows: WindowSet, case: Case, interval: Interval | None = None) -> Answer:
    """Answers to windows whose predicted `r_BH` are given, with the bounds of an interval.

    Raises:
        InvalidInput: the interval has another width than the case's answers.
    """
    stage = build_answer_stage(case.task.transform, case, interval)
    session = _load_cached(seal_model(stage, {"case": case.name})).session
    names = [output.name for output in session.get_outputs()]
    taken = {each.name: _take(each.name, r_BH, windows, case) for each in session.get_inputs()}
    outputs = dict(zip(names, session.run(names, taken), strict=True))
    share = None if interval is None else interval.coverage_share
    return Answer(outputs["mean"], outputs.get("lower"), outputs.get("upper"), share)


def _take(name: str, r_BH: Floats, windows: WindowSet, case: Case) -> NDArray[Any]:
    """An input of the answer stage: the predictions, the last level, or what the scale of an interval reads."""
    if name == "r":
        return np.ascontiguousarray(r_BH, dtype=np.float32)
    if name == "level":
        return windows.level_B[:, None]
    if name == "z":
        return windows.z_BSK
    w_BT = measure_centred(windows, case.task.window_transform)
    return np.concatenate([w_BT, w_BT], axis=1, dtype=np.float32)


@lru_cache(maxsize=64)
def _load_cached(content: bytes) -> Graph:
    return Graph.load(content)
