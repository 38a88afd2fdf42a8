"""Lineage: from an answer back to where it came from, and no link that was tampered with goes unnoticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from mlflow import MlflowClient
from pyarrow import parquet

from okawari.case import Case
from okawari.errors import NotYet
from okawari.loop.lineage import BrokenChain, trace_prediction
from okawari.policy.decision import Decision
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.storage import decision_log, prediction_log, snapshots
from okawari.storage.journal import Journal
from okawari.storage.tables import open_table

TrainVersion = Callable[..., Version]
MISSING_ID = "0" * 32


def _serve(served: Version, **change: Any) -> str:
    """Journal an answer of a version, as the service does; returns its id."""
    answer = {
        "id": decision_log.new_id(),
        "index": 0,
        "case": "aapl",
        "at": "2002-01-02T10:00:00+00:00",
        "as_of": "2001-12-31",
        "level": 1.5,
        "mean": [1.6, 1.7, 1.8],
        "lower": None,
        "upper": None,
        "version": served.version,
        "graph_sha256": served.graph_sha256,
        "variant": served.variant,
        "input_sha256": "cd" * 32,
        "source": "forecast",
        **change,
    }
    Journal(prediction_log.journal_dir("aapl"), "predictions").append([answer])
    return str(answer["id"])


def _ask_for_training() -> str:
    """A drift verdict and the decision to train for it; returns the id of the decision."""
    verdict = decision_log.record_decision("aapl", Decision("drift", "drifted", "it moved"))
    return decision_log.record_decision("aapl", Decision("retrain", "train", "the data has drifted"), cause=verdict)


def test_an_answer_is_traced_to_its_version_run_snapshot_and_every_decision(
    train_version: TrainVersion, small_case: Case
) -> None:
    version = train_version(cause=_ask_for_training())
    lineage = trace_prediction(_serve(version))
    assert lineage.prediction["mean"] == [1.6, 1.7, 1.8]
    assert lineage.version == version
    assert lineage.run_url.endswith(version.run_id)
    assert lineage.snapshot == snapshots.load_snapshot(small_case, 0)
    assert [(row["kind"], row["action"]) for row in lineage.decisions] == [
        ("promotion", "promote"),
        ("retrain", "train"),
        ("drift", "drifted"),
    ]


def test_a_persons_decision_stands_first_in_the_chain_of_the_answers_after_it(train_version: TrainVersion) -> None:
    version, other = train_version(cause=_ask_for_training()), train_version(growth=0.02)
    links = {"cause": version.decision_id, "model_version": version.version}
    before = _serve(version)
    decision_log.record_decision("aapl", Decision("person", "roll back", "wrong", {"by": "ada@laptop"}), **links)
    after, of_other = (_serve(each, at="2999-01-02T10:00:00+00:00") for each in (version, other))
    kinds = [[row["kind"] for row in trace_prediction(each).decisions] for each in (before, after, of_other)]
    assert kinds == [["promotion", "retrain", "drift"], ["person", "promotion", "retrain", "drift"], ["promotion"]]


def test_an_old_answer_is_traced_to_its_own_version_and_snapshot_when_newer_ones_serve(
    train_version: TrainVersion,
) -> None:
    old = train_version(rows=300)
    answered = _serve(old)
    newer = train_version(rows=350, growth=0.02)
    versions.set_champion("aapl", newer.version)
    prediction_log.absorb_journal("aapl")
    lineage = trace_prediction(answered)
    assert (lineage.version, lineage.snapshot.version, lineage.snapshot.rows) == (old, 0, 300)
    assert trace_prediction(_serve(newer)).snapshot.rows == 350


def test_an_answer_that_nobody_gave_is_not_there(train_version: TrainVersion) -> None:
    _serve(train_version())
    with pytest.raises(NotYet, match="There is no prediction 'nobody' with index 0"):
        trace_prediction("nobody")


def test_an_answer_of_a_version_that_is_gone_is_not_there(train_version: TrainVersion) -> None:
    with pytest.raises(NotYet, match="Case aapl has no registered version 7"):
        trace_prediction(_serve(train_version(), version="7"))


def test_an_answer_by_another_graph_than_its_versions_is_noticed(train_version: TrainVersion) -> None:
    answered = _serve(train_version(), graph_sha256="ab" * 32)
    with pytest.raises(BrokenChain, match=r"graph was recorded with sha256 abababababab, but .* was found"):
        trace_prediction(answered)


def test_a_tampered_graph_is_noticed(train_version: TrainVersion) -> None:
    version = train_version()
    answered = _serve(version)
    (stored,) = Path.cwd().glob("**/variants/fp32.onnx")
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(bytes(content))
    with pytest.raises(BrokenChain, match=f"graph was recorded with sha256 {version.graph_sha256[:12]}, but"):
        trace_prediction(answered)


def test_a_graph_that_is_gone_is_noticed(train_version: TrainVersion) -> None:
    answered = _serve(train_version())
    (stored,) = Path.cwd().glob("**/variants/fp32.onnx")
    stored.unlink()
    with pytest.raises(NotYet, match=r"has no artefact variants/fp32\.onnx"):
        trace_prediction(answered)


def test_a_tampered_snapshot_is_noticed(train_version: TrainVersion, home: Path) -> None:
    version = train_version()
    answered, table = _serve(version), home / "data/aapl/readings"
    (stored,) = table.glob("*.parquet")
    size, rows = stored.stat().st_size, pd.read_parquet(stored)
    rows.loc[7, "close"] *= 1.001
    parquet.write_table(pa.Table.from_pandas(rows, preserve_index=False), stored)
    log = table / "_delta_log/00000000000000000000.json"  # a careful forger also corrects the size on record
    log.write_text(log.read_text().replace(f'"size":{size}', f'"size":{stored.stat().st_size}'))
    with pytest.raises(BrokenChain, match=f"snapshot was recorded with sha256 {version.snapshot_digest[:12]}, but"):
        trace_prediction(answered)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("spoil", [_cut, Path.unlink])
def test_a_damaged_snapshot_is_noticed(spoil: Callable[[Path], None], train_version: TrainVersion, home: Path) -> None:
    answered = _serve(train_version())
    (stored,) = (home / "data/aapl/readings").glob("*.parquet")
    spoil(stored)
    with pytest.raises(BrokenChain, match=r"Snapshot 0 of case aapl is damaged. The version 0 of .* cannot be read"):
        trace_prediction(answered)


def test_a_snapshot_that_never_was_is_noticed(train_version: TrainVersion, mlflow_database: Path) -> None:
    version = train_version()
    MlflowClient().set_model_version_tag("aapl", version.version, "snapshot_version", "7")
    with pytest.raises(BrokenChain, match="Snapshot 7 of case aapl is damaged"):
        trace_prediction(_serve(version))


def test_a_promotion_that_is_not_on_record_is_noticed(train_version: TrainVersion) -> None:
    version = train_version()
    table = open_table("aapl", "decisions")
    assert table is not None
    table.delete(f"id = '{version.decision_id}'")
    with pytest.raises(BrokenChain, match=f"Decision {version.decision_id} of case aapl is not on record"):
        trace_prediction(_serve(version))


def test_a_cause_that_is_not_on_record_is_noticed(train_version: TrainVersion) -> None:
    with pytest.raises(BrokenChain, match=f"Decision {MISSING_ID} of case aapl is not on record"):
        trace_prediction(_serve(train_version(cause=MISSING_ID)))


def test_decisions_that_cause_each_other_do_not_hang_it(train_version: TrainVersion) -> None:
    one, other = decision_log.new_id(), decision_log.new_id()
    decision_log.record_decision("aapl", Decision("retrain", "train", "because"), id=one, cause=other)
    decision_log.record_decision("aapl", Decision("drift", "drifted", "because"), id=other, cause=one)
    lineage = trace_prediction(_serve(train_version(cause=one)))
    assert {row["id"] for row in lineage.decisions} >= {one, other}


def test_a_snapshot_that_is_gone_is_noticed(train_version: TrainVersion, home: Path) -> None:
    answered = _serve(train_version())
    os.rename(home / "data/aapl/readings", home / "data/aapl/moved")
    with pytest.raises(BrokenChain, match="Snapshot 0 of case aapl is missing"):
        trace_prediction(answered)
