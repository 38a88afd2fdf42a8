"""The reading stage, by the layout of the data: series or records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import onnx

from okawari.case import Case
from okawari.graph.series_stage import build_series_stage
from okawari.graph.stages import Dims
from okawari.graph.tabular_stage import build_record_stage
from okawari.schema.imputation import Imputation
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout


@singledispatch
def build_reading_stage(
    layout: DataLayout, case: Case, outputs: Sequence[str], imputation: Imputation | None = None
) -> onnx.ModelProto:
    """Build the stage with the input `x` [B, T, F]; `outputs` are the inputs of the core and of the answer stage.

    `imputation` has the medians for missing values.
    """
    raise NotImplementedError(f"No reading stage is defined for {type(layout).__name__}; register it here.")


@build_reading_stage.register
def _read_series(
    layout: SeriesLayout, case: Case, outputs: Sequence[str], imputation: Imputation | None = None
) -> onnx.ModelProto:
    return build_series_stage(case, outputs, case.history, imputation)


@build_reading_stage.register
def _read_records(
    layout: RecordLayout, case: Case, outputs: Sequence[str], imputation: Imputation | None = None
) -> onnx.ModelProto:
    return build_record_stage(case, imputation)


@singledispatch
def build_feature_stage(layout: DataLayout, case: Case, imputation: Imputation | None = None) -> onnx.ModelProto:
    """Build the stage from `x` to the features `z` alone; a series may have any number of readings."""
    raise NotImplementedError(f"No reading stage is defined for {type(layout).__name__}; register it here.")


@build_feature_stage.register
def _features_of_series(layout: SeriesLayout, case: Case, imputation: Imputation | None = None) -> onnx.ModelProto:
    return build_series_stage(case, ("z",), "T", imputation)


@build_feature_stage.register
def _features_of_records(layout: RecordLayout, case: Case, imputation: Imputation | None = None) -> onnx.ModelProto:
    return build_record_stage(case, imputation)


@singledispatch
def choose_smallest_input(layout: DataLayout, case: Case) -> tuple[str, Dims]:
    """Name and shape of the smallest input, for a core that only reads the number of windows."""
    raise NotImplementedError(f"No reading stage is defined for {type(layout).__name__}; register it here.")


@choose_smallest_input.register
def _smallest_of_series(layout: SeriesLayout, case: Case) -> tuple[str, Dims]:
    return "level", ("B", 1)


@choose_smallest_input.register
def _smallest_of_records(layout: RecordLayout, case: Case) -> tuple[str, Dims]:
    return "z", ("B", 1, case.n_features)
