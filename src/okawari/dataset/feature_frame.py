"""Features of a whole series as a frame, computed by the same graph as for the models."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.dataset.arrays import to_array
from okawari.dataset.steps import drop_missing_steps
from okawari.graph.feature_graph import compute_features
from okawari.schema.columns import find_numbers, find_words
from okawari.schema.imputation import Imputation, fit_imputation
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout

_MISSING = "(missing)"
"""The word that stands for a missing one."""


def compute_feature_frame(readings: pd.DataFrame, case: Case, imputation: Imputation | None = None) -> pd.DataFrame:
    """The values that drift compares, one row per reading: the columns of records, the features of a series.

    Missing numbers are imputed, by default with the medians of these readings; `find_missing` says where they were.

    A series has no row for its first reading, because a feature may use the reading before, and none for missing steps.

    Returns:
        The time column and one column per feature, float64 or words. Where records lack numbers, a column of words for
        each such feature says in which rows; a missing word is a word of its own.
    """
    known = imputation or fit_imputation(to_array(readings, case), case.input_columns)
    return _compute(case.layout, readings, case, known)


def find_missing(readings: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Where the readings lack a value: one column of truth values for each column that may miss values."""
    names = [column.name for column in case.columns if case.may_miss(column)]
    return readings[names].isna().reset_index(drop=True)


@singledispatch
def _compute(layout: DataLayout, readings: pd.DataFrame, case: Case, imputation: Imputation) -> pd.DataFrame:
    raise NotImplementedError(f"No features are defined for {type(layout).__name__}; register them here.")


@_compute.register
def _take_columns(layout: RecordLayout, readings: pd.DataFrame, case: Case, imputation: Imputation) -> pd.DataFrame:
    frame = readings[[case.time, *case.feature_names]].reset_index(drop=True)
    words = {column.name: frame[column.name].fillna(_MISSING) for column in find_words(case.columns)}
    medians = dict(zip((each.name for each in case.input_columns), imputation.medians, strict=True))
    lacking = [column.name for column in find_numbers(case.columns) if frame[column.name].isna().any()]
    numbers = {name: frame[name].fillna(medians[name]) for name in lacking}
    missing = {f"{name} missing": frame[name].isna().map({True: "yes", False: "no"}) for name in lacking}
    return frame.assign(**words, **numbers, **missing)


@_compute.register
def _compute_series(layout: SeriesLayout, readings: pd.DataFrame, case: Case, imputation: Imputation) -> pd.DataFrame:
    x_1NF = to_array(readings, case)[None]
    z_NK = compute_features(case, x_1NF, imputation)[0, :, : len(case.own_features)].astype(np.float64)
    features = pd.DataFrame(z_NK, columns=list(case.feature_names))
    features.insert(0, case.time, readings[case.time].to_numpy()[1:])
    came = drop_missing_steps(readings.reset_index(drop=True), case).index
    return features[(features.index + 1).isin(came)].reset_index(drop=True)
