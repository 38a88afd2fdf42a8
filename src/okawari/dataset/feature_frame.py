"""Features of a whole series as a frame, computed by the very graph that the models read through."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.dataset.arrays import to_array
from okawari.graph.feature_graph import compute_features
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout


def compute_feature_frame(readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    """What drift looks at, one row per reading: of records their columns as they are, of a series its features.

    A series has no row for its first reading, because a feature may look one reading back.

    Returns:
        The time column and one float64 column per feature.
    """
    return _compute(case.layout, readings, case)


@singledispatch
def _compute(layout: DataLayout, readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    raise NotImplementedError(f"No features are computed for {type(layout).__name__}.")


@_compute.register
def _take_columns(layout: RecordLayout, readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    return readings[[case.time, *case.column_names]].reset_index(drop=True)


@_compute.register
def _compute_series(layout: SeriesLayout, readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    x_1NF = to_array(readings, case).astype(np.float32)[None]
    features = pd.DataFrame(compute_features(case, x_1NF)[0].astype(np.float64), columns=list(case.feature_names))
    features.insert(0, case.time, readings[case.time].to_numpy()[1:])
    return features
