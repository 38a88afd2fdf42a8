"""Our own client against a real service."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from okawari.clients.prediction_service import Client
from okawari.clients.wire import Outcome, Prediction
from okawari.errors import InvalidInput, NotYet


def test_a_client_asks_predicts_and_sends_what_happened(server: Any, records: list[dict[str, Any]]) -> None:
    with Client(str(server.client.base_url)) as client:
        (case,) = client.cases()
        forecast = client.forecast("aapl")
        answer = client.predict("aapl", [records, records])
        accepted = client.send_outcomes("aapl", [Outcome(id=answer.id, index=1, step=1, value=410.0)])
        serving = client.load_serving("aapl")
    assert case.name == "aapl" and case.model == forecast.model == answer.model == serving
    assert [type(said) for said in (*forecast.predictions, *answer.predictions)] == [Prediction] * 3
    assert accepted == 1


def test_a_refusal_has_the_words_of_the_service(server: Any, records: list[dict[str, Any]]) -> None:
    short: httpx.Response = server.client.post("/aapl/predict", json={"instances": [records[1:]]})
    with Client(str(server.client.base_url)) as client, pytest.raises(InvalidInput) as refused:
        client.predict("aapl", [records[1:]])
    assert str(refused.value) == short.json()["error"]


def test_a_service_without_model_says_when_to_try_again(empty_server: Any) -> None:
    with Client(str(empty_server.client.base_url)) as client, pytest.raises(NotYet, match=r"Try again in 10 s\.$"):
        client.forecast("aapl")


def test_values_that_are_known_ahead_are_refused_with_a_sentence(server: Any, records: list[dict[str, Any]]) -> None:
    body = {"instances": [records], "future": [[{"volume": 1.0}]]}
    reply: httpx.Response = server.client.post("/aapl/predict", json=body)
    assert reply.status_code == 422
    assert "future is" in reply.json()["error"] and "no case accepts future values yet" in reply.json()["error"]
    assert server.client.post("/aapl/predict", json={**body, "future": None}).status_code == 200
