"""Dates of records over HTTP: an answer is that of the graph for the features which training computes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED
from okawari.cases.loader import load_case, load_text
from okawari.dataset.arrays import to_array
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore
from okawari.schema.calendar import to_utc
from okawari.schema.imputation import Imputation
from okawari.storage.deployable import Deployable, Golden, Manifest, digest

FILE = '''
"""What a night costs."""
from okawari.case import ARRIVED, Case, Column, Regress
from okawari.data.datasets import Blobs
from okawari.models.constant import Constant

CASE = Case(
    name="stays", title="Stays", source=Blobs(), time=ARRIVED, zone="Europe/Berlin",
    columns=(Column(name="arrival", date=True, missing="allow"), Column(name="area", minimum=0)),
    task=Regress(target=Column(name="price", unit="EUR")),
    candidates=(Constant(),),
)
'''
DATES = ["2024-03-31", "2024-12-31T23:30:00-01:00", "2024-12-31", None]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory):
    return load_text(FILE, tmp_path_factory.mktemp("file") / "stays.py", "stays")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    local = to_utc(np.array(["2024-03-31", "2024-12-31"], dtype="datetime64[ns]"), "Europe/Berlin")
    arrivals = [local[0], np.datetime64("2025-01-01T00:30", "ns"), local[1], np.datetime64("NaT", "ns")]
    arrived = pd.date_range("2025-05-01", periods=4)
    return pd.DataFrame({"arrival": arrivals, "area": 30.0, ARRIVED: arrived}).astype({"arrival": "datetime64[ns]"})


@pytest.fixture(scope="module")
def graph(case) -> bytes:
    n = case.n_features
    weights = np.random.default_rng(4).normal(size=(1, n))
    imputation = Imputation((2024.0, 30.0, *np.zeros(9)))
    return build_graph(AffineCore(weights, np.zeros(1), reads="z"), case, None, imputation)


@pytest.fixture(scope="module")
def served(make_kitchen, serve, case, frame, graph):
    kitchen = make_kitchen()
    (kitchen.home / "cases").mkdir(parents=True)
    (kitchen.home / "cases" / "stays.py").write_text(FILE)
    kitchen.cases, kitchen.extra = "stays", {"OKAWARI_CASES_DIR": str(kitchen.home / "cases")}
    x_BTF = last_window(frame.iloc[:1], case)
    manifest = Manifest(
        case="stays", version="1", run_id="0" * 32, candidate="linear", variant="fp32", graph_sha256=digest(graph),
        snapshot_version=0, snapshot_digest="d" * 64, trained_until="2024-05-01", decision_id="e" * 32,
    )  # fmt: skip
    golden = Golden(x_BTF=x_BTF, mean_BH=Graph.load(graph).answer(x_BTF).mean_BH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OKAWARI_CASES_DIR", str(kitchen.home / "cases"))
        kitchen.put(Deployable(manifest, golden, graph, frame.iloc[:1]))
        with serve(kitchen) as running:
            yield running
    load_case.cache_clear()


def test_an_answer_is_that_of_the_graph_for_the_features_of_training(served, case, frame, graph) -> None:
    instances = [{"arrival": date, "area": 30} for date in DATES]
    answer = served.client.post("/stays/predict", json={"instances": instances})
    assert answer.status_code == 200, answer.text
    came = [each["value"] for each in answer.json()["predictions"]]
    expected = Graph.load(graph).answer(to_array(frame, case)[:, None]).mean_BH[:, 0]
    np.testing.assert_allclose(came, expected, rtol=1e-6)
    assert len(set(came)) == 4


def test_another_value_than_a_date_is_refused(served) -> None:
    for value in ("soon", 20240331, True):
        refused = served.client.post("/stays/predict", json={"instances": [{"arrival": value, "area": 30}]})
        assert refused.status_code == 422
        assert "arrival is a date or a time, ISO 8601, such as 2024-12-31. Correct it." in refused.json()["error"]


def test_the_description_says_that_the_column_holds_dates(served) -> None:
    [described] = served.client.get("/cases").json()["cases"]
    assert [column["date"] for column in described["columns"]] == [True, False]
    assert "2013-03-01" in json.dumps(served.client.get("/openapi.json").json()["paths"]["/stays/predict"])
