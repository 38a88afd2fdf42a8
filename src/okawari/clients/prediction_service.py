"""The HTTP client of the prediction service; it returns the types of `okawari.clients.wire`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from typing import Any, TypeVar

import httpx
import pandas as pd
from pydantic import BaseModel, ValidationError

from okawari.case import Case
from okawari.clients.wire import (
    Accepted,
    AnyPrediction,
    CaseInfo,
    CaseList,
    ForecastAnswer,
    Instance,
    ModelInfo,
    Outcome,
    OutcomesRequest,
    PredictAnswer,
    PredictRequest,
    Reading,
)
from okawari.dataset.steps import take_window
from okawari.errors import InvalidInput, NotYet, OkawariError, ServerUnreachable
from okawari.schema.calendar import format_local, format_times
from okawari.schema.columns import find_dates, find_words
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.security.access import load_own_token
from okawari.security.tls import build_trust
from okawari.settings import load_settings
from okawari.storage.group_lock import explain_absence, name_server, reach

Answer = TypeVar("Answer", bound=BaseModel)
_CONNECT_S = 2.0


class UnknownAnswer(OkawariError, ValueError):
    """The service's answer does not match the types of this version."""


class AccessDenied(OkawariError, PermissionError):
    """The service needs an API key, or one with another scope; the message is the service's message."""


