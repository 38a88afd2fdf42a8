"""Records without an age: drift imputes with the medians of the champion's graph, as the champion does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train
from monitoring.drift import measure_drift
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.dataset.feature_frame import compute_feature_frame
from okawari.graph.imputation_stage import read_medians
from okawari.graph.inference import Graph
from okawari.registry import versions
from okawari.schema.imputation import Imputation
from okawari.settings import load_settings
from okawari.storage import decision_log, snapshots
from tests.flows.conftest import Heard

CASE_FILE = """
from pathlib import Path

from okawari.case import ARRIVED, Case, Column, Drift, Gate, Regress
from okawari.data.files import TableFile
from okawari.models.constant import Constant
from okawari.models.linear import Linear

CASE = Case(
    name="costs", title="Costs", source=TableFile(Path({path!r}), time=None), time=ARRIVED,
    columns=(Column(name="age", missing="allow"),), task=Regress(target=Column(name="cost")),
    candidates=(Constant(), Linear()), gate=Gate(holdout=100, calibration=100), drift=Drift(reference=500, current=300),
)
"""


def _draw(n: int, seed: int, age: float, missing: float) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    ages = random.normal(age, 8, n)
    cost = ages + random.normal(0, 1, n)
    return pd.DataFrame({"age": np.where(random.random(n) < missing, np.nan, ages), "cost": cost})


def _measure(case: Case, n_known: int, imputation: Imputation | None) -> dict[str, Any]:
    frame = compute_feature_frame(snapshots.load_readings(case), case, imputation).drop(columns=case.time)
    found = measure_drift(frame[:n_known].tail(500), frame[n_known:].tail(300), case.drift, in_order=False)
    return found.facts()


def test_drift_imputes_with_the_medians_of_the_champion(fresh: Case, heard: Heard, tmp_path: Path) -> None:
    table, later = _draw(500, 1, 40, 0.1), _draw(300, 2, 44, 0.3)
    table.to_csv(tmp_path / "costs.csv", index=False)
    later.to_csv(tmp_path / "later.csv", index=False)
    (load_settings().cases_dir / "costs.py").write_text(CASE_FILE.format(path=str(tmp_path / "costs.csv")))
    load_case.cache_clear()
    case = load_case("costs")
    assert ingest("costs")["new"] == 500
    assert train("costs", cause="missing", reason="the tests begin")["action"] == "promote"
    assert ingest("costs", file=tmp_path / "later.csv")["new"] == 300
    monitor("costs")

    champion = versions.load_champion("costs")
    assert champion is not None
    medians = read_medians(Graph.load(versions.load_graph(champion)).labels, case)
    assert medians is not None and abs(medians.medians[0] - table["age"].median()) < 1
    [verdict] = decision_log.load_decisions("costs", kind="drift")
    assert verdict["facts"] == _measure(case, 500, medians)
    assert verdict["facts"] != _measure(case, 500, None)
