"""Several targets over HTTP: two cases in one service, three targets and one, with what is asked, refused and told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from okawari.cases.loader import load_case
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, Interval
from okawari.storage.deployable import Deployable, Golden, Manifest, digest

ONE = """
from dataclasses import replace
from okawari.cases.cpi import CASE as CPI

CASE = replace(CPI, name="pace", task=replace(CPI.task, targets=CPI.task.targets[1:2]))
"""


def _deploy(case, core, interval):
    graph = build_graph(core, case, interval)
    frame = case.source.read().tail(20)
    question = last_window(frame, case)
    golden = Golden(x_BTF=question, mean_BH=Graph.load(graph).answer(question).mean_BH)
    manifest = Manifest(
        case=case.name, version="1", run_id="0" * 32, candidate="persistence", variant="fp32",
        graph_sha256=digest(graph), snapshot_version=0, snapshot_digest="d" * 64, trained_until="2009-09-30",
        decision_id="e" * 32, coverage_share=interval and interval.coverage_share,
    )  # fmt: skip
    return Deployable(manifest, golden, graph, frame)


@pytest.fixture(scope="module")
def served(make_kitchen, serve, tmp_path_factory):
    """Both cases answer where the targets stand now, cpi with an interval of 2 either way."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "pace.py").write_text(ONE)
    patch = pytest.MonkeyPatch()
    patch.setenv("OKAWARI_CASES_DIR", str(folder))
    from okawari.settings import load_settings

    load_settings.cache_clear()
    load_case.cache_clear()
    kitchen = make_kitchen()
    stay = AffineCore(5 * np.eye(7), np.zeros(7), reads="now")
    stay.weight_HN[3, 3] = 1.0
    kitchen.put(_deploy(load_case("cpi"), stay, Interval(0.9, np.array([0, 0, 0, 2.0, 0, 0, 0]))))
    kitchen.put(_deploy(load_case("pace"), AffineCore(np.eye(1), np.zeros(1), reads="now"), None))
    kitchen.cases = "cpi,pace"
    with serve(kitchen) as running:
        yield running
    patch.undo()
    load_settings.cache_clear()
    load_case.cache_clear()


@pytest.fixture(scope="module")
def quarters():
    frame = load_case("cpi").source.read().tail(9)
    return frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d")).to_dict("records")


def _post(served, path, **body):
    return served.client.post(path, json=body)


def _tell(served, case="cpi", **outcome):
    answer = served.client.post(f"/{case}/forecast").json()
    return _post(served, f"/{case}/outcomes", outcomes=[{"id": answer["id"], "index": 0, **outcome}])