class Client:
    """Client of one prediction service; use it as a context manager, or close it.

    Threads may share a client and its pool of connections.

    Example:
        with Client() as client:
            print(client.forecast("aapl").predictions[0])

    Args:
        base_url: address of the service; the one in the settings, if left out.
        api_key: key to send; for the service in the settings, OKAWARI_API_KEY or the installation's own token.
        timeout: longest wait for an answer, in seconds.

    Every method raises:
        ServerUnreachable: the service does not answer, or fails.
        NotYet: no model serves the case yet, or the service handles too many requests.
        InvalidInput: the service refuses the request; the message is the service's message.
        AccessDenied: the service needs a key, or one with another scope.
        UnknownAnswer: the answer has an unknown form.
    """

    def __init__(self, base_url: str | None = None, *, api_key: str = "", timeout: float = 15.0) -> None:
        settings = load_settings()
        self.base_url = base_url or settings.service_base
        self._timeout_s = timeout
        limits = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_S))
        sign = _choose_signature(api_key, is_own=self.base_url == settings.service_base)
        self._pool = httpx.Client(base_url=self.base_url, timeout=limits, auth=sign, verify=build_trust(settings))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def cases(self) -> list[CaseInfo]:
        """The cases of the service, with their models."""
        return self._request("GET", "/cases", None, CaseList).cases

    def forecast(self, case: str) -> ForecastAnswer[AnyPrediction]:
        """Predict from the newest known readings. The service records every answer."""
        return self._request("POST", f"/{case}/forecast", {}, ForecastAnswer[AnyPrediction])

    def predict(
        self, case: str, instances: Sequence[Instance], *, keys: Sequence[str | int | None] | None = None
    ) -> PredictAnswer[AnyPrediction]:
        """Predict from given readings: one prediction for each instance, in the same order.

        `keys` are your own keys of the instances, by which their outcomes may be sent (`Case.key`).
        """
        body = _write_request(instances, case) | ({} if keys is None else {"keys": list(keys)})
        return self._request("POST", f"/{case}/predict", body, PredictAnswer[AnyPrediction])

    def send_outcomes(self, case: str, outcomes: Sequence[Outcome]) -> int:
        """Send true values; returns the number of recorded outcomes."""
        body = OutcomesRequest(outcomes=list(outcomes)).model_dump(mode="json", exclude_none=True)
        for outcome in body["outcomes"]:
            if "key" in outcome:
                del outcome["index"]
        return self._request("POST", f"/{case}/outcomes", body, Accepted).accepted

    def load_serving(self, case: str) -> ModelInfo | None:
        """The model that serves the case; None where there is none."""
        return next((each.model for each in self.cases() if each.name == case), None)

    def _request(self, verb: str, path: str, body: Any, kind: type[Answer]) -> Answer:
        reply = self._send(verb, path, body)
        if reply.status_code >= 400:
            raise _to_error(reply, self.base_url)
        try:
            return kind.model_validate_json(reply.content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise UnknownAnswer(
                f"The service at {self.base_url} answered in an unknown form ({where or 'the body'}: {first['msg']}); "
                "start client and service from the same version."
            ) from error

    def _send(self, verb: str, path: str, body: Any) -> httpx.Response:
        return reach(lambda: self._send_once(verb, path, body))

    def _send_once(self, verb: str, path: str, body: Any) -> httpx.Response:
        base = self.base_url
        try:
            return self._pool.request(verb, path, json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if "[SSL" in str(error):
                raise ServerUnreachable(_explain_tls(base, error)) from error
            raise _explain_absence(base, error) from error
        except httpx.TimeoutException as error:
            raise ServerUnreachable(
                f"The service at {base} took longer than {self._timeout_s:g} s; try again soon."
            ) from error
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"The connection to the service at {base} broke ({error}); try again.") from error


def _explain_absence(base: str, cause: Exception) -> ServerUnreachable:
    if base == load_settings().service_base:
        return explain_absence(name_server("service"), cause)
    return ServerUnreachable(
        f"No prediction service answers at {base} ({cause}); start it with: okawari up, or correct the address."
    )


def _explain_tls(base: str, error: httpx.TransportError) -> str:
    return (
        f"The connection to the service at {base} cannot be trusted ({error}). For a service of this machine, set "
        "OKAWARI_TLS_CERT to its certificate; for a private authority's, set OKAWARI_TLS_CA to the authority's."
    )


def _choose_signature(api_key: str, *, is_own: bool) -> Callable[[httpx.Request], httpx.Request]:
    """A function that adds the key to a request. A key of the settings goes to the service in the settings only."""

    def sign(request: httpx.Request) -> httpx.Request:
        # Read for each request, because the service may have made the installation's secret after this client.
        token = api_key or (load_own_token(load_settings()) if is_own else "")
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _write_request(instances: Sequence[Instance], case: str) -> dict[str, Any]:
    try:
        return PredictRequest(instances=list(instances)).model_dump(exclude_unset=True)
    except ValidationError as error:
        place = error.errors(include_url=False)[0]["loc"]
        raise InvalidInput(
            f"{'.'.join(map(str, place[:2]))} for {case} is neither a list of readings nor a record nor a picture; "
            "send one of these."
        ) from error


def list_case_names() -> tuple[str, ...]:
    """The cases of OKAWARI_CASES; if it is not set, the cases of the service, if it answers."""
    settings = load_settings()
    if "cases" in settings.model_fields_set:
        return settings.case_names
    try:
        with Client() as client:
            return tuple(case.name for case in client.cases()) or settings.case_names
    except OkawariError:
        return settings.case_names


def is_any_served() -> bool:
    """Whether the service answers and has a model for at least one case."""
    try:
        with Client() as client:
            return any(case.ready for case in client.cases())
    except OkawariError:
        return False


def load_serving(case: str) -> ModelInfo | None:
    """The model that serves the case on the service in the settings; raises like `Client`."""
    with Client() as client:
        return client.load_serving(case)


def to_instances(case: Case, frames: Sequence[pd.DataFrame]) -> list[Instance]:
    """Frames of readings as instances: for series, the newest window of each frame; for records, each row.

    Args:
        case: the case with the columns and layout.
        frames: readings with the case's columns, oldest first; for series, at least `history` rows in each frame.
    """
    return _list_instances(case.layout, case, frames)


@singledispatch
def _list_instances(layout: DataLayout, case: Case, frames: Sequence[pd.DataFrame]) -> list[Instance]:
    """The instances of this layout in frames of readings."""
    raise NotImplementedError(f"No instances are defined for {type(layout).__name__}; register them here.")


@_list_instances.register(SeriesLayout)
def _(layout: SeriesLayout, case: Case, frames: Sequence[pd.DataFrame]) -> list[Instance]:
    return [_to_readings(case, take_window(frame, case)) for frame in frames]


@_list_instances.register(RecordLayout)
def _(layout: RecordLayout, case: Case, frames: Sequence[pd.DataFrame]) -> list[Instance]:
    return [record for frame in frames for record in _to_readings(case, frame)]


def _to_readings(case: Case, frame: pd.DataFrame) -> list[Reading]:
    times = {name: format_times(frame[name].to_numpy(), case.zone) for name in case.time_columns}
    values = {each.name: frame[each.name].map(each.write_json).astype(object) for each in find_words(case.columns)}
    dates = {each.name: _format_dates(frame[each.name], case.zone) for each in find_dates(case.columns)}
    return frame[list(case.column_names)].assign(**values, **times, **dates).to_dict("records")  # type: ignore[return-value]


def _format_dates(dates: pd.Series, zone: str) -> pd.Series:
    """Dates as ISO 8601; None for a missing one."""
    texts = [None if pd.isna(date) else format_local(date, zone) for date in dates]
    return pd.Series(texts, index=dates.index, dtype=object)


def _to_error(reply: httpx.Response, base: str) -> OkawariError:
    """The error for an unsuccessful reply, with the service's message."""
    text = explain_refusal(reply)
    if reply.status_code in (401, 403):
        return AccessDenied(text)
    if reply.status_code == 503:
        return NotYet(text)
    if reply.status_code >= 500:
        return ServerUnreachable(f"{text} (status {reply.status_code} from {base})")
    return InvalidInput(text)


def explain_refusal(reply: httpx.Response) -> str:
    """The message of an error reply: a JSON object, a list of them, or anything else.

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
    """The error's message and its details; details that repeat the message, as our service's do, are left out."""
    if not isinstance(item, Mapping):
        return ""
    text, detail = str(item.get("error", "")), item.get("detail")
    places = [each for each in detail if isinstance(each, Mapping)] if isinstance(detail, list) else []
    repeated = text in {each.get("msg") for each in places}
    details = "" if repeated else "; ".join(_explain_place(each) for each in places)
    return " ".join(part for part in (text, details) if part)


def _explain_place(place: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in place.get("loc", ()))
    return f"{where}: {place.get('msg', 'is not allowed')}" if where else str(place.get("msg", ""))
