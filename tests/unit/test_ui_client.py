"""The page's questions to the service: what comes back, and which sentence stands for each thing that goes wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from okawari.settings import load_settings
from tests.browser.edges import COVERAGE_SHARE, Edge, serve_model
from ui import client
from ui.client import ServiceTrouble, explain_refusal, fetch_cases, fetch_forecast


def _forget_places() -> None:
    load_settings.cache_clear()
    client._pool.cache_clear()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    edge = Edge()
    monkeypatch.setenv("OKAWARI_SERVICE_URL", edge.url)
    _forget_places()
    yield edge
    edge.close()
    monkeypatch.undo()
    _forget_places()


def test_cases_come_with_the_model_that_serves(service: Edge) -> None:
    serve_model(service, "7")
    (case,) = fetch_cases()
    assert (case.name, case.ready, case.refused) == ("aapl", True, None)
    assert case.model is not None
    assert (case.model.version, case.model.candidate, case.model.variant) == ("7", "lstm", "uint8")


def test_a_case_without_model_is_not_an_error(service: Edge) -> None:
    body = {"name": "aapl", "ready": False, "model": None, "refused": "the golden answer differs"}
    service.answers["GET /cases"] = (200, {"cases": [body]})
    (case,) = fetch_cases()
    assert (case.ready, case.model, case.refused) == (False, None, "the golden answer differs")


def test_a_forecast_comes_with_its_interval(service: Edge) -> None:
    serve_model(service, "7")
    forecast = fetch_forecast("aapl")
    assert forecast.band is not None
    assert forecast.band.coverage_share == COVERAGE_SHARE
    assert len(forecast.mean) == len(forecast.band.lower) == len(forecast.band.upper) == 5
    steps = zip(forecast.band.lower, forecast.mean, forecast.band.upper, strict=True)
    assert all(low < mean < high for low, mean, high in steps)


def test_a_forecast_without_interval_has_none(service: Edge) -> None:
    serve_model(service, "7", has_interval=False)
    forecast = fetch_forecast("aapl")
    assert forecast.band is None
    assert forecast.note == "This model has no calibrated interval."


def test_a_refusal_is_told_in_the_services_own_words(service: Edge) -> None:
    service.answers["POST /aapl/forecast"] = (503, {"error": "No model serves aapl yet; run: okawari run aapl."})
    with pytest.raises(ServiceTrouble, match=r"^No model serves aapl yet; run: okawari run aapl\.$"):
        fetch_forecast("aapl")


@pytest.mark.parametrize("body", [[], {"cases": [{"name": "aapl"}]}, {"cases": 3}, "yes", None])
def test_an_unknown_form_names_the_service_and_what_to_do(service: Edge, body: object) -> None:
    service.answers["GET /cases"] = (200, body)
    with pytest.raises(ServiceTrouble, match=f"{service.url} answered in an unknown form .* same version"):
        fetch_cases()


def test_a_missing_service_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch, service: Edge) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("OKAWARI_SERVICE_URL", f"http://127.0.0.1:{port}")
    _forget_places()
    with pytest.raises(ServiceTrouble, match=rf"No prediction service at http://127.0.0.1:{port}; .* okawari up"):
        fetch_cases()


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