def test_all_targets_are_answered_at_once(served, quarters):
    answer = _post(served, "/cpi/predict", instances=[quarters]).json()
    (said,) = answer["predictions"]
    assert (said["as_of"], said["unit"], said["level"]) == ("2009-09-30", "1982-84 = 100", 216.385)
    assert list(said["heads"]) == ["trend", "acceleration", "regime"]
    levels = np.log([quarter["cpi"] for quarter in quarters])
    pace = 400 * ((levels[-1] - levels[-2]) - (levels[-2] - levels[-3]))
    number = said["heads"]["acceleration"]
    assert number["value"] == pytest.approx(pace, abs=1e-3) and number["unit"] == "pp" and number["note"] is None
    assert number["interval"]["upper"] - number["interval"]["lower"] == pytest.approx(4, abs=1e-4)
    for name, label in (("trend", "rising"), ("regime", "low")):  # from -1.9% in June to -0.2%
        assert said["heads"][name]["label"] == label
        assert sum(said["heads"][name]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_forecast_is_the_answer_after_the_newest_reading(served, quarters):
    answer = served.client.post("/cpi/forecast").json()
    assert answer["source"] == "packaged"
    assert answer["predictions"] == _post(served, "/cpi/predict", instances=[quarters]).json()["predictions"]


def test_one_target_without_interval_says_so(served, quarters):
    said = _post(served, "/pace/predict", instances=[quarters]).json()["predictions"][0]["heads"]
    assert list(said) == ["acceleration"]
    assert (said["acceleration"]["interval"], said["acceleration"]["note"]) == (
        None, "This model has no calibrated interval.",
    )  # fmt: skip


def test_too_few_readings_are_refused(served, quarters):
    refused = _post(served, "/cpi/predict", instances=[quarters[1:]])
    assert refused.status_code == 422
    assert refused.json()["error"] == "instances[0] has 8 records; it takes at least 9. Send more, oldest first."


def test_truths_are_told_target_by_target_and_journaled_by_their_names(served):
    for target, value in (("trend", "rising"), ("acceleration", -0.25), ("regime", "moderate")):
        assert _tell(served, target=target, value=value).json() == {"accepted": 1}
    told = [(row["target"], row["value"], row["label"]) for row in _read_outcomes(served, "cpi")]
    assert told == [("trend", None, "rising"), ("acceleration", -0.25, None), ("regime", None, "moderate")]
    assert _tell(served, "pace", target="acceleration", value=1).json() == {"accepted": 1}


def _read_outcomes(served, case):
    from okawari.storage.journal import list_segments

    folder = served.kitchen.home / "journal" / case
    return [row for segment in list_segments(folder, "outcomes") for row in segment.rows()]


ALL = "it must be one of the targets trend, acceleration, regime."


@pytest.mark.parametrize(
    ("case", "outcome", "sentence", "place"),
    [
        ("cpi", {"target": "trnd", "value": "rising"}, f'outcomes[0].target is "trnd"; {ALL} Correct it.', "target"),
        ("cpi", {"value": "rising"}, f"outcomes[0].target is missing; {ALL} Add it.", "target"),
        (
            "cpi", {"target": "trend", "value": "up"},
            'outcomes[0].value is "up"; trend is one of falling, stable, rising. Correct it.', "value",
        ),
        (
            "cpi", {"target": "regime", "value": 1},
            "outcomes[0].value is 1; regime is one of low, moderate, high. Correct it.", "value",
        ),
        (
            "cpi", {"target": "acceleration", "value": "rising"},
            'outcomes[0].value is "rising"; acceleration is a number (pp). Correct it.', "value",
        ),
        (
            "cpi", {"target": "regime", "value": "low", "step": 1},
            "outcomes[0].step is not known; an outcome has id, index, target and value. Leave it out.", "step",
        ),
        (
            "cpi", {"target": "acceleration"},
            "outcomes[0].value is missing; acceleration is a number (pp). Add it.", "value",
        ),
        (
            "cpi", {"index": "first", "target": "trend", "value": "rising"},
            'outcomes[0].index is "first"; it is a valid integer. Correct it.', "index",
        ),
        (
            "pace", {"target": "acceleration", "value": "rising"},
            'outcomes[0].value is "rising"; acceleration is a number (pp). Correct it.', "value",
        ),
        (
            "pace", {"value": 1.0},
            "outcomes[0].target is missing; an outcome has id, index, target and value. Add it.", "target",
        ),
        ("pace", {"target": "trend", "value": 1.0}, "outcomes[0].target is \"trend\"; it is 'acceleration'.", "target"),
    ],
)  # fmt: skip
def test_what_is_no_outcome_of_a_target_is_refused_in_its_place(served, case, outcome, sentence, place):
    refused = _tell(served, case, **outcome)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith(sentence)
    assert refused.json()["detail"][0]["loc"] == ["outcomes", 0, place]


def test_an_outcome_without_id_is_told_what_an_outcome_has(served):
    refused = _post(served, "/cpi/outcomes", outcomes=[{"index": 0, "target": "trend", "value": "rising"}])
    assert refused.json()["error"] == ("outcomes[0].id is missing; an outcome has id, index, target and value. Add it.")


def test_the_example_of_the_api_page_is_answered_as_it_stands(served):
    answers = served.answer_examples()
    assert answers and set(answers.values()) == {200}, answers


def test_the_api_page_documents_heads_and_the_three_kinds_of_outcome(served):
    page = served.client.get("/openapi.json").json()
    body = page["paths"]["/cpi/outcomes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    kinds = body["properties"]["outcomes"]["items"]["oneOf"]
    assert [kind["properties"]["target"]["const"] for kind in kinds] == ["trend", "acceleration", "regime"]
    assert kinds[0]["properties"]["value"]["enum"] == ["falling", "stable", "rising"]
    assert kinds[1]["properties"]["value"]["type"] == "number"
    heads = page["components"]["schemas"]["Outlook"]["properties"]["heads"]["additionalProperties"]
    assert [each["$ref"].rpartition("/")[2] for each in heads["anyOf"]] == ["Estimate", "Label"]
    one = page["paths"]["/pace/outcomes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert one["properties"]["outcomes"]["items"]["properties"]["target"]["const"] == "acceleration"


def test_every_reference_of_the_api_page_leads_somewhere(served):
    text = json.dumps(served.client.get("/openapi.json").json())
    assert "#/$defs/" not in text


def test_the_list_of_cases_tells_the_targets(served):
    shown = {case["name"]: case for case in served.client.get("/cases").json()["cases"]}
    targets = shown["cpi"]["targets"]
    assert [(each["name"], each["unit"], each["labels"]) for each in targets] == [
        ("trend", "", ["falling", "stable", "rising"]),
        ("acceleration", "pp", []),
        ("regime", "", ["low", "moderate", "high"]),
    ]
    assert all(each["description"] for each in targets)
    assert (shown["cpi"]["history"], shown["cpi"]["horizon"], shown["cpi"]["labels"]) == (9, None, [])
