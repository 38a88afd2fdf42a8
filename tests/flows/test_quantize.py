from __future__ import annotations

import json

import pytest
from mlflow import MlflowClient

from flows.quantize import quantize
from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.evaluation.candidates import fit_contender
from okawari.graph.inference import Graph
from okawari.models.fit_context import no_progress
from okawari.models.lstm import Lstm
from okawari.registry import runs, versions
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots


def _record_lstm(case: Case) -> str:
    """A run like a training's, with the graph of an LSTM that is large enough to be worth quantizing."""
    snapshot, readings = snapshots.load_snapshot(case), snapshots.load_readings(case)
    assert snapshot is not None
    split = split_windows(cut_windows(readings, case), case)
    contender = fit_contender(Lstm(hidden=64, layers=1, epochs=1), case, split, no_progress)
    with runs.record_training(case, snapshot, readings, {}) as run_id:
        runs.record_file(run_id, contender.graph, "variants/fp32.onnx")
    return run_id


def test_an_existing_run_gets_its_variants_their_comparison_and_a_decision(trained: Case) -> None:
    run_id = _record_lstm(trained)
    chosen = quantize("small", run_id, cause_id="c" * 32)

    contents = {name: runs.load_file(run_id, f"variants/{name}.onnx") for name in ("fp32", "uint8", "int8")}
    assert len(contents["uint8"]) < len(contents["fp32"]) / 2
    assert all(Graph.load(content).history == trained.task.history for content in contents.values())
    table = json.loads(runs.load_file(run_id, "variants.json"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [row["variant"] for row in rows] == ["fp32", "uint8", "int8"]
    assert [row["parameters"] for row in rows] == ["float32", "uint8", "int8"]
    assert [row["size_share"] for row in rows] == pytest.approx([row["n_bytes"] / rows[0]["n_bytes"] for row in rows])
    assert all(row["n_bytes"] == len(contents[row["variant"]]) and row["latency_ms"] > 0 for row in rows)
    decision = decision_log.load_decisions("small", kind="variant")[0]
    assert (decision["action"], decision["run_id"], decision["cause"]) == (chosen, run_id, "c" * 32)


def test_a_graph_without_large_weights_stays_as_it_is(trained: Case) -> None:
    champion = versions.load_champion("small")
    assert champion is not None
    assert quantize("small", champion.run_id) == "fp32"
    names = {
        each.path for each in MlflowClient(load_settings().mlflow_base).list_artifacts(champion.run_id, "variants")
    }
    assert names == {"variants/fp32.onnx"}
