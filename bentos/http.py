"""The HTTP application: routes, limits and errors. Case logic is in `bentos.case_service`.

POST /{case}/predict    POST /{case}/forecast    POST /{case}/outcomes    GET /cases    GET /docs
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from bentos.bodies import BodyReader
from bentos.case_service import CaseService
from bentos.errors import Disconnected, Overloaded, Refused, TooLarge, TooSlow, UnknownCase, cut_text
from bentos.schemas import describe_body, name_prediction, show_predict_body
from okawari import __version__
from okawari.case import Case
from okawari.clients.wire import Accepted, CaseList, Failure, ForecastAnswer, PredictAnswer
from okawari.errors import InvalidInput, NotYet
from okawari.storage.disk_faults import DiskFault

_log = logging.getLogger("bentoml.okawari")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MAX_WAITING = 128
"""Requests in progress at once. At the slowest measured rate, 600 a second, the last one waits a fifth of a second."""
_CLIENT_CLOSED = 499
"""Status of a request whose client is gone, as in nginx; the metrics count it."""
_RETRY_S: dict[type[Exception], int] = {Overloaded: 1, NotYet: 10, DiskFault: 60}
_STATUS: dict[type[Exception], int] = {
    Overloaded: 503,
    NotYet: 503,
    DiskFault: 503,
    TooLarge: 413,
    TooSlow: 408,
    UnknownCase: 404,
    Refused: 422,
    InvalidInput: 422,
}


class ConcurrencyLimiter:
    """Admits at most `limit` requests at once. A request asks for its slot when its body has arrived."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold one of `limit` request slots during the block.

        Raises:
            Overloaded: all slots are held.
        """
        if self._held >= self._limit:
            raise Overloaded(
                f"{self._held} requests are in progress, the most allowed at once; send this one again in a second."
            )
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1


@dataclass(frozen=True)
class Admission:
    """The limits that all requests share."""

    limiter: ConcurrencyLimiter
    bodies: BodyReader

    @asynccontextmanager
    async def admit(self, request: Request, limit: int) -> AsyncIterator[bytearray]:
        """Read a body of at most `limit` bytes, then hold a request slot during the block."""
        announced = request.headers.get("content-length", "")
        async with self.bodies.read(request.receive, announced, limit) as body:
            with self.limiter.hold():
                yield body


@dataclass(frozen=True)
class Verb:
    """An operation on a case: its handler, summary, status, answer type and body type, with an example body."""

    act: Callable[[Request], Awaitable[Response]]
    summary: str
    status: int
    answer: type[BaseModel]
    body: TypeAdapter[Any] | None = None
    example: dict[str, Any] | None = None


def build_app(services: Mapping[str, CaseService]) -> FastAPI:
    """Build the application for the services of all cases."""
    app = FastAPI(
        title="Okawari",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        description=_DESCRIPTION,
        dependencies=[Depends(_KEY)],
    )
    admission = Admission(ConcurrencyLimiter(MAX_WAITING), BodyReader())
    _add_pages(app, services)
    for service in services.values():
        _add_case(app, service, admission)
    _add_unknown(app, services)
    for kind in _STATUS:
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(Disconnected, _note_disconnected)
    app.add_exception_handler(Exception, _answer_crash)
    return app


_KEY = HTTPBearer(auto_error=False, description="An API key; the service says whether it needs one.")
"""For the API page only, which gets a field for the key. `okawari.security.key_check` checks keys."""

_DESCRIPTION = (
    "Every answer has an id and names the model that computed it. Send the true value with this id, as an outcome."
)


def _add_pages(app: FastAPI, services: Mapping[str, CaseService]) -> None:
    @app.get("/cases", response_model=None, responses={200: {"model": CaseList}}, summary="All cases and their models")
    async def list_cases() -> Response:
        return _answer_json({"cases": [service.describe() for service in services.values()]})

    @app.get("/docs", include_in_schema=False)
    async def show_docs() -> Response:
        # BentoML bundles the page's script and style, so the page loads nothing from other hosts.
        own = "static_content"  # relative, as the service may have a path prefix
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Okawari API",
            swagger_js_url=f"{own}/swagger-ui-bundle.js",
            swagger_css_url=f"{own}/swagger-ui.css",
            swagger_favicon_url=f"{own}/favicon-light-32x32.png",
        )

    @app.get("/", include_in_schema=False)
    async def show_start() -> Response:
        return RedirectResponse("docs")


def _add_case(app: FastAPI, service: CaseService, admission: Admission) -> None:
    limits = service.limits

    async def predict(request: Request) -> Response:
        async with admission.admit(request, limits.predict) as body:
            return _answer_json(await service.predict(body))

    async def forecast(request: Request) -> Response:
        async with admission.admit(request, limits.forecast) as body:
            _require_empty(body)
            return _answer_json(await service.forecast())

    async def outcomes(request: Request) -> Response:
        async with admission.admit(request, limits.outcomes) as body:
            return _answer_json({"accepted": await service.record_outcomes(body)}, status=202)

    counted = f"{service.case.history} or more records" if service.case.history > 1 else "records"
    prediction: Any = name_prediction(service.case.task)
    example = show_predict_body(service.case)
    for verb in (
        Verb(
            predict,
            f"Predict from your own {counted}",
            200,
            PredictAnswer[prediction],
            service.reader.predict_type,
            example,
        ),
        Verb(forecast, "Predict from the newest known readings", 200, ForecastAnswer[prediction]),
        Verb(outcomes, "Send the true values", 202, Accepted, service.reader.outcomes_type),
    ):
        _add_verb(app, service.case, verb)


def _add_verb(app: FastAPI, case: Case, verb: Verb) -> None:
    """Add the route `/{case}/{verb}`. The case service parses the body; FastAPI only documents its schema."""
    name = verb.act.__name__
    app.post(
        f"/{case.name}/{name}",
        response_model=None,
        status_code=verb.status,
        responses={verb.status: {"model": verb.answer}, **_describe_refusals()},
        openapi_extra={"requestBody": describe_body(verb.body, verb.example)} if verb.body else None,
        operation_id=f"{case.name}_{name}",
        summary=verb.summary,
        tags=[case.title],
    )(verb.act)


def _add_unknown(app: FastAPI, services: Mapping[str, CaseService]) -> None:
    @app.post("/{case}/{verb}", include_in_schema=False)
    async def refuse(case: str, verb: str) -> Response:
        if case in services:
            raise UnknownCase(
                f"Case {case} has no {cut_text(verb)!r}; it has predict, forecast and outcomes. Use one of these."
            )
        raise UnknownCase(
            f"There is no case {cut_text(case)!r} here; this service has {', '.join(services)}. Use one of these."
        )


def _describe_refusals() -> dict[int | str, dict[str, Any]]:
    texts = {
        401: "No valid API key",
        403: "The API key lacks the scope",
        408: "Body not received in time",
        413: "Body too large",
        422: "Bad input",
        503: "No model yet, or too many requests; see Retry-After",
    }
    return {status: {"model": Failure, "description": text} for status, text in texts.items()}


def _require_empty(body: bytearray) -> None:
    if bytes(body.strip()) not in (b"", b"{}"):
        raise Refused("The body is not empty; a forecast takes no input. Send {} or use predict.")


def _answer_json(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(content), status_code=status, headers=headers, media_type="application/json")


async def _answer_error(_: Request, error: Exception) -> Response:
    kind = next(kind for kind in type(error).__mro__ if kind in _STATUS)
    headers = {"Retry-After": str(_RETRY_S[kind])} if kind in _RETRY_S else None
    content = {"error": str(error), "detail": getattr(error, "detail", [])}
    return _answer_json(content, status=_STATUS[kind], headers=headers)


async def _note_disconnected(request: Request, error: Exception) -> Response:
    """One line in the log; nobody reads the answer."""
    client = request.client.host if request.client else "a client"
    _log.warning("%s %s from %s: %s", request.method, cut_text(request.url.path), client, error)
    return Response(status_code=_CLIENT_CLOSED)


async def _answer_crash(_: Request, error: Exception) -> Response:
    failure = {"error": f"The service failed ({type(error).__name__}); see its log.", "detail": []}
    return _answer_json(failure, status=500)
