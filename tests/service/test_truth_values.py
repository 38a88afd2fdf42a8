"""A target of truth values over HTTP: JSON booleans in answers, outcomes and descriptions."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from okawari.cases.loader import load_case, load_text
from okawari.clients.prediction_service import Client
from okawari.clients.wire import Outcome
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore
from okawari.storage.deployable import Deployable, Golden, Manifest, digest
from okawari.storage.journal import list_segments

FILE = '''
"""Whether a member stays."""
from okawari.case import ARRIVED, Case, Classify, Column
from okawari.data.datasets import Blobs
from okawari.models.constant import Constant

CASE = Case(
    name="members", title="Members", source=Blobs(), time=ARRIVED,
    columns=(Column(name="months", minimum=0), Column(name="active", boolean=True)),
    task=Classify(target=Column(name="stayed", boolean=True)), candidates=(Constant(),),
)
'''


def _deploy(case):
    """A model by which exactly the active members stay."""
    weights = np.zeros((2, 3))
    weights[0, 1] = weights[1, 2] = 9.0
    graph = build_graph(AffineCore(weights, np.zeros(2), reads="z"), case, None)
    frame = pd.DataFrame({"months": [3.0], "active": ["true"], "arrived": pd.Timestamp("2024-05-01")})
    x_BTF = last_window(frame, case)
    manifest = Manifest(
        case="members", version="1", run_id="0" * 32, candidate="linear", variant="fp32", graph_sha256=digest(graph),
        snapshot_version=0, snapshot_digest="d" * 64, trained_until="2024-05-01", decision_id="e" * 32,
    )  # fmt: skip
    return Deployable(manifest, Golden(x_BTF=x_BTF, mean_BH=Graph.load(graph).answer(x_BTF).mean_BH), graph, frame)


@pytest.fixture(scope="module")
def served(make_kitchen, serve):
    kitchen = make_kitchen()
    folder = kitchen.home / "cases"
    folder.mkdir()
    (folder / "members.py").write_text(FILE)
    kitchen.cases, kitchen.extra = "members", {"OKAWARI_CASES_DIR": str(folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OKAWARI_CASES_DIR", str(folder))
        kitchen.put(_deploy(load_text(FILE, folder / "members.py", "members")))
        with serve(kitchen) as running:
            yield running
    load_case.cache_clear()


def _ask(served, *active):
    instances = [{"months": 3, "active": each} for each in active]
    answer = served.client.post("/members/predict", json={"instances": instances})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_label_of_an_answer_is_a_truth_value_and_its_probabilities_have_its_name(served) -> None:
    yes, no = _ask(served, True, False)["predictions"]
    assert (yes["label"], no["label"]) == (True, False)
    assert yes["probabilities"]["true"] > 0.99 > 0.01 > no["probabilities"]["true"]
    assert served.client.post("/members/forecast").json()["predictions"][0]["label"] is True


def test_an_outcome_is_a_truth_value_too(served) -> None:
    id_ = _ask(served, True)["id"]
    outcome = {"id": id_, "index": 0}
    good = served.client.post("/members/outcomes", json={"outcomes": [{**outcome, "value": False}]})
    assert good.json() == {"accepted": 1}
    for value in ("false", 0, "no", None):
        refused = served.client.post("/members/outcomes", json={"outcomes": [{**outcome, "value": value}]})
        assert refused.status_code == 422
        assert "stayed is true or false. Correct it." in refused.json()["error"]
    folder = served.kitchen.home / "journal" / "members"
    rows = [row for segment in list_segments(folder, "outcomes") for row in segment.rows()]
    assert [row["label"] for row in rows if row["id"] == id_] == ["false"]


def test_the_client_takes_and_sends_truth_values(served) -> None:
    with Client(str(served.client.base_url)) as client:
        answer = client.predict("members", [{"months": 3, "active": False}])
        label = answer.predictions[0]
        assert (label.label, label.word) == (False, "false")
        assert json.loads(label.model_dump_json())["label"] is False
        outcome = Outcome(id=answer.id, value=True)
        assert client.send_outcomes("members", [outcome]) == 1
        (info,) = client.cases()
    assert info.labels == [False, True]
    assert {each.name: each.labels for each in info.columns} == {"months": [], "active": [False, True]}


def test_the_api_page_documents_truth_values(served) -> None:
    page = served.client.get("/openapi.json").json()
    outcome = page["paths"]["/members/outcomes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert outcome["properties"]["outcomes"]["items"]["properties"]["value"]["type"] == "boolean"
    answer = page["paths"]["/members/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    answers = page["components"]["schemas"][answer["$ref"].rsplit("/", 1)[1]]
    prediction = answers["properties"]["predictions"]["items"]["$ref"].rsplit("/", 1)[1]
    assert page["components"]["schemas"][prediction]["properties"]["label"]["type"] == "boolean"
