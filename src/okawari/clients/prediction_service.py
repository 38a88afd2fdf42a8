"""Speaks to the prediction service over HTTP; used by the command line and the rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pandas as pd

from okawari.case import Case
from okawari.dataset.arrays import format_time, spell_places
from okawari.errors import InvalidInput, NotYet, ServerUnreachable
from okawari.settings import load_settings


def request_forecast(case_name: str, *, client: httpx.Client | None = None) -> dict[str, Any]:
    """Forecast from the newest ingested readings."""
    answer: dict[str, Any] = _call("POST", f"/{case_name}/forecast", {}, client)
    return answer


def request_prediction(case: Case, windows: Sequence[pd.DataFrame], *, client: httpx.Client | None = None) -> Any:
    """Predictions for windows of readings, each a frame of at least `history` rows, oldest first; or for every record
    of frames of records.
    """
    instances = [_to_records(case, each) for each in windows]
    body = {"instances": instances if case.is_series else [record for records in instances for record in records]}
    return _call("POST", f"/{case.name}/predict", body, client)


def load_serving(case_name: str) -> dict[str, Any] | None:
    """The model that the service answers with; None where it serves none for the case."""
    for entry in _call("GET", "/cases", None, None)["cases"]:
        if entry["name"] == case_name:
            model: dict[str, Any] | None = entry["model"]
            return model
    return None


def _to_records(case: Case, window: pd.DataFrame) -> list[dict[str, Any]]:
    times = {case.time: window[case.time].map(format_time)} if case.is_series else {}
    words = spell_places(window[list(case.column_names)], case)
    return words.assign(**times).to_dict("records")  # type: ignore[return-value]


def _call(verb: str, path: str, body: Any, client: httpx.Client | None) -> Any:
    base = load_settings().service_base
    try:
        answer = (client or httpx).request(verb, f"{base}{path}", json=body, timeout=15)
    except httpx.HTTPError as broken:
        raise ServerUnreachable(
            f"The prediction service does not answer at {base} ({broken}); start it with: okawari up."
        ) from broken
    if answer.status_code == 503:
        raise NotYet(_read_error(answer))
    if answer.status_code >= 400:
        raise InvalidInput(_read_error(answer))
    return answer.json()


def _read_error(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:200]}"
