"""Every kind of bad input is refused with a sentence that names the field, what came and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Records = list[dict[str, Any]]


def change(records: Records, row: int = 3, **values: Any) -> str:
    changed = [dict(record) for record in records]
    changed[row].update(values)
    return json.dumps({"instances": [changed]})


def drop(records: Records, name: str) -> str:
    return json.dumps({"instances": [[{key: value for key, value in row.items() if key != name} for row in records]]})


BAD: dict[str, tuple[Callable[[Records], str], str]] = {
    "not JSON": (lambda r: "close=1", "The body is not valid JSON"),
    "a list": (lambda r: "[1]", "The body is [1]; it is a JSON object"),
    "no instances": (lambda r: "{}", "instances is missing; it is a list of instances"),
    "empty instances": (lambda r: '{"instances": []}', "instances has 0 entries; it takes at least 1"),
    "an instance that is no list": (lambda r: '{"instances": [7]}', "instances[0] is 7; it is a list"),
    "a record that is no object": (lambda r: '{"instances": [[7]]}', "instances[0][0] is 7; it is a JSON object"),
    "too few records": (
        lambda r: json.dumps({"instances": [r, r[:59]]}),
        "instances[1] has 59 records; it takes at least 60. Send more, oldest first.",
    ),
    "missing field": (
        lambda r: drop(r, "close"),
        "instances[0][0].close is missing; close is a number above 0 (USD). Add it.",
    ),
    "unknown field": (lambda r: change(r, adj_close=1.0), "instances[0][3].adj_close is not known"),
    "text": (
        lambda r: change(r, close="12"),
        'instances[0][3].close is "12"; close is a number above 0 (USD). Correct it.',
    ),
    "true": (lambda r: change(r, close=True), "instances[0][3].close is true; close is a number above 0 (USD)"),
    "null": (lambda r: change(r, volume=None), "instances[0][3].volume is null; volume is a number above 0 (shares)"),
    "NaN": (lambda r: change(r, close=float("nan")), "instances[0][3].close is not finite (NaN)"),
    "infinity": (lambda r: change(r, close=float("inf")), "instances[0][3].close is not finite (+inf)"),
    "negative": (lambda r: change(r, low=-1.5), "instances[0][3].low is -1.5; low is a number above 0 (USD)"),
    "beyond the graph's precision": (lambda r: change(r, volume=1e39), "instances[0][3].volume is 1e+39; the model"),
    "high below low": (lambda r: change(r, high=1.0), "instances[0][3] has high 1 and low"),
    "unsorted": (lambda r: json.dumps({"instances": [r[::-1]]}), "records go from the oldest to the newest"),
    "the same time twice": (lambda r: change(r, 4, date=r[3]["date"]), "each time once. Sort them."),
    "a time in some records only": (lambda r: change(r, date=""), "instances[0][3].date is missing; it is an ISO"),
    "times with and without a zone": (
        lambda r: change(r, date="2012-01-01T00:00Z"),
        "Some times of instances[0] have a time zone and some have none",
    ),
    "a time that is none": (lambda r: change(r, date="1/2/13"), "instances[0][3].date is '1/2/13'; it is an ISO 8601"),
    "a time that is a number": (lambda r: change(r, date=5), "instances[0][3].date is 5; it is"),
    "too many instances": (lambda r: json.dumps({"instances": [r] * 257}), "instances has more than 256 entries"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_place(server, records, name):
    make, sentence = BAD[name]
    answer = server.client.post("/aapl/predict", content=make(records))
    assert answer.status_code == 422, answer.text
    assert sentence in answer.json()["error"]
    assert all(set(each) == {"loc", "msg"} for each in answer.json()["detail"])


def test_all_faults_of_a_record_are_listed(server, records):
    detail = server.client.post("/aapl/predict", content=change(records, 0, open=-1, close="x")).json()["detail"]
    assert [each["loc"] for each in detail] == [["instances", 0, 0, "open"], ["instances", 0, 0, "close"]]


def test_a_body_over_the_limit_is_refused_announced_or_not(server):
    whole = server.client.post("/aapl/predict", content=b" " * (8 * 2**20 + 1))
    streamed = server.client.post("/aapl/predict", content=(b" " * 2**20 for _ in range(9)))
    assert (whole.status_code, streamed.status_code) == (413, 413)
    assert "8 MB" in whole.json()["error"]


def test_an_unknown_case_is_answered_with_those_there_are(server, records):
    answer = server.client.post("/nvda/predict", json={"instances": [records]})
    assert answer.status_code == 404
    assert answer.json()["error"] == "There is no case 'nvda' here; this service has aapl. Use one of these."


def test_an_unknown_verb_is_answered_with_those_there_are(server):
    assert "predict, forecast and outcomes" in server.client.post("/aapl/explain").json()["error"]


def test_a_forecast_takes_no_body(server):
    answer = server.client.post("/aapl/forecast", content=b'{"instances": []}')
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "The body is not empty; a forecast takes no input. Send {} or use predict.",
    )


GOOD_OUTCOME = {"id": "a" * 40, "index": 0, "step": 1, "value": 198.1}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"id": "x"}, 'outcomes[0].id is "x"'),
        ({"index": -1}, "outcomes[0].index is -1; it is greater than or equal to 0"),
        ({"step": 6}, "outcomes[0].step is 6; it is less than or equal to 5"),
        ({"value": 0}, "outcomes[0].value is 0; close is a number above 0 (USD)"),
        ({"value": None}, "outcomes[0].value is null"),
    ],
)
def test_bad_outcomes_are_refused(server, fault, sentence):
    answer = server.client.post("/aapl/outcomes", json={"outcomes": [GOOD_OUTCOME | fault]})
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]


def test_a_pickle_is_no_body(server):
    answer = server.client.post(
        "/aapl/predict", content=b"\x80\x04N.", headers={"content-type": "application/vnd.bentoml+pickle"}
    )
    assert answer.status_code == 422


def test_bad_neighbours_harm_nobody(server, records):
    bad = change(records, close=float("nan"))
    for _ in range(5):
        assert server.client.post("/aapl/predict", content=bad).status_code == 422
        assert server.predict(records).status_code == 200


@pytest.mark.fault
def test_outcomes_of_an_id_that_was_never_issued_are_refused(server, records):
    before = len(server.read_journal("outcomes"))
    for forged in ("a" * 40, server.predict(records).json()["id"][:-1] + "g", "a" * 32):
        answer = server.client.post("/aapl/outcomes", json={"outcomes": [GOOD_OUTCOME | {"id": forged}]})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["outcomes", 0, "id"]
    assert (
        "no answer of aapl has it. Send the id of an answer unchanged"
        in server.client.post("/aapl/outcomes", json={"outcomes": [GOOD_OUTCOME]}).json()["error"]
    )
    assert len(server.read_journal("outcomes")) == before


@pytest.mark.fault
def test_outcomes_of_an_instance_that_the_answer_lacks_are_refused(server, records):
    issued = server.client.post("/aapl/predict", json={"instances": [records, records]}).json()["id"]
    outcomes = [GOOD_OUTCOME | {"id": issued, "index": index} for index in (1, 2)]
    answer = server.client.post("/aapl/outcomes", json={"outcomes": outcomes})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("outcomes[1].index is 2; the answer has 2 instances, counted from 0")
    assert server.client.post("/aapl/outcomes", json={"outcomes": outcomes[:1]}).json() == {"accepted": 1}
