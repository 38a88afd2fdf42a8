"""What a client may rely on, over HTTP."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.polling import poll
from okawari.settings import load_settings
from okawari.storage.delivery_log import Delivery, State, record_delivery


def test_a_prediction_names_its_model_and_its_numbers_are_the_graphs(server, records, case):
    answer = server.predict(records).json()
    (said,) = answer["predictions"]
    assert re.fullmatch("[0-9a-f]{40}", answer["id"])
    assert answer["model"] == server.show_case()["model"]
    assert answer["model"]["version"] == "1"
    assert (said["as_of"], said["unit"], said["note"]) == ("2013-03-01", "USD", None)
    assert said["level"] == records[-1]["close"]
    np.testing.assert_allclose(said["mean"], [1.01 * said["level"]] * case.task.horizon, rtol=1e-5)


def test_an_interval_surrounds_the_mean(server, records):
    (said,) = server.predict(records).json()["predictions"]
    interval = said["interval"]
    assert interval["coverage_share"] == 0.9
    assert all(
        low < mean < high for low, mean, high in zip(interval["lower"], said["mean"], interval["upper"], strict=True)
    )


def test_only_the_newest_records_of_an_instance_count(server, readings, records, case):
    older = readings.assign(**{case.time: readings[case.time].dt.strftime("%Y-%m-%d")}).to_dict("records")
    assert server.predict(older).json()["predictions"] == server.predict(records).json()["predictions"]


def test_instances_are_answered_in_their_order(server, records):
    doubled = [
        {name: value if name in ("date", "volume") else 2 * value for name, value in row.items()} for row in records
    ]
    answer = server.client.post("/aapl/predict", json={"instances": [records, doubled, records]}).json()
    one, two, three = (said["mean"][0] for said in answer["predictions"])
    assert one == three
    assert two == pytest.approx(2 * one, rel=1e-5)


def test_records_need_no_time(server, records):
    bare = [{name: value for name, value in row.items() if name != "date"} for row in records]
    assert server.predict(bare).json()["predictions"][0]["as_of"] is None


NEXT_DAYS = ["2013-03-04", "2013-03-05", "2013-03-06", "2013-03-07", "2013-03-08"]


def test_the_time_of_each_step_is_in_the_answer_and_in_the_journal(server, records):
    answer = server.predict(records).json()
    (said,) = answer["predictions"]
    assert (said["times"], said["times_note"]) == (NEXT_DAYS, None)
    (row,) = (row for row in server.read_journal("predictions") if row["id"] == answer["id"])
    assert row["times"] == NEXT_DAYS
    easter = [{**row, "date": day} for row, day in zip(records, trading_days_until("2013-03-28"), strict=True)]
    assert server.predict(easter).json()["predictions"][0]["times"][0] == "2013-04-01"


def test_without_times_the_answer_says_why_steps_have_none(server, records):
    bare = [{name: value for name, value in row.items() if name != "date"} for row in records]
    (said,) = server.predict(bare).json()["predictions"]
    assert said["times"] is None
    assert said["times_note"].startswith("The readings came without times")


def test_a_time_off_the_calendar_is_refused(server, records):
    answer = server.predict([*records[:-1], {**records[-1], "date": "2013-03-02"}])
    assert answer.status_code == 422
    assert "instances[0][59].date: 2013-03-02 is no step of frequency 'B' with the holidays of NYSE" in answer.text


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_forecast_answers_from_the_packed_readings_until_data_is_ingested(server, body):
    answer = server.client.post("/aapl/forecast", content=body).json()
    assert answer["source"] == "packaged"
    assert [said["as_of"] for said in answer["predictions"]] == ["2013-03-01"]


def test_a_forecast_follows_what_is_ingested(server, readings, case, monkeypatch):
    later = readings.assign(**{case.time: case.calendar.steps_after(readings[case.time].iloc[4], len(readings))})
    ingest(case, later, server.kitchen.home, monkeypatch)

    def ask() -> dict[str, Any] | None:
        answer = server.client.post("/aapl/forecast").json()
        return None if answer["source"] == "packaged" else answer

    answer = poll(ask, every_s=0.1, timeout_s=60)
    assert answer is not None
    assert answer["predictions"][0]["as_of"] == "2013-03-08"


def test_a_forecast_says_that_it_is_stale_while_a_delivery_is_held(server, monkeypatch):
    def keep(state: State, known: Delivery | None = None) -> Delivery:
        with monkeypatch.context() as patch:
            patch.setenv("OKAWARI_HOME", str(server.kitchen.home))
            load_settings.cache_clear()
            delivery = known or Delivery(
                source="prices.csv", state=state, verdict="held", reason="a jump", rows=60, digest="d",
                at=pd.Timestamp("2013-04-02", tz="UTC").to_pydatetime(),
            )  # fmt: skip
            stored = record_delivery("aapl", replace(delivery, state=state))
        load_settings.cache_clear()
        return stored

    def await_stale(text: str | None) -> bool:
        asked = poll(
            lambda: server.client.post("/aapl/forecast").json()["stale"] == text or None, every_s=0.2, timeout_s=60
        )
        return asked is True

    assert await_stale(None)
    held = keep(State.HELD)
    assert await_stale(f"delivery {held.id} of 2013-04-02 is held")
    keep(State.DISCARDED, held)
    assert await_stale(None)


def trading_days_until(last: str) -> list[str]:
    calendar = load_case("aapl").calendar
    assert calendar is not None
    return (
        calendar.steps_between(pd.Timestamp("2012-10-01"), pd.Timestamp(last))[-60:]
        .astype("datetime64[D]")
        .astype(str)
        .tolist()
    )


def ingest(case: Case, frame: pd.DataFrame, home, monkeypatch) -> None:
    from okawari.storage.snapshots import record_readings

    monkeypatch.setenv("OKAWARI_HOME", str(home))
    load_settings.cache_clear()
    try:
        record_readings(case, frame, frame.iloc[:0].assign(reason=""), pd.Timestamp("2013-04-01", tz="UTC"))
    finally:
        load_settings.cache_clear()


def test_outcomes_are_accepted_and_journaled(server, records):
    key = server.predict(records).json()["id"]
    outcomes = [{"id": key, "index": 0, "step": step, "value": 400.0 + step} for step in (1, 2)]
    answer = server.client.post("/aapl/outcomes", json={"outcomes": outcomes})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    rows = [row for row in server.read_journal("outcomes") if row["id"] == key]
    assert [(row["step"], row["value"], row["case"]) for row in rows] == [(1, 401.0, "aapl"), (2, 402.0, "aapl")]


def test_every_prediction_is_in_the_journal_before_it_is_answered(server, records):
    answer = server.client.post("/aapl/predict", json={"instances": [records, records]}).json()
    rows = [row for row in server.read_journal("predictions") if row["id"] == answer["id"]]
    assert [row["index"] for row in rows] == [0, 1]
    for row, said in zip(rows, answer["predictions"], strict=True):
        assert (row["mean"], row["lower"], row["upper"]) == (
            said["mean"],
            said["interval"]["lower"],
            said["interval"]["upper"],
        )
        assert (row["version"], row["variant"], row["source"]) == ("1", "fp32", "predict")
        assert row["graph_sha256"] == answer["model"]["graph_sha256"]
        assert pd.Timestamp(row["at"]).tzinfo is not None
    assert rows[0]["input_sha256"] == rows[1]["input_sha256"]


def test_the_case_list_says_what_a_record_holds(server, case):
    shown = server.show_case()
    assert (shown["name"], shown["title"], shown["ready"]) == ("aapl", case.title, True)
    assert (shown["history"], shown["horizon"], shown["unit"]) == (60, 5, "USD")
    assert [column["name"] for column in shown["columns"]] == list(case.column_names)
    assert shown["columns"][0]["above"] == 0
    assert (shown["previous"], shown["refused"]) == (None, None)


def test_the_example_of_the_api_page_is_answered_as_it_stands(server):
    answers = server.answer_examples()
    assert answers and set(answers.values()) == {200}, answers


def test_the_api_page_documents_columns_with_units_and_ranges(server, case):
    paths = server.client.get("/openapi.json").json()["paths"]
    body = paths["/aapl/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    window = body["properties"]["instances"]["items"]
    fields = window["items"]["properties"]
    assert window["minItems"] == 1  # with times, fewer readings may cover the 60 steps
    assert window["description"] == "Readings, oldest first, that cover at least 60 steps."
    assert set(fields) == {case.time, *case.column_names}
    assert fields["close"]["exclusiveMinimum"] == 0
    assert "(USD)" in fields["close"]["description"]
    assert {"/aapl/forecast", "/aapl/outcomes", "/cases"} <= set(paths)


def test_the_api_page_fetches_nothing_from_elsewhere(server):
    page = server.client.get("/", follow_redirects=True)
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert page.status_code == 200
    assert len(sources) == 3
    assert all(server.client.get(source).status_code == 200 for source in sources)


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/metrics"])
def test_bentomls_own_routes_stay(server, path):
    assert server.client.get(path).status_code == 200
