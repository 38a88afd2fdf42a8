"""The user's own keys over HTTP: with a record, a window or a large body, and in place of an answer's id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from okawari.cases.loader import load_case
from okawari.clients.prediction_service import Client
from okawari.clients.wire import Outcome
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, ConstantCore
from okawari.polling import poll
from okawari.storage import keyed_outcomes, prediction_log
from okawari.storage.deployable import Deployable, Golden, Manifest, digest

_CASES = {
    "shop": ("blobs", "order_id"),
    "till": ("aapl", "till_id"),
}
POINT = {"x": 1.0, "y": 1.0}


def _deploy(name, core, frame):
    case = load_case(name)
    graph = build_graph(core, case, None)
    question = last_window(frame, case)
    golden = Golden(x_BTF=question, mean_BH=Graph.load(graph).answer(question).mean_BH)
    manifest = Manifest(
        case=name, version="1", run_id="0" * 32, candidate="linear", variant="fp32", graph_sha256=digest(graph),
        snapshot_version=0, snapshot_digest="d" * 64, trained_until="2024-05-01", decision_id="e" * 32,
        coverage_share=None, measured_share=None,
    )  # fmt: skip
    return Deployable(manifest, golden, graph, frame)


@pytest.fixture(scope="module")
def served(make_kitchen, serve, readings):
    """Two cases with keys: `shop` answers for records, `till` for windows of a series."""
    kitchen = make_kitchen()
    folder = kitchen.home / "cases"
    folder.mkdir()
    for name, (like, key) in _CASES.items():
        (folder / f"{name}.py").write_text(
            "from dataclasses import replace\nfrom okawari.cases.loader import load_case\n"
            f"CASE = replace(load_case({like!r}), name={name!r}, key={key!r})\n"
        )
    kitchen.extra, kitchen.cases = {"OKAWARI_CASES_DIR": str(folder)}, "shop,till,blobs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OKAWARI_CASES_DIR", str(folder))
        sides = AffineCore(np.array([[2.0, 0], [-2.0, 0], [-2.0, 0], [2.0, 0]]), np.zeros(4), reads="z")
        with kitchen.stores():
            arrived = pd.DataFrame([{**POINT, "arrived": pd.Timestamp("2024-05-01")}])
            shop = _deploy("shop", sides, arrived)
            till = _deploy("till", ConstantCore(np.zeros(load_case("till").task.horizon)), readings.tail(60))
            kitchen.put(shop)
            kitchen.put(till)
        with serve(kitchen) as running:
            yield running


def _read(served, case, kind):
    from okawari.storage.journal import list_segments

    segments = list_segments(served.kitchen.home / "journal" / case, kind)
    return [row for segment in segments for row in segment.rows()]


def _predict(served, case, **body):
    reply = served.client.post(f"/{case}/predict", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_record_carries_its_key_which_is_journaled_and_is_no_input(served):
    bare = _predict(served, "shop", instances=[POINT])
    answer = _predict(served, "shop", instances=[{"order_id": "A-17", **POINT}, {"order_id": 18, **POINT}, POINT])
    rows = [row for row in _read(served, "shop", "predictions") if row["id"] == answer["id"]]
    assert [row["key"] for row in rows] == ["A-17", "18", None]
    assert [each["label"] for each in answer["predictions"]] == [bare["predictions"][0]["label"]] * 3
    assert len({row["input_sha256"] for row in rows}) == 1


def test_a_window_has_its_key_beside_the_instances(served, records):
    answer = _predict(served, "till", instances=[records, records], keys=["0042", None])
    rows = [row for row in _read(served, "till", "predictions") if row["id"] == answer["id"]]
    assert [row["key"] for row in rows] == ["0042", None]


def test_the_keys_of_a_large_body_are_kept(served, records):
    instances = [records] * 40
    answer = _predict(served, "till", instances=instances, keys=[f"key {place}" for place in range(40)])
    rows = [row for row in _read(served, "till", "predictions") if row["id"] == answer["id"]]
    assert [row["key"] for row in rows] == [f"key {place}" for place in range(40)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"instances": [{"order_id": "", **POINT}]},
            'instances[0].order_id is ""; it is a text of 1 to 200 characters, not blank, or an integer. Correct it.',
        ),
        ({"instances": [{"order_id": "x" * 201, **POINT}]}, "instances[0].order_id is"),
        ({"instances": [{"order_id": True, **POINT}]}, "instances[0].order_id is true; it is a text of 1 to 200"),
        ({"instances": [{"order_id": 1.5, **POINT}]}, "instances[0].order_id is 1.5; it is a text of 1 to 200"),
        ({"instances": [POINT], "keys": ["a", "b"]}, "keys has 2 entries, and instances has 1; there is one key for"),
        (
            {"instances": [{"order_id": "a", **POINT}], "keys": ["b"]},
            "instances[0].order_id is 'a', and keys[0] is 'b'; an instance has one key. Leave one of them out.",
        ),
        (
            {"instances": [{"bill": "a", **POINT}]},
            "instances[0].bill is not known; a record has x, y and optionally order_id. Leave it out.",
        ),
    ],
)
def test_what_is_no_key_is_refused_with_its_place(served, body, told):
    refused = served.client.post("/shop/predict", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith(told)


def test_a_case_without_a_key_takes_none(served):
    assert served.client.post("/blobs/predict", json={"instances": [POINT], "keys": ["a"]}).status_code == 422
    refused = served.client.post("/blobs/outcomes", json={"outcomes": [{"key": "a", "value": "north_east"}]})
    assert refused.json()["error"].startswith("outcomes[0].id is missing; an outcome has id, index and value")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ({}, "outcomes[0] names no prediction; an outcome names its prediction by id and index, or by key"),
        ({"id": "0" * 40, "index": 0, "key": "a"}, "outcomes[0] names its prediction twice"),
        ({"key": "a", "order_id": "a"}, "outcomes[0] names its prediction twice"),
        ({"key": "a", "index": 0}, "outcomes[0] has an index beside a key"),
        ({"id": "0" * 40}, "outcomes[0] has an id without its index"),
        ({"id": "0" * 40, "index": 0}, f"outcomes[0].id is {'0' * 40}; no answer of shop has it."),
        ({"key": None}, "outcomes[0] names no prediction"),
        ({"key": 1.5}, "outcomes[0].key is 1.5; it is a text of 1 to 200 characters"),
    ],
)
def test_an_outcome_names_its_prediction_once(served, outcome, told):
    refused = served.client.post("/shop/outcomes", json={"outcomes": [{**outcome, "value": "north_east"}]})
    assert refused.status_code == 422
    assert refused.json()["error"].startswith(told)


def test_outcomes_by_key_are_joined_and_unknown_keys_are_on_record(served):
    answer = _predict(served, "shop", instances=[{"order_id": "C-1", **POINT}, {"order_id": 7, **POINT}])
    with Client(str(served.client.base_url)) as client:
        sent = [
            Outcome(key="C-1", value="north_east"),
            Outcome(key="nobody", value="north_east"),
            Outcome(id=answer["id"], index=1, value="south_west"),
        ]
        assert client.send_outcomes("shop", sent) == 3
        assert client.predict("shop", [POINT], keys=["C-2"]).predictions[0].label == "north_east"
    body = {"outcomes": [{"order_id": 7, "value": "south_east"}]}
    assert served.client.post("/shop/outcomes", json=body).json() == {"accepted": 1}
    with served.kitchen.settings():
        found = poll(lambda: _absorb(answer["id"]), every_s=0.2, timeout_s=60)
        assert found == {(0, "north_east"), (1, "south_east")}  # the second one was corrected by key
        newest = keyed_outcomes.find_newest_refused("shop")
        assert newest is not None and newest["key"] == "nobody"
        assert "C-2" in set(prediction_log.load_predictions("shop")["key"])


def _absorb(answer_id):
    prediction_log.absorb_journal("shop")
    outcomes = prediction_log.load_outcomes("shop")
    of_answer = outcomes[outcomes["id"] == answer_id]
    corrected = len(prediction_log.load_outcome_history("shop")) == 3
    return set(zip(of_answer["index"], of_answer["label"], strict=True)) if corrected else None


def test_the_service_says_which_field_is_the_key(served):
    shown = {case["name"]: case["key"] for case in served.client.get("/cases").json()["cases"]}
    assert shown == {"shop": "order_id", "till": "till_id", "blobs": ""}
    paths = served.client.get("/openapi.json").json()["paths"]
    body = paths["/till/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"type": "null"} in body["properties"]["keys"]["items"]["anyOf"]
    assert set(served.answer_examples().values()) <= {200, 503}
