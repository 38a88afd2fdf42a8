"""Compute answers from what models have learned to predict, by the answer stage of every full graph.

So out-of-sample predictions of any family become answers and intervals without a graph of their own.
Shapes: B windows, H columns of an answer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnx

from okawari.case import Case
from okawari.graph.build import seal_model
from okawari.graph.inference import Answer, Graph
from okawari.graph.reading_stage import build_reading_stage
from okawari.graph.transforms import build_answer_stage
from okawari.models.cores import Interval
from okawari.models.windows import Floats, WindowSet

LEARNED = "r"
"""Input of an answer stage: what a model predicts. Its other inputs are read from the windows."""


def compute_answer(r_BH: Floats, windows: WindowSet, case: Case, interval: Interval | None = None) -> Answer:
    """Answers to windows whose predicted `r_BH` are given, with the bounds of an interval.

    Raises:
        InvalidInput: the interval has another width than the case's answers.
    """
    stage = build_answer_stage(case.task.transform, case, interval)
    given = {**_read(stage, windows, case), LEARNED: np.ascontiguousarray(r_BH, dtype=np.float32)}
    session = _load(stage, case).session
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, given), strict=True))
    share = None if interval is None else interval.coverage_share
    return Answer(outputs["mean"], outputs.get("lower"), outputs.get("upper"), share)


def _read(stage: onnx.ModelProto, windows: WindowSet, case: Case) -> dict[str, np.ndarray]:
    """What a stage takes from the windows, by the reading stage of the full graph."""
    own = {LEARNED, *(each.name for each in stage.graph.initializer)}
    names = tuple(each.name for each in stage.graph.input if each.name not in own)
    if not names:
        return {}
    reading = build_reading_stage(case.layout, case, names, windows.imputation)
    return dict(_load(reading, case).run(windows.x_BTF))


def _load(stage: onnx.ModelProto, case: Case) -> Graph:
    return _load_cached(seal_model(stage, {"case": case.name}))


@lru_cache(maxsize=64)
def _load_cached(content: bytes) -> Graph:
    return Graph.load(content)
