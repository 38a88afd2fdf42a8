"""Features of a whole series as a frame, computed by the very graph that the models read through."""

from __future__ import annotations

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.graph import compute_features
from okawari.windows import to_array


def compute_feature_frame(readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    """The case's features, one row per reading but the first (a feature may look one reading back).

    Returns:
        The time column and one float64 column per feature.
    """
    x_BTF = to_array(readings, case).astype(np.float32)[None]
    features = pd.DataFrame(
        compute_features(case, x_BTF)[0].astype(np.float64), columns=[feature.name for feature in case.features]
    )
    features.insert(0, case.time, readings[case.time].to_numpy()[1:])
    return features
