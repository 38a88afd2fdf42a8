"""Questions to the prediction service, over HTTP: the only part of the page that knows the service's wire format.

One connection pool per process. Whatever goes wrong comes out as `ServiceTrouble`, whose text a person can act on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import httpx

from okawari.errors import OkawariError
from okawari.settings import load_settings

Parsed = TypeVar("Parsed")
# A forecast takes milliseconds; a service that is still loading a model may need a few seconds.
_TIMEOUT = httpx.Timeout(5.0, connect=0.5)


class ServiceTrouble(OkawariError):
    """The service did not answer as asked; the text says what happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """Which model answers. `trained_until` is the time of the last reading it was trained on."""

    version: str
    candidate: str
    variant: str
    graph_sha256: str
    trained_until: str


@dataclass(frozen=True, kw_only=True)
class ServedCase:
    """How the service stands with one case; `refused` says why a newer version was not taken into service."""

    name: str
    ready: bool
    model: ServedModel | None
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class Band:
    """An interval per step, in the target's unit; `coverage_share` of the truths are meant to fall inside, and
    `measured_share` of the held-out ones did.
    """

    coverage_share: float
    measured_share: float | None = None
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One forecast: `mean` per step ahead of `level`, the last known value at `as_of` (ISO date)."""

    id: str
    model: ServedModel
    as_of: str
    unit: str
    level: float
    mean: tuple[float, ...]
    band: Band | None
    note: str | None
    source: str


@dataclass(frozen=True, kw_only=True)
class RecordAnswer:
    """The answer for one record: a `value` with its `band` (of one step), or a `label` with the probability of each."""

    id: str
    model: ServedModel
    unit: str = ""
    value: float | None = None
    band: Band | None = None
    label: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    note: str | None = None
    source: str


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Several answers at once about what follows `level`, the last known value at `as_of` (ISO date), by target."""

    id: str
    model: ServedModel
    as_of: str
    unit: str
    level: float
    heads: Mapping[str, RecordAnswer]
    source: str


Said = Prediction | Outlook | RecordAnswer


def fetch_cases() -> tuple[ServedCase, ...]:
    """Ask which cases the service answers for, and with which models."""
    body = _ask("GET", "/cases")
    return _read(lambda: tuple(_to_case(each) for each in body["cases"]))


def fetch_forecast(case: str) -> Said:
    """Ask for the next steps from the newest readings. The service records every such answer: ask only when needed."""
    body = _ask("POST", f"/{case}/forecast", json={})
    return _read(lambda: _to_prediction(body))


@cache
def _pool() -> httpx.Client:
    return httpx.Client(base_url=load_settings().service_base, timeout=_TIMEOUT)


def _ask(method: str, path: str, **options: Any) -> Any:
    base = load_settings().service_base
    try:
        reply = _pool().request(method, path, **options)
    except httpx.ConnectError as error:
        raise ServiceTrouble(f"No prediction service at {base}; start it with: okawari up.") from error
    except httpx.TimeoutException as error:
        raise ServiceTrouble(f"The service at {base} took longer than {_TIMEOUT.read:g} s; try again soon.") from error
    except httpx.HTTPError as error:
        raise ServiceTrouble(f"The connection to the service at {base} broke ({error}); try again.") from error
    if reply.status_code >= 400:
        raise ServiceTrouble(explain_refusal(reply))
    return _read(reply.json)


def explain_refusal(reply: httpx.Response) -> str:
    """Turn an error reply (a JSON object, a list of them, or anything else) into one sentence.

    >>> explain_refusal(httpx.Response(503, json={"error": "No model yet."}, headers={"Retry-After": "5"}))
    'No model yet. Try again in 5 s.'
    """
    try:
        body = reply.json()
    except ValueError:
        body = None
    parts = [_explain_item(item) for item in (body if isinstance(body, list) else [body])]
    text = " ".join(part for part in parts if part) or f"The service answered with status {reply.status_code}."
    wait = reply.headers.get("Retry-After", "")
    return f"{text} Try again in {wait} s." if wait.isdigit() else text


def _explain_item(item: object) -> str:
    if not isinstance(item, Mapping):
        return ""
    text = str(item.get("error", ""))
    detail = item.get("detail")
    places = [_explain_place(each) for each in detail if isinstance(each, Mapping)] if isinstance(detail, list) else []
    return " ".join(part for part in (text, "; ".join(places)) if part)


def _explain_place(place: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in place.get("loc", ()))
    return f"{where}: {place.get('msg', 'is not allowed')}" if where else str(place.get("msg", ""))


def _read(read: Callable[[], Parsed]) -> Parsed:
    try:
        return read()
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ServiceTrouble(
            f"The service at {load_settings().service_base} answered in an unknown form ({error!r}); "
            "start page and service from the same version."
        ) from error


def _to_case(body: Mapping[str, Any]) -> ServedCase:
    model = body["model"]
    return ServedCase(
        name=body["name"],
        ready=bool(body["ready"]),
        model=_to_model(model) if model else None,
        refused=body.get("refused"),
    )


def _to_model(body: Mapping[str, Any]) -> ServedModel:
    return ServedModel(
        version=str(body["version"]),
        candidate=body["candidate"],
        variant=body["variant"],
        graph_sha256=body["graph_sha256"],
        trained_until=str(body.get("trained_until") or ""),
    )


def _to_prediction(body: Mapping[str, Any]) -> Said:
    first, model = body["predictions"][0], _to_model(body["model"])
    if "heads" in first:
        return _to_outlook(body, model)
    if "mean" not in first:
        return _to_record_answer(first, body, model)
    return Prediction(
        id=body["id"],
        model=model,
        as_of=datetime.fromisoformat(first["as_of"]).isoformat(),
        unit=first["unit"],
        level=float(first["level"]),
        mean=_to_numbers(first["mean"]),
        band=_to_band(first["interval"]) if first.get("interval") else None,
        note=first.get("note"),
        source=body.get("source", "ingested"),
    )


def _to_outlook(body: Mapping[str, Any], model: ServedModel) -> Outlook:
    first = body["predictions"][0]
    return Outlook(
        id=body["id"],
        model=model,
        as_of=datetime.fromisoformat(first["as_of"]).isoformat(),
        unit=first["unit"],
        level=float(first["level"]),
        heads={str(name): _to_record_answer(said, body, model) for name, said in first["heads"].items()},
        source=body.get("source", "ingested"),
    )


def _to_record_answer(first: Mapping[str, Any], body: Mapping[str, Any], model: ServedModel) -> RecordAnswer:
    source = body.get("source", "ingested")
    if "label" in first:
        shares = {str(label): float(share) for label, share in first["probabilities"].items()}
        return RecordAnswer(id=body["id"], model=model, label=str(first["label"]), probabilities=shares, source=source)
    bounds = first.get("interval")
    share = bounds and {**bounds, "lower": [bounds["lower"]], "upper": [bounds["upper"]]}
    return RecordAnswer(
        id=body["id"],
        model=model,
        unit=first["unit"],
        value=float(first["value"]),
        band=_to_band(share) if share else None,
        note=first.get("note"),
        source=source,
    )


def _to_band(body: Mapping[str, Any]) -> Band:
    return Band(
        coverage_share=float(body["coverage_share"]),
        measured_share=None if body.get("measured_share") is None else float(body["measured_share"]),
        lower=_to_numbers(body["lower"]),
        upper=_to_numbers(body["upper"]),
    )


def _to_numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
