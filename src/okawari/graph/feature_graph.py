"""Compute features alone, by the same nodes as in every full graph.

The reading stage is the only place where features are computed: training, drift and serving all run it.
Shapes: B windows (dynamic), T readings, F columns, K features, H columns of an answer. Readings are float64, features
float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.case import Case
from okawari.graph.build import seal_model
from okawari.graph.inference import Graph
from okawari.graph.reading_stage import build_feature_stage, build_reading_stage
from okawari.models.windows import Floats
from okawari.schema.imputation import Imputation

_MOST_WINDOWS = 8192
"""Windows of one run, so that its tensors stay small beside the windows themselves."""


def build_feature_graph(case: Case, imputation: Imputation | None = None) -> bytes:
    """Build a graph that computes features only, by the same nodes as every full graph.

    Series: `x` [B, T, F] -> `z` [B, T - 1, K] for any T. Records: [B, 1, F] -> [B, 1, K].
    """
    stage = build_feature_stage(case.layout, case, imputation)
    return seal_model(stage, {"case": case.name})


def compute_features(case: Case, x_BTF: NDArray[np.floating[Any]], imputation: Imputation | None = None) -> Floats:
    """Compute features `z_BSK` of raw readings with the feature graph; a whole series of n readings is [1, n, F].

    `imputation` has the medians for missing values; a case whose columns allow none does not need it.
    """
    graph = _load_cached(build_feature_graph(case, imputation))
    starts = range(0, max(1, len(x_BTF)), _MOST_WINDOWS)
    return np.concatenate([graph.run(x_BTF[start : start + _MOST_WINDOWS])["z"] for start in starts])


def compute_standing(case: Case, x_BTF: NDArray[np.floating[Any]], imputation: Imputation | None = None) -> Floats:
    """Compute the current targets of an `Anticipate` case, in the last reading of each window, [B, H].

    Numbers are unchanged, labels are one-hot. The nodes are the same as in every graph of the case.
    """
    stage = build_reading_stage(case.layout, case, ("now",), imputation)
    return _load_cached(seal_model(stage, {"case": case.name})).run(x_BTF)["now"]


@lru_cache(maxsize=32)
def _load_cached(content: bytes) -> Graph:
    return Graph.load(content)
