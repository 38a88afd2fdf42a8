"""The flow around `okawari.training.quantize`, for the graph that a training left in its run."""

from __future__ import annotations

from prefect import flow

from flows.publish import PrefectHost
from okawari.cases.loader import load_case
from okawari.training.quantize import load_quantizing, quantize_graph


@flow(name="quantize", flow_run_name="quantize {case}")
def quantize(case: str, run_id: str, cause_id: str | None = None) -> str:
    """Compare the variants of the graph that a training left in its run; returns the variant that may serve.

    Args:
        case: name of the case.
        run_id: the training's run; it holds `variants/fp32.onnx`.
        cause_id: id of the recorded decision that this belongs to.
    """
    return quantize_graph(load_quantizing(load_case(case), run_id, cause_id), PrefectHost()).variant
