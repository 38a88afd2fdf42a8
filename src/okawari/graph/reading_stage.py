"""The reading stage by the layout of the data: of a series, or of records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import onnx

from okawari.case import Case
from okawari.graph.series_stage import build_series_stage
from okawari.graph.stages import Dims
from okawari.graph.tabular_stage import build_record_stage
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout


@singledispatch
def build_reading_stage(layout: DataLayout, case: Case, outputs: Sequence[str]) -> onnx.ModelProto:
    """Input `x` [B, T, F] of whole questions; `outputs` are what a core and the answer stage take."""
    raise NotImplementedError(f"The graph reads no {type(layout).__name__}.")


@build_reading_stage.register
def _read_series(layout: SeriesLayout, case: Case, outputs: Sequence[str]) -> onnx.ModelProto:
    return build_series_stage(case, outputs, length=case.history)


@build_reading_stage.register
def _read_records(layout: RecordLayout, case: Case, outputs: Sequence[str]) -> onnx.ModelProto:
    return build_record_stage(case)


@singledispatch
def build_feature_stage(layout: DataLayout, case: Case) -> onnx.ModelProto:
    """Input `x`, output `z`: features alone, for any number of readings of a series."""
    raise NotImplementedError(f"The graph reads no {type(layout).__name__}.")


@build_feature_stage.register
def _features_of_series(layout: SeriesLayout, case: Case) -> onnx.ModelProto:
    return build_series_stage(case, ("z",), length="T")


@build_feature_stage.register
def _features_of_records(layout: RecordLayout, case: Case) -> onnx.ModelProto:
    return build_record_stage(case)


@singledispatch
def choose_smallest_input(layout: DataLayout, case: Case) -> tuple[str, Dims]:
    """The cheapest input of a core that only counts windows, with its shape."""
    raise NotImplementedError(f"The graph reads no {type(layout).__name__}.")


@choose_smallest_input.register
def _smallest_of_series(layout: SeriesLayout, case: Case) -> tuple[str, Dims]:
    return "level", ("B", 1)


@choose_smallest_input.register
def _smallest_of_records(layout: RecordLayout, case: Case) -> tuple[str, Dims]:
    return "z", ("B", 1, case.n_features)
