"""Requests to the API of the Prefect server: its address, our credentials, and patience while it is busy."""

from __future__ import annotations

import base64
import os
from typing import Any

import httpx

from okawari.errors import InvalidInput, ServerUnreachable
from okawari.polling import poll
from okawari.security.engine_access import make_basic_header
from okawari.settings import load_settings
from okawari.storage.group_lock import explain_absence, name_server, reach

_BUSY_PAUSE_S = 0.5
_BUSY_TIMEOUT_S = 60.0
"""Longest time for which a busy or silent server is asked again; writes to its SQLite file may take seconds."""


def send_request(verb: str, path: str, body: Any = None, *, missing: str = "") -> Any:
    """Send a request, and repeat it while the server is busy (status 503, at times caused by its SQLite database)."""
    base = load_settings().prefect_base
    answer = reach(
        lambda: poll(lambda: _send(verb, base, path, body), every_s=_BUSY_PAUSE_S, timeout_s=_BUSY_TIMEOUT_S)
    )
    if answer is None:
        logs = load_settings().logs_dir
        raise ServerUnreachable(f"The Prefect server at {base} stays busy; look at its log in {logs}.")
    return _read_answer(answer, missing)


def _send(verb: str, base: str, path: str, body: Any) -> httpx.Response | None:
    """Send a request once; None where the server is busy."""
    try:
        answer = httpx.request(verb, f"{base}/api{path}", json=body, headers=_authorize(), timeout=20)
    except httpx.TimeoutException:
        return None
    except httpx.TransportError as broken:
        raise explain_absence(name_server("prefect"), broken) from broken
    return None if answer.status_code == 503 else answer


def _authorize() -> dict[str, str]:
    """Credentials: of this installation's server its password, of a remote one what Prefect's own settings name."""
    if not load_settings().prefect_url:
        return make_basic_header("prefect")
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _read_answer(answer: httpx.Response, missing: str) -> Any:
    if answer.status_code == 404 and missing:
        raise InvalidInput(missing)
    if answer.status_code >= 400:
        raise InvalidInput(f"Prefect refused {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer.json() if answer.content else None
