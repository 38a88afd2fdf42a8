"""The client of the prediction service: what comes back, and which error stands for each thing that goes wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from okawari.cases.loader import load_case
from okawari.clients.prediction_service import Client, UnknownAnswer, explain_refusal, to_instances
from okawari.clients.wire import AnyPrediction, Estimate, Label, Outlook, Prediction
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput, NotYet, ServerUnreachable
from tests.browser.edges import ANY_CASE, COVERAGE_SHARE, Edge, serve_model


@pytest.fixture
def service() -> Iterator[Edge]:
    edge = Edge()
    yield edge
    edge.close()


@pytest.fixture
def client(service: Edge) -> Iterator[Client]:
    with Client(service.url) as made:
        yield made


def test_cases_come_with_the_model_that_serves(service: Edge, client: Client) -> None:
    serve_model(service, "7")
    (case,) = client.cases()
    assert (case.name, case.ready, case.refused) == ("aapl", True, None)
    assert case.model is not None
    assert (case.model.version, case.model.candidate, case.model.variant) == ("7", "lstm", "uint8")


def test_a_case_without_model_is_not_an_error(service: Edge, client: Client) -> None:
    body = {**ANY_CASE, "refused": "the golden answer differs"}
    service.answers["GET /cases"] = (200, {"cases": [body]})
    (case,) = client.cases()
    assert (case.ready, case.model, case.refused) == (False, None, "the golden answer differs")


def test_a_forecast_comes_with_its_interval(service: Edge, client: Client) -> None:
    serve_model(service, "7")
    (said,) = client.forecast("aapl").predictions
    assert isinstance(said, Prediction) and said.interval is not None
    assert said.interval.coverage_share == COVERAGE_SHARE
    assert len(said.mean) == len(said.interval.lower) == len(said.interval.upper) == 5
    steps = zip(said.interval.lower, said.mean, said.interval.upper, strict=True)
    assert all(low < mean < high for low, mean, high in steps)


def test_a_forecast_without_interval_has_none(service: Edge, client: Client) -> None:
    serve_model(service, "7", has_interval=False)
    (said,) = client.forecast("aapl").predictions
    assert isinstance(said, Prediction) and said.interval is None
    assert said.note == "This model has no calibrated interval."


def test_a_refusal_is_told_in_the_services_own_words(service: Edge, client: Client) -> None:
    service.answers["POST /aapl/forecast"] = (503, {"error": "No model serves aapl yet; run: okawari run aapl."})
    with pytest.raises(NotYet, match=r"^No model serves aapl yet; run: okawari run aapl\.$"):
        client.forecast("aapl")


@pytest.mark.parametrize("body", [[], {"cases": [{"name": "aapl"}]}, {"cases": 3}, "yes", None])
def test_an_unknown_form_names_the_service_and_what_to_do(service: Edge, client: Client, body: object) -> None:
    service.answers["GET /cases"] = (200, body)
    with pytest.raises(UnknownAnswer, match=f"{service.url} answered in an unknown form .* same version"):
        client.cases()


def test_a_missing_service_says_how_to_start_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = rf"No prediction service answers at http://127.0.0.1:{port} .* okawari up"
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(ServerUnreachable, match=message):
        client.cases()


def test_a_service_that_fails_is_no_mistake_of_the_caller(service: Edge, client: Client) -> None:
    service.answers["GET /cases"] = (500, {"error": "The service failed (KeyError); see its log.", "detail": []})
    with pytest.raises(ServerUnreachable, match=r"^The service failed .*status 500"):
        client.cases()


def test_a_refused_request_is_invalid_input(service: Edge, client: Client) -> None:
    sentence = "instances[0].close is -1; close is a number above 0 (USD). Correct it."
    detail = [{"loc": ["instances", 0, "close"], "msg": sentence}]
    service.answers["POST /aapl/predict"] = (422, {"error": sentence, "detail": detail})
    with pytest.raises(InvalidInput) as refused:
        client.predict("aapl", [{"close": -1}])
    assert str(refused.value) == sentence


def test_what_is_no_instance_never_leaves(service: Edge, client: Client) -> None:
    with pytest.raises(InvalidInput, match=r"instances\.1 for aapl is neither"):
        client.predict("aapl", [{"close": 1.0}, 3])  # type: ignore[list-item]
    assert not service.asked


TIMES = {"times": ["2024-01-31"], "times_note": None}
PREDICTIONS: list[tuple[type[AnyPrediction], dict[str, Any]]] = [
    (Prediction, {"as_of": None, "unit": "", "level": 1.0, "mean": [1.0], "interval": None, "note": None, **TIMES}),
    (
        Outlook,
        {
            "as_of": None,
            "unit": "",
            "level": 1.0,
            "heads": {"trend": {"label": "up", "probabilities": {}, "note": None}},
            **TIMES,
        },
    ),
    (Estimate, {"unit": "", "value": 1.0, "interval": None, "note": None}),
    (Label, {"label": "up", "probabilities": {"up": 1.0}, "note": None}),
]


@pytest.mark.parametrize(("kind", "body"), PREDICTIONS)
def test_predictions_are_told_apart_by_what_they_hold(
    kind: type[AnyPrediction], body: dict[str, Any], service: Edge, client: Client
) -> None:
    serve_model(service, "7")
    status, answer = service.answers["POST /aapl/forecast"]
    service.answers["POST /aapl/forecast"] = (status, {**answer, "predictions": [body]})
    (said,) = client.forecast("aapl").predictions
    assert type(said) is kind
    assert said.model_dump(mode="json") == body


def test_windows_keep_their_newest_readings_and_records_all_of_theirs() -> None:
    series, records = load_case("aapl"), load_case("diabetes")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    known, patients = (check_readings(case.source.read(), case, now).good for case in (series, records))
    readings, patients = known.tail(series.history + 5), patients.head(3)
    (window,) = to_instances(series, [readings])
    assert len(window) == series.history
    assert window[-1][series.time] == f"{readings[series.time].iloc[-1]:%Y-%m-%d}"  # type: ignore[call-overload]
    assert len(to_instances(records, [patients, patients])) == 6


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (httpx.Response(400, json={"error": "Too short."}), "Too short."),
        (httpx.Response(400, json=[{"error": "Too short."}]), "Too short."),
        (
            httpx.Response(422, json={"error": "Bad.", "detail": [{"loc": ["instances", 0], "msg": "is empty"}]}),
            "Bad. instances.0: is empty",
        ),
        (httpx.Response(422, json={"detail": [{"loc": [], "msg": "is empty"}]}), "is empty"),
        (httpx.Response(503, json={"error": "Busy."}, headers={"Retry-After": "2"}), "Busy. Try again in 2 s."),
        (httpx.Response(500, text="<html>oops</html>"), "The service answered with status 500."),
        (httpx.Response(502, json=None), "The service answered with status 502."),
    ],
)
def test_every_form_of_refusal_becomes_one_sentence(reply: httpx.Response, sentence: str) -> None:
    assert explain_refusal(reply) == sentence
