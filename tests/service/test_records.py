"""Records over HTTP: two cases in one service, a number and a label, with what is asked, refused and told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from okawari.cases.loader import load_case
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, Interval
from okawari.storage.deployable import Deployable, Golden, Manifest, digest

PATIENT = {
    "age": 50, "sex": "two", "bmi": 25.5, "bp": 90, "s1": 180, "s2": 110, "s3": 50, "s4": 4, "s5": 4.6, "s6": 90,
}  # fmt: skip


def _deploy(name, core, interval, record):
    case = load_case(name)
    graph = build_graph(core, case, interval)
    frame = pd.DataFrame([record]).assign(arrived=pd.Timestamp("2024-05-01"))
    question = last_window(frame, case)
    golden = Golden(x_BTF=question, mean_BH=Graph.load(graph).answer(question).mean_BH)
    manifest = Manifest(
        case=name, version="1", run_id="0" * 32, candidate="linear", variant="fp32", graph_sha256=digest(graph),
        snapshot_version=0, snapshot_digest="d" * 64, trained_until="2024-05-01", decision_id="e" * 32,
        coverage_share=interval and interval.coverage_share, measured_share=interval and 0.875,
    )  # fmt: skip
    return Deployable(manifest, golden, graph, frame)


@pytest.fixture(scope="module")
def served(make_kitchen, serve):
    """Diabetes answers bmi + 100 * (sex is two) with an interval of 30 either way; blobs says which side x lies on."""
    kitchen = make_kitchen()
    by_patient = np.zeros((1, 11))
    by_patient[0, [3, 2]] = 1.0, 100.0  # age, sex one, sex two, bmi, ...
    linear = AffineCore(by_patient, np.zeros(1), reads="z")
    kitchen.put(_deploy("diabetes", linear, Interval(0.9, np.array([30.0])), PATIENT))
    sides = AffineCore(np.array([[2.0, 0], [-2.0, 0], [-2.0, 0], [2.0, 0]]), np.zeros(4), reads="z")
    kitchen.put(_deploy("blobs", sides, None, {"x": 1.0, "y": 1.0}))
    brightest = np.zeros((10, 64))
    brightest[range(10), range(10)] = 1.0  # digit d: how dark the d-th pixel is
    dark = dict.fromkeys(load_case("digits").column_names, 0.0)
    kitchen.put(_deploy("digits", AffineCore(brightest, np.zeros(10), reads="z"), None, {**dark, "pixel_04": 16}))
    kitchen.cases = "diabetes,blobs,digits"
    with serve(kitchen) as running:
        yield running


def _post(served, path, **body):
    return served.client.post(path, json=body)


def test_a_number_is_answered_with_its_unit_and_interval(served):
    answer = _post(served, "/diabetes/predict", instances=[PATIENT, {**PATIENT, "sex": "one", "bmi": 30}]).json()
    first, second = answer["predictions"]
    assert first == {
        "unit": "points", "value": 125.5, "note": None,
        "interval": {"coverage_share": 0.9, "measured_share": 0.875, "lower": 95.5, "upper": 155.5},
    }  # fmt: skip
    assert second["value"] == 30.0 and answer["model"]["case"] == "diabetes"


def test_a_label_is_answered_with_the_probability_of_each(served):
    said = _post(served, "/blobs/predict", instances=[{"x": -1.0, "y": 9.0}]).json()["predictions"][0]
    assert said["label"] == "north_west"
    assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert said["probabilities"]["south_west"] == pytest.approx(said["probabilities"]["north_west"])


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ({**PATIENT, "sex": "three"}, 'instances[0].sex is "three"; sex is one of one, two. Correct it.'),
        ({**PATIENT, "progression": 1.0}, "instances[0].progression is not known"),
        ({name: value for name, value in PATIENT.items() if name != "bmi"}, "instances[0].bmi is missing; bmi is a"),
        ({**PATIENT, "bmi": 1e-60}, "instances[0].bmi is 1e-60; the model computes with"),
        ([PATIENT], "instances[0] is"),
    ],
)
def test_what_is_no_record_of_the_case_is_refused_with_its_place(served, instance, sentence):
    refused = _post(served, "/diabetes/predict", instances=[instance])
    assert refused.status_code == 422
    assert refused.json()["error"].startswith(sentence)


def test_the_truth_of_a_label_is_sent_by_its_name(served):
    answer = _post(served, "/blobs/predict", instances=[{"x": 1.0, "y": 1.0}]).json()
    outcome = {"id": answer["id"], "index": 0, "value": "south_east"}
    assert _post(served, "/blobs/outcomes", outcomes=[outcome]).json() == {"accepted": 1}
    refused = _post(served, "/blobs/outcomes", outcomes=[{**outcome, "value": "west"}])
    assert refused.json()["error"] == (
        'outcomes[0].value is "west"; blob is one of north_east, north_west, south_west, south_east. Correct it.'
    )


@pytest.mark.fault
@pytest.mark.heavy
def test_generated_requests_are_answered_as_the_api_describes(served, run_schemathesis):
    run_schemathesis(served, 40)


def test_a_forecast_is_the_answer_for_the_newest_record(served):
    answer = served.client.post("/blobs/forecast").json()
    assert (answer["source"], answer["predictions"][0]["label"]) == ("packaged", "north_east")


def test_the_example_of_the_api_page_is_answered_as_it_stands(served):
    answers = served.answer_examples()
    assert answers and set(answers.values()) == {200}, answers


def test_the_api_page_documents_labels_and_leaves_the_target_out(served):
    paths = served.client.get("/openapi.json").json()["paths"]
    body = paths["/diabetes/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    record = body["properties"]["instances"]["items"]["properties"]
    assert record["sex"]["enum"] == ["one", "two"] and set(record) == set(PATIENT)
    shown = {case["name"]: case for case in served.client.get("/cases").json()["cases"]}
    assert shown["blobs"]["labels"][0] == "north_east" and shown["blobs"]["horizon"] is None


def test_a_picture_is_sent_as_its_rows_or_by_column_names(served):
    rows = np.zeros((8, 8))
    rows[1, 1] = 16  # the tenth pixel
    named = dict(zip(load_case("digits").column_names, rows.ravel().tolist(), strict=True))
    answer = _post(served, "/digits/predict", instances=[rows.tolist(), named]).json()
    first, second = answer["predictions"]
    assert first == second and first["label"] == "9" and first["probabilities"]["9"] > 0.99


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        ([[0] * 8] * 7, "instances[0] is a list of 7 rows of 8 pixels; a picture has 8 rows of 8. Resize it"),
        ([[0] * 9] * 8, "instances[0] is a list of 8 rows of 9 pixels"),
        ([], "instances[0] is a list of 0 rows of no pixels"),
        (
            [[0] * 7 + [17]] + [[0] * 8] * 7,
            "instances[0].pixel_07 is 17; pixel_07 is a number at least 0 and at most 16",
        ),
        ([["dark"] + [0] * 7] + [[0] * 8] * 7, 'instances[0].pixel_00 is "dark"; pixel_00 is a number'),
    ],
)
def test_what_is_no_picture_is_refused(served, picture, sentence):
    assert _post(served, "/digits/predict", instances=[picture]).json()["error"].startswith(sentence)
