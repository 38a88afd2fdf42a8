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
MISSING_STEPS, MISSING_VALUES = "missing steps", "missing values"
"""Names of columns that no feature can have, because of the space."""
MOST_COLUMNS = 20
"""With more columns, the missing values of a series are counted in one, so that Holm's first level stays reachable."""


def compute_feature_frame(readings: pd.DataFrame, case: Case, imputation: Imputation | None = None) -> pd.DataFrame:
    """The values that drift compares, one row per reading: the columns of records, the features of a series.

    Missing numbers are imputed, by default with the medians of these readings; `find_missing` says where they were.

    A series has no row for its first reading, because a feature may use the reading before, and none for missing steps.

    Returns:
        The time column and one column per feature, float64 or words. Where records lack numbers, a column of words for
        each such feature says in which rows; a missing word is a word of its own. Where a series lacks values, a column
        for each such column of the case is 1 where the value is missing and 0 elsewhere (or one column counts them, if
        there would be more than MOST_COLUMNS); where it lacks steps, a column counts those right before each reading.
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
    came = drop_missing_steps(readings.reset_index(drop=True), case)
    kept = features[(features.index + 1).isin(came.index)].reset_index(drop=True)
    return pd.concat([kept, _mark_missing(came, case, kept.shape[1])], axis=1)


def _mark_missing(came: pd.DataFrame, case: Case, n_columns: int) -> pd.DataFrame:
    """What the readings of a series lack, without the first one: values by column, and the steps before each."""
    is_missing = find_missing(came, case).set_index(came.index).astype(np.float64)
    marks = is_missing.loc[:, is_missing.any().astype(bool)].add_suffix(" missing")
    if n_columns + marks.shape[1] > MOST_COLUMNS:
        marks = pd.DataFrame({MISSING_VALUES: marks.sum(axis=1)})
    n_before = np.diff(came.index, prepend=came.index[:1] - 1) - 1.0
    marks = marks.assign(**{MISSING_STEPS: n_before}) if n_before.any() else marks
    return marks[marks.index > 0].reset_index(drop=True)
